"""The tests of `apps.todos`."""
