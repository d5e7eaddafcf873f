"""`dry_run`: says in the log what would have been denied, without a line for each request of a flood."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from dispatcher.limiting.announcing import policy_name
from dispatcher.limiting.decision import Decision

LOG_EVERY_SECONDS: Final = 10.0
_SAYABLE: Final = ("client", "path")  # a header or a cookie is likely to be a secret

_log: Final = logging.getLogger("dispatcher.rate_limit")


class Rehearsal:
    """Counts denials of one limiter by mount, and logs each mount's at most once in `LOG_EVERY_SECONDS`."""

    def __init__(self, by: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._by = by
        self._clock = clock
        self._since: dict[str, tuple[float, int]] = {}  # mount -> when it was last logged, denials since
        self._lock = threading.Lock()

    def denied(self, mount: str, key: str, decision: Decision) -> None:
        """Note that a request of `key` would have been denied."""
        now = self._clock()
        with self._lock:
            logged_at, unsaid = self._since.get(mount, (now - LOG_EVERY_SECONDS, 0))
            due = now - logged_at >= LOG_EVERY_SECONDS
            self._since[mount] = (now, 0) if due else (logged_at, unsaid + 1)
        if due:
            place = f" in {mount}" if mount else ""
            who = f" {key!r}" if self._by in _SAYABLE else " a request"
            _log.warning(
                "dry run: %s by %s%s would have denied%s; %d more since the last such record",
                policy_name(decision.limit),
                self._by,
                place,
                who,
                unsaid,
            )
