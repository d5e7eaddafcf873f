"""Text → data, and where every node stands: `Document`."""
