"""`LogFile`: appends records to a file that other threads and processes append to and rotate as well.

A record is one `write()` on an `O_APPEND` descriptor, which the kernel keeps whole, and no lock is taken for it. What
makes that safe:

- Before it, a writer must hold room. Room in the live file is granted under the lock in pieces (a 16th of what is
  left), so the file never outgrows `max_bytes`, however many write at once. A piece is good for 50 ms.
- After it, the writer looks whether the file still has a name, and whether it is still the live one. If it was
  deleted meanwhile the record is written again, unless it had been in time to be compressed or copied before.
- The path is looked at before a record that comes 50 ms after the last look or later: what was renamed or replaced
  from outside is noticed then, and through shared memory by everybody.

So one system call of a record releases the GIL, the write itself.
"""

from __future__ import annotations

import datetime as dt
import errno
import os
import time
import weakref
from collections.abc import Callable
from os import PathLike
from time import monotonic
from typing import Final, Literal

from dispatcher.logfile.backups import Backups, Dated, Move, Name, Numbered, same_name
from dispatcher.logfile.complaints import Complaints
from dispatcher.logfile.live import NOTHING, Live
from dispatcher.logfile.opened import LINKS, Opened
from dispatcher.logfile.place import Place
from dispatcher.logfile.schedule import Schedule
from dispatcher.logfile.shared import GENERATION, TORN, held_if_possible, was_copied

_write: Final = os.write


class LogFile:
    """The log file at `path`, whose last `backups` predecessors are kept.

    It is rotated before a record that would make it larger than `max_bytes` (0: never for its size), and at the times
    that `when`, `interval`, `at` and `utc` mean to `logging.handlers.TimedRotatingFileHandler` (None: never). With
    `backups=0` and no `when` it is not rotated at all, as nothing may be lost. `compress="gzip"` compresses backups in
    a background thread. `mode` is that of a new file, and `head` what it begins with (a byte order mark). `name` and
    `move` are what `logging` calls namer and rotator; `renames` tells whether `move` does no more than rename now,
    which costs less than handing a file over to it.

    Nothing here raises or waits because of the file: what cannot be written is counted and reported on stderr.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        max_bytes: int = 0,
        backups: int = 0,
        when: str | None = None,
        interval: int = 1,
        at: dt.time | None = None,
        utc: bool = False,
        compress: Literal["gzip"] | None = None,
        mode: int = 0o640,
        head: bytes = b"",
        name: Name = same_name,
        move: Move = os.rename,
        renames: Callable[[], bool] | None = None,
        clock: Callable[[], float] = time.time,
        complaints: Complaints | None = None,
    ) -> None:
        self.path: Final = os.path.abspath(os.fspath(path))  # noqa: PTH100  # of now: the app may change its directory
        self.max_bytes: Final = max_bytes
        self.schedule: Final = None if when is None else Schedule(when, interval, at, utc=utc)
        self._backups: Backups = (
            Numbered(backups, name, move) if self.schedule is None else Dated(backups, self.schedule, name, move)
        )
        self._complaints = complaints or Complaints(self.path)
        rotates = self.schedule is not None or (max_bytes > 0 and backups > 0)
        self._live = Live(
            Place(self.path, self._complaints, rotates=rotates),
            self._backups,
            self._complaints,
            max_bytes=max_bytes,
            schedule=self.schedule,
            compress=compress is not None,
            mode=mode,
            head=head,
            clock=clock,
            renames=renames or (lambda: move is os.rename),
        )
        _all.add(self)

    def write(self, line: bytes, records: int = 1) -> None:
        """Append `line`, which ends with its own line end, as one piece; `records` is how many it counts for."""
        size = len(line)
        file = self._live.file
        words = file.words
        # From the test of `left` to the system call there is no call, so no other thread and no signal handler comes
        # in between.
        if monotonic() < file.until and words[GENERATION] == file.generation and file.left >= size:
            file.left -= size
            try:
                written = _write(file.fd, line)
            except OSError as error:
                file.left += size
                self._recover(file, line, records, error)
                return
            file.look()
            if written != size or not file.status[LINKS] or words[GENERATION] != file.generation:
                self._settle(file, line, records, written)
        else:
            self._write_slowly(line, records)

    def open(self, *, truncate: bool = False) -> None:
        """Make the file now rather than with the first record."""
        try:
            with self._live.place.lock():
                file = self._live.current()
                if truncate:
                    self._live.empty(file)
        except OSError as error:
            self._complaints.unopened(error)

    def rotate(self) -> None:
        """Rotate now, whether it is due or not; an empty file is left as it is."""
        try:
            self._live.rotate()
        except OSError as error:
            self._complaints.unrotated(error)

    def is_due(self, size: int) -> bool:
        """Whether a record of `size` bytes would be the first of a new file."""
        try:
            return self._live.is_due(size)
        except OSError:
            return False

    def too_old(self) -> list[str]:
        """The backups that the next rotation would drop, oldest first."""
        return self._backups.too_old(self._live.place.real)

    def close(self) -> None:
        """Close the file; a record that comes later opens it again."""
        self._live.forget()

    def after_fork(self) -> None:
        self._live.after_fork()

    def _recover(self, file: Opened, line: bytes, records: int, error: OSError) -> None:
        if error.errno != errno.EBADF:
            self._drop(error, records)
            return
        if self._live.file is file:
            self._live.file = NOTHING  # the app closed all descriptors
        self._write_slowly(line, records)

    def _write_slowly(self, line: bytes, records: int) -> None:
        try:
            file = self._live.ready(len(line))
            written = self._write_to(file, line)
        except OSError as error:
            self._drop(error, records)
            return
        if self._complaints.dropping:
            self._complaints.written()
        file.look()
        if written != len(line) or not file.status[LINKS] or file.words[GENERATION] != file.generation:
            self._settle(file, line, records, written)

    def _write_to(self, file: Opened, line: bytes) -> int:
        size = len(line)
        try:
            return _write(file.fd, line)
        except OSError as error:
            file.left += size
            if error.errno == errno.EBADF:
                self._live.file = NOTHING
            raise

    def _drop(self, error: OSError, records: int) -> None:
        self._live.file.until = 0.0  # so that success is noticed
        self._complaints.dropped(error, records)

    def _settle(self, file: Opened, line: bytes, records: int, written: int) -> None:
        """See to a record that was written only in part, or into a file that is no longer the live one."""
        try:
            with held_if_possible(self._live.place.knowledge):
                end = os.lseek(file.fd, 0, os.SEEK_CUR) if file.regular else 0
                self._finish(file, line[written:])
                if file.is_linked() or not file.regular or was_copied(file.words, file.inode, end):
                    return
                if self._live.file is file:
                    self._live.file = NOTHING
        except OSError as error:
            whole = line.count(b"\n", 0, written) if records > 1 else 0
            self._drop(error, max(1, records - whole))
        else:
            self._write_slowly(line, records)

    def _finish(self, file: Opened, rest: bytes) -> None:
        try:
            while rest:
                rest = rest[_write(file.fd, rest) :]
        except OSError:
            # A piece of a record is in the file. Everybody opens it anew, and the first ends that line (`Live`).
            file.words[TORN] = 1
            file.words[GENERATION] += 1
            raise


def _after_fork() -> None:
    for one in list(_all):
        one.after_fork()


_all: Final[weakref.WeakSet[LogFile]] = weakref.WeakSet()
os.register_at_fork(after_in_child=_after_fork)
