"""Says when a config file, or the `.env` beside it, has changed and has settled.

Files are written in pieces, and most pieces of a YAML file are YAML: 203 of 276 cuts of one config were read as another
config without a complaint. So a change is taken when two readings, some time apart and with nothing written between
them, are equal. The files are looked at by `os.stat`, which also sees a rename, a link that is turned and a volume that
is mounted; watching by inotify loses the file at the first rename.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dispatcher import config
from dispatcher.config import Contents
from dispatcher.errors import ConfigError

_SHORTEST_QUIET: Final = 0.3  # seconds; a file written in two halves a fifth of a second apart is one change
_LONGEST_QUIET: Final = 1.0

Stamp = tuple[
    int, ...
]  # of each file: when it was written, its size, which file it is; nothing for one that is missing


@dataclass(frozen=True, slots=True)
class Seen:
    """What the files held when they were last looked at: `contents`, or the `error` for which they cannot be read."""

    stamp: Stamp
    contents: Contents | None
    error: ConfigError | None = None


def see(file: Path) -> Seen:
    """Look at `file` and its `.env` now."""
    stamp = stamp_of(file)
    try:
        return Seen(stamp, config.read_contents(file))
    except ConfigError as error:
        return Seen(stamp, None, error)


def stamp_of(file: Path) -> Stamp:
    """A value that changes whenever `file` or its `.env` is written, replaced, made or removed."""
    return (*_stamp(file), *_stamp(config.env_file(file)))


def _stamp(file: Path) -> Stamp:
    try:
        status = os.stat(file)  # noqa: PTH116  # the cheapest there is, and it is done all day
    except OSError:
        return (0, 0, 0, 0, 0)
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev)


def quiet_time(interval: float) -> float:
    """Seconds without a change after which it has settled, where one looks every `interval` seconds."""
    return min(max(interval, _SHORTEST_QUIET), _LONGEST_QUIET)


class Watch:
    """Watches one config file; `look` is to be called again and again, more often while something is `pending`."""

    def __init__(
        self,
        file: Path,
        *,
        stamp_of: Callable[[Path], Stamp] = stamp_of,
        see: Callable[[Path], Seen] = see,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pending = True  # what is there at first is a change to whoever has another in mind
        self._file = file
        self._stamp_of = stamp_of
        self._see = see
        self._clock = clock
        self._last: Seen | None = None
        self._since = 0.0

    def look(self, quiet_seconds: float) -> Seen | None:
        """What the files hold, once for each change, when nothing was written for `quiet_seconds`; else None."""
        now = self._clock()
        if self._last is None or self._stamp_of(self._file) != self._last.stamp:
            self._begin(self._see(self._file), now)
        elif self.pending and now - self._since >= quiet_seconds:
            return self._confirm(self._see(self._file), now)
        return None

    @property
    def last(self) -> Seen | None:
        """What was seen last, settled or not."""
        return self._last

    def is_current(self, seen: Seen) -> bool:
        """Whether nothing was written since `seen`."""
        return self._stamp_of(self._file) == seen.stamp

    def _begin(self, seen: Seen, now: float) -> None:
        self._last, self._since, self.pending = seen, now, True

    def _confirm(self, seen: Seen, now: float) -> Seen | None:
        if self._last is None or (seen.stamp, seen.contents) != (self._last.stamp, self._last.contents):
            self._begin(seen, now)
            return None
        self.pending = False
        return seen
