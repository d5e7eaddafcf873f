"""Whether a hit is allowed: in shared memory, or in a store that `limits` knows."""
