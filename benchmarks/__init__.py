"""Each script prints a table against the peers, measured in the same run."""
