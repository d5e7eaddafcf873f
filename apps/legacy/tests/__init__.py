"""The tests of `apps.legacy`."""
