"""Collects the records of one process and writes many at once, for those who choose speed over the last second."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Final

from dispatcher.logfile.appending import LogFile


class BatchedLog:
    """Writes to `log` when `size_bytes` have been collected, or the oldest record is `seconds` old, or at exit or fork.

    A process that is killed loses what it has collected. The thread that watches the age is started by the first
    record, so it is in the process that writes; where none can be started, each record is written at once. A log that
    nobody refers to any more is written and ends its thread.
    """

    def __init__(self, log: LogFile, *, size_bytes: int = 65536, seconds: float = 1.0) -> None:
        self.log: Final = log
        # A batch goes to the file as one piece, so a larger one would make the file larger than it may be.
        self._size_bytes = min(size_bytes, log.max_bytes) if log.max_bytes else size_bytes
        self._seconds = seconds
        self._lines: list[bytes] = []
        self._bytes = 0
        self._oldest = 0.0
        self._lock = threading.RLock()  # recursive: a signal handler may log
        self._filling: SimpleQueue[bool] = SimpleQueue()  # True: the first record was taken; False: it is over
        self._watcher: threading.Thread | None = None
        _all.add(self)

    def write(self, line: bytes) -> None:
        """Take `line`, which ends with its own line end; it is written at the latest after `seconds`."""
        with self._lock:
            if self._bytes + len(line) > self._size_bytes:
                self.flush()
            self._lines.append(line)
            self._bytes += len(line)
            if len(self._lines) > 1:
                return
            self._oldest = monotonic()
            if self._watcher is None and not self._watch():
                self.flush()
            else:
                self._filling.put(True)

    def flush(self) -> None:
        """Write what has been collected."""
        with self._lock:
            lines, self._lines, self._bytes = self._lines, [], 0
            if lines:
                self.log.write(b"".join(lines), len(lines))

    def close(self) -> None:
        """Write what has been collected, and close the file; a record that comes later opens it again."""
        self.flush()
        self.log.close()

    def before_fork(self) -> None:
        self._lock.acquire()
        self.flush()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        self._lock = threading.RLock()
        self._filling = SimpleQueue()
        self._watcher = None

    def _watch(self) -> bool:
        watcher = threading.Thread(target=_flush_by_age, args=(self._filling, weakref.ref(self)), daemon=True)
        try:
            watcher.start()
        except (RuntimeError, MemoryError):  # too many threads, or the interpreter is ending
            return False
        self._watcher = watcher
        return True

    def flush_by_age(self) -> float | None:
        """In the watching thread: write if the oldest record is old enough; else the seconds until it is."""
        with self._lock:
            rest = self._oldest + self._seconds - monotonic()
            if rest <= 0:
                self.flush()
            return rest if self._lines else None

    def __del__(self) -> None:
        self._filling.put(False)
        self.flush()


def _flush_by_age(filling: SimpleQueue[bool], reference: weakref.ref[BatchedLog]) -> None:
    rest = None
    while True:
        try:
            if not filling.get(timeout=rest):
                return
        except Empty:
            pass
        if (log := reference()) is None:
            return
        rest = log.flush_by_age()
        del log  # or it would live for as long as this waits


_all: Final[weakref.WeakSet[BatchedLog]] = weakref.WeakSet()


def _each(name: str) -> None:
    for log in list(_all):
        getattr(log, name)()


def flush_all() -> None:
    """At exit: write what any of them has collected."""
    for log in list(_all):
        log.flush()


atexit.register(flush_all)
os.register_at_fork(
    before=lambda: _each("before_fork"),
    after_in_parent=lambda: _each("after_fork_in_parent"),
    after_in_child=lambda: _each("after_fork_in_child"),
)
