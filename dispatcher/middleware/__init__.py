"""The built-in middleware, one file each."""
