"""Tests of what the apps share, and of the apps beside each other."""
