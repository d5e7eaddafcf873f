"""What the limiters of one request have decided about it so far.

A counter counts a request once, whichever entries share it: the same entry written twice, or a dry run above a serious
one. Each entry acts on what the counter said, so that the dry run logs it and the serious one denies. And who is denied
by one limiter has been counted by those outside it: the wait that is true is the longest one.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from dispatcher.limiting.decision import Decision
from dispatcher.wsgi import WSGIEnvironment

_COUNTED: Final = "dispatcher.rate_limit.counted"


class Counted:
    """The decisions about one request, `by` counter, and the seconds until none that binds would deny it again."""

    __slots__ = ("by", "wait")

    def __init__(self) -> None:
        self.by: dict[Hashable, Decision] = {}
        self.wait = 0.0

    def binding(self, decision: Decision) -> Decision:
        """The decision as the client is to be told it, after those of the limiters outside."""
        self.wait = wait = max(self.wait, decision.retry_after)
        if decision.allowed or wait == decision.retry_after:
            return decision
        return decision._replace(retry_after=wait, reset_after=max(decision.reset_after, wait))


def counted(environ: WSGIEnvironment) -> Counted:
    """The one of this request; the outermost limiter makes it."""
    found: Counted | None = environ.get(_COUNTED)
    if found is None:
        found = environ[_COUNTED] = Counted()
    return found
