"""`Live`: the file that a log's path names now: finds and opens it, grants room in it, and rotates it.

Everything here runs under the lock that all writers of the path share, and in no order a process could be killed in
does it leave anything that the next one cannot go on from.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from time import monotonic
from typing import Final

from dispatcher.logfile import compression
from dispatcher.logfile.aside import put_away
from dispatcher.logfile.backups import Backups
from dispatcher.logfile.complaints import Complaints
from dispatcher.logfile.opened import UNLIMITED, Opened, nothing_opened, open_file
from dispatcher.logfile.place import LOOK_SECONDS, Place
from dispatcher.logfile.schedule import Schedule
from dispatcher.logfile.shared import (
    GENERATION,
    GRANTED_MS,
    INODE,
    ROTATING,
    SIZE,
    STARTED_MS,
    TORN,
    BusyError,
    forget_copied,
    held_if_possible,
)

_FORGET_MS: Final = 1000  # room that was granted earlier is used, or its owner is gone
_PIECES: Final = 16  # of the room that is left; more would cost more locking, fewer would rotate small files too early
_LARGEST_GRANT: Final = 65536
_OPEN_AGAIN_SECONDS: Final = 0.01
_ROTATE_AGAIN_SECONDS: Final = 1.0
_LOCK_AGAIN_SECONDS: Final = 10.0

NOTHING: Final = nothing_opened()


class Live:
    """The live file at `place`, rotated into `backups` before it outgrows `max_bytes` and by `schedule`.

    `renames` tells whether `backups` only renames it; a rotator that may read it gets a copy (`aside`).
    """

    def __init__(
        self,
        place: Place,
        backups: Backups,
        complaints: Complaints,
        *,
        max_bytes: int = 0,
        schedule: Schedule | None = None,
        compress: bool = False,
        mode: int = 0o640,
        head: bytes = b"",
        clock: Callable[[], float] = time.time,
        renames: Callable[[], bool] = lambda: True,
    ) -> None:
        self.place = place
        self._renames = renames
        self._backups = backups
        self._complaints = complaints
        self._max_bytes = max_bytes
        self._schedule = schedule
        self._compress = compress
        self._mode = mode
        self._head = head
        self._clock = clock
        self._open_again = self._rotate_again = self._lock_again = 0.0
        self._open_error = OSError()
        self.file: Opened = NOTHING
        """What was opened last; it may have been replaced since."""

    def ready(self, size: int) -> Opened:
        """The live file with room for `size` bytes, which are taken; OSError if there is no such file."""
        if monotonic() < self._lock_again:
            return self._without_lock()
        try:
            with self.place.lock():
                return self._ready(size)
        except BusyError as error:
            self._complaints.unrotated(error)
            self._lock_again = monotonic() + _LOCK_AGAIN_SECONDS
            return self._without_lock()

    def _ready(self, size: int) -> Opened:
        if self._lock_again:
            self._lock_again, self.file = 0.0, NOTHING  # what was opened without the lock is not known to the others
        looks = monotonic() >= self.file.until
        file = self.current()
        if self._may_rotate(file):
            return self._with_room(file, size, looked=looks)
        file.left = UNLIMITED
        return file

    def _without_lock(self) -> Opened:
        """The live file, which is not rotated."""
        now, file, words = monotonic(), self.file, self.place.knowledge.words
        known = file.words is words and file.generation == words[GENERATION]
        if not known or not self._is_at_path(file):
            file = self.file = self._open(now)
        file.left = UNLIMITED
        file.until = now + LOOK_SECONDS
        return file

    def rotate(self) -> None:
        """Rotate now, due or not; an empty file is left as it is."""
        with self.place.lock():
            self.file.until = 0.0
            file = self.current()
            if self._may_rotate(file) and self._has_records(file):
                self._rotate(file)

    def is_due(self, size: int) -> bool:
        """Whether a record of `size` bytes would be the first of a new file."""
        with self.place.lock():
            self.file.until = 0.0
            file = self.current()
            return file.regular and (self._is_full(file.size(), size) or self._is_over())

    def empty(self, file: Opened) -> None:
        """Under the lock: take out what is in the live file."""
        if file.regular:
            os.ftruncate(file.fd, 0)
            os.write(file.fd, self._head)

    def forget(self) -> None:
        """Close the file, and give back the room that it had."""
        with held_if_possible(self.place.knowledge):
            self._take_back(self.file)
            self.file = NOTHING

    def after_fork(self) -> None:
        """In the child: the room is the parent's, and so is the thread that may have held the lock."""
        self.file.left = 0
        self.place.after_fork()

    def current(self) -> Opened:
        """Under the lock: the file that the path names now, opened if it was not."""
        now = monotonic()
        file = self.file
        known = file.words is self.place.knowledge.words and file.generation == file.words[GENERATION]
        if known and now < file.until:
            return file
        if not known or not self._is_at_path(file):
            file = self._reopen(now)
        file.until = now + LOOK_SECONDS
        if self._schedule is not None:
            file.until = min(file.until, now + self._schedule.due(self._started()) - self._clock())
        return file

    def _reopen(self, now: float) -> Opened:
        old = self.file
        try:
            file = self._open(now)
        except OSError:
            if old.is_linked():
                return old  # no descriptor left, or no permission: better in the renamed file than nowhere
            raise
        if file.regular:
            self._adopt(file)
        self._end_torn(file)
        self.file = file
        return file

    def _open(self, now: float) -> Opened:
        if now < self._open_again:
            raise OSError(*self._open_error.args)
        try:
            file = open_file(self.place.real, self._mode, self.place.knowledge.words)
        except OSError as error:
            self._open_again, self._open_error = now + _OPEN_AGAIN_SECONDS, error
            raise
        return file

    def _adopt(self, file: Opened) -> None:
        """Make the shared knowledge fit the live file, which may have been put there by anybody."""
        words = file.words
        if self._head and not file.size():
            os.write(file.fd, self._head)
        status = os.fstat(file.fd)
        if words[INODE] != file.inode:
            words[INODE] = file.inode
            words[SIZE] = status.st_size
            words[STARTED_MS] = int((status.st_mtime if status.st_size > len(self._head) else self._clock()) * 1000)
            words[GENERATION] += 1
        elif status.st_size and status.st_mtime < self._started() - 0.5:
            words[STARTED_MS] = int(status.st_mtime * 1000)
        forget_copied(words, file.inode)
        file.generation = words[GENERATION]

    def _end_torn(self, file: Opened) -> None:
        if file.words[TORN]:
            os.write(file.fd, b"\n")
            file.words[TORN] = 0

    def _is_at_path(self, file: Opened) -> bool:
        return self.place.is_at_path(file.device, file.inode)

    def _may_rotate(self, file: Opened) -> bool:
        return file.regular and self.place.shared

    def _with_room(self, file: Opened, size: int, *, looked: bool) -> Opened:
        words = file.words
        self._take_back(file)
        now_ms = int(monotonic() * 1000)
        if looked:
            forgotten = now_ms - words[GRANTED_MS] > _FORGET_MS
            words[SIZE] = file.size() if forgotten else max(words[SIZE], file.size())
        if self._is_full(words[SIZE], size) or (looked and self._is_over() and self._has_records(file)):
            file = self._rotate(file)
        words[GRANTED_MS] = now_ms
        if not self._max_bytes:
            file.left = UNLIMITED
            return file
        room = max(size, min((self._max_bytes - words[SIZE]) // _PIECES, _LARGEST_GRANT))
        words[SIZE] += room
        file.left = room - size
        return file

    def _take_back(self, file: Opened) -> None:
        # No call in between: another thread may be taking from `left` without the lock.
        left, file.left = file.left, 0
        if self._max_bytes and file.generation == file.words[GENERATION] and left < UNLIMITED // 2:
            file.words[SIZE] = max(0, file.words[SIZE] - left)

    def _is_full(self, used: int, size: int) -> bool:
        return used > len(self._head) and 0 < self._max_bytes < used + size

    def _has_records(self, file: Opened) -> bool:
        return file.size() > len(self._head)

    def _is_over(self) -> bool:
        return self._schedule is not None and self._clock() >= self._schedule.due(self._started())

    def _started(self) -> float:
        return self.place.knowledge.words[STARTED_MS] / 1000

    def _rotate(self, file: Opened) -> Opened:
        """Put the live file away and open a new one; the same file if that cannot be."""
        words = file.words
        if words[ROTATING] or monotonic() < self._rotate_again:
            return file  # ROTATING: a signal handler logs in the middle of it
        if self.place.knowledge.replaced():
            self.place.look_again()
            return file
        if self._is_at_path(file):
            words[ROTATING] = 1
            try:
                put_away(self.place.real, self._backups, words, self._started(), renames=self._renames())
            except Exception as error:  # noqa: BLE001  # also what a rotator of the app's own raises
                self._complaints.unrotated(error)
                self._rotate_again = monotonic() + _ROTATE_AGAIN_SECONDS
            finally:
                words[ROTATING] = 0
            if self._is_at_path(file):
                return file
        words[GENERATION] += 1
        words[INODE] = 0  # the number of a deleted file may come back at once
        file = self.current()
        if self._compress:
            compression.start(self.place.real, self._backups, self.place.knowledge)
        return file
