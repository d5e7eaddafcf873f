"""What the workshop has, where it is, and in which state."""
