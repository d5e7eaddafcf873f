"""When a log file is due to be rotated by time, and how the file of a period is called.

The rules are those of `logging.handlers.TimedRotatingFileHandler` (S, M, H, D, MIDNIGHT, W0 to W6, `atTime`, daylight
saving), because it is that class which is asked.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import time
from logging.handlers import TimedRotatingFileHandler
from typing import Final


class Schedule:
    """Rotate every `interval` periods of `when`, for midnight and weekdays at the time of day `at`.

    ValueError for a `when` that the standard library does not know.
    """

    def __init__(self, when: str, interval: int = 1, at: dt.time | None = None, *, utc: bool = False) -> None:
        # With `delay` it opens nothing; it is here to compute.
        self.rules: Final = TimedRotatingFileHandler(
            os.devnull, when, interval, encoding="utf-8", delay=True, utc=utc, atTime=at
        )
        suffix = re.escape(self.rules.suffix)
        self.pattern: Final = re.sub(r"%[a-zA-Z]", lambda code: r"\d{4}" if code[0] == "%Y" else r"\d{2}", suffix)
        """A regular expression for what `stamp` returns."""

    def due(self, started: float) -> float:
        """The time, in seconds since the epoch, at which a file that was started at `started` is over."""
        due = self.rules.computeRollover(int(started))
        # Python 3.11 answers with the moment itself at exactly the time of day of `at`.
        return float(due if due > started else self.rules.computeRollover(int(started) + 1))

    def stamp(self, started: float) -> str:
        """The end of the name of a file that was started at `started`: the begin of its period."""
        due = self.due(started)
        begin = due - self.rules.interval
        if self.rules.utc:
            return time.strftime(self.rules.suffix, time.gmtime(begin))
        # A change of daylight saving within the period: the name is in the wall clock time of its end.
        shift = (time.localtime(due).tm_isdst - time.localtime(begin).tm_isdst) * 3600
        return time.strftime(self.rules.suffix, time.localtime(begin + shift))
