"""The use cases of this capability, one file each."""
