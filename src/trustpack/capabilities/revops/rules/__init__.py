"""What follows from what, without input or output."""
