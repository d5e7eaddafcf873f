"""Says on stderr that a log cannot be written: at once, then at most once in each interval, with what was dropped.

That it is written again is said at once too; but where it comes and goes, no failure is told before the interval is
over, nor the end of one that was not told.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final

INTERVAL_SECONDS: Final = 10.0


def say(text: str) -> None:
    """One line to stderr, which may be closed, full or missing like any other file."""
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):
        pass


class Complaints:
    """What goes wrong with the log file at `path`; `clock` is in seconds."""

    def __init__(
        self, path: str, clock: Callable[[], float] = time.monotonic, say: Callable[[str], object] = say
    ) -> None:
        self._path = path
        self._clock = clock
        self._say = say
        self._dropped = 0
        self._told = 0
        self._next: dict[str, float] = {}
        self._said_broken = False  # the last that was said of writing
        self.dropping = False
        """Whether `written` wants to know of the next record that is."""

    def dropped(self, error: OSError, records: int = 1) -> None:
        """That many records could not be written."""
        self.dropping = True
        self._dropped += records
        if self._due("write"):
            self._said_broken = True
            self._say(f"{self._path}: cannot be written ({reason(error)}); {self._count()} dropped")

    def written(self) -> None:
        """A record was written after others had been dropped."""
        untold = self._dropped > self._told
        if not self._said_broken and untold and not self._due("write"):
            return  # ask again
        if self._said_broken or untold:
            self._say(f"{self._path}: is written again{f'; {self._count()} dropped' if untold else ''}")
        self.dropping = self._said_broken = False

    def unopened(self, error: OSError) -> None:
        """The file could not be made ahead of its first record."""
        if self._due("write"):
            self._say(f"{self._path}: cannot be written ({reason(error)})")

    def unrotated(self, error: Exception) -> None:
        """The file is written, but cannot be rotated."""
        if self._due("rotate"):
            self._say(f"{self._path}: cannot be rotated ({reason(error)}); it grows until that is possible")

    def _due(self, kind: str) -> bool:
        now = self._clock()
        if now < self._next.get(kind, now):
            return False
        self._next[kind] = now + INTERVAL_SECONDS
        return True

    def _count(self) -> str:
        new, self._told = self._dropped - self._told, self._dropped
        return "1 record" if new == 1 else f"{new} records"


def reason(error: Exception) -> str:
    """What the system says, and about which file."""
    if not isinstance(error, OSError):
        return repr(error)
    text = error.strerror or str(error)
    return f"{text}: {error.filename}" if error.filename else text
