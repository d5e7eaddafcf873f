"""What a limiter answers: the shape that the shared-memory limiter and the remote one have in common."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from limits import RateLimitItem


class Decision(NamedTuple):
    """The answer to one hit, taken in one atomic step over all limits of a limiter.

    `limit` is the one that decided: of several, the one that denies for longest, else the one with the least remaining.
    `reset_after` is the time in seconds until the whole quota is there again if nothing more is hit; `retry_after` the
    time after which the same hit would be allowed, once more if this one was: 0.0 when that is so at once.
    """

    allowed: bool
    limit: RateLimitItem
    remaining: int
    reset_after: float
    retry_after: float


class Limiter(Protocol):
    """Counts hits for a key against a fixed set of limits."""

    def hit(self, key: str, cost: int = 1) -> Decision:
        """Count `cost` for `key` against every limit, or against none when one of them denies."""
