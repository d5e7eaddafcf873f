"""What the workers of one host share through memory."""
