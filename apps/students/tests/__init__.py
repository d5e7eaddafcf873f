"""The tests of `apps.students`."""
