"""One folder per capability, each with the same few file names (architecture section 4)."""
