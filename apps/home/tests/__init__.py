"""The tests of `apps.home`."""
