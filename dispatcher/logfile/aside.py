"""Sets the live file aside for a rotator that reads it, so that it gets a file which nobody writes to any more.

A plain rename needs none of this: a record that comes late goes into the renamed file. But one that comes between the
copying and the deleting of a rotator (the one in Python's logging cookbook packs the file) would be lost. So the live
file is renamed to ``.NAME.rotated``, then copied to ``.NAME.rotating``, which the rotator gets, and deleted; the length
of the copy is noted, so that who has written behind it writes once more. What a killed process leaves of either name is
handed over by the next rotation. All of it runs under the lock of the log file.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import MutableSequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from dispatcher.logfile.backups import Backups
from dispatcher.logfile.shared import GENERATION, INODE, note_copied

_CHUNK_BYTES: Final = 2**20
_LATE_SECONDS: Final = 0.002  # who had looked before the file was set aside has written by then, but for very few


def put_away(live: str, backups: Backups, words: MutableSequence[int], started: float, *, renames: bool) -> None:
    """Move the live file, started at `started`, to the backups; unless that `renames` only, by way of a copy."""
    aside = Aside(live)
    if (left := aside.left()) is not None:
        _hand_over(aside, live, backups, words, left.stat().st_mtime)
    if renames:
        backups.put_away(live, live, started)
        return
    aside.take()
    words[GENERATION] += 1
    words[INODE] = 0
    time.sleep(_LATE_SECONDS)
    _hand_over(aside, live, backups, words, started)


def _hand_over(aside: Aside, live: str, backups: Backups, words: MutableSequence[int], started: float) -> None:
    try:
        backups.put_away(live, aside.copy(words), started)
        aside.check()
    except BaseException:
        aside.put_back()
        raise


class Aside:
    """The hidden files beside the log file at `live`."""

    def __init__(self, live: str) -> None:
        folder, name = os.path.split(live)
        self._live = live
        self._rotated = Path(folder, f".{name}.rotated")
        self._copy = Path(folder, f".{name}.rotating")

    def left(self) -> Path | None:
        """What a rotation that did not come to its end has left."""
        for path in (self._rotated, self._copy):
            if not os.path.lexists(path):
                continue
            if not os.path.lexists(self._live) or not path.samefile(self._live):
                return path
            path.unlink()  # its process was killed while it put it back
        return None

    def take(self) -> None:
        """Rename the live file."""
        os.rename(self._live, self._rotated)  # noqa: PTH104  # paths are plain strings in here

    def copy(self, words: MutableSequence[int]) -> str:
        """The copy of what was taken, complete, and alone."""
        if self._rotated.exists():
            with self._rotated.open("rb", buffering=0) as source, _new(self._copy) as target:
                size = _copy_all(source, target)
                status = os.fstat(source.fileno())
            shutil.copystat(self._rotated, self._copy)
            note_copied(words, status.st_ino, size)
            self._rotated.unlink()
        return str(self._copy)

    def check(self) -> None:
        """See that the rotator has taken the copy, or emptied it; OSError if it has not."""
        if self._copy.exists():
            if self._copy.stat().st_size:
                raise OSError("the rotator has left the file where it was")
            self._copy.unlink()

    def put_back(self) -> None:
        """Make it the live file again, if there is none yet; otherwise the next rotation sees to it."""
        if (path := self.left()) is not None:
            with suppress(OSError):
                os.link(path, self._live)  # unlike a rename it overwrites nothing
                path.unlink()


def _new(path: Path) -> IO[bytes]:
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb", buffering=0)


def _copy_all(source: IO[bytes], target: IO[bytes]) -> int:
    """Copy up to an end that does not move; returns the number of bytes."""
    while True:
        shutil.copyfileobj(source, target, _CHUNK_BYTES)
        if os.fstat(source.fileno()).st_size <= target.tell():
            return target.tell()
