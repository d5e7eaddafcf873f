"""Collects the records of one process and writes many at once, for those who choose speed over the last second."""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from queue import SimpleQueue
from time import monotonic
from typing import Final

from dispatcher.logfile.appending import LogFile


class BatchedLog:
    """Writes to `log` when `size_bytes` have been collected, or the oldest record is `seconds` old, or at exit or fork.

    A process that is killed loses what it has collected. The thread that watches the age is started by the first
    record, so it is in the process that writes.
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
        self._waiting: SimpleQueue[BatchedLog | None] = SimpleQueue()
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
            if self._watcher is None:
                self._watch()
            self._waiting.put(self)

    def flush(self) -> None:
        """Write what has been collected."""
        with self._lock:
            lines, self._lines, self._bytes = self._lines, [], 0
            if lines:
                self.log.write(b"".join(lines))

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
        self._waiting = SimpleQueue()
        self._watcher = None

    def _watch(self) -> None:
        # The thread refers to the log only while records wait: one that is dropped ends its thread.
        weakref.finalize(self, self._waiting.put, None).atexit = False
        self._watcher = threading.Thread(target=_flush_by_age, args=(self._waiting,), daemon=True)
        self._watcher.start()

    def flush_by_age(self) -> None:
        """In the watching thread: wait until the oldest record is old enough, and write."""
        while True:
            with self._lock:
                rest = self._oldest + self._seconds - monotonic()
                if rest <= 0:
                    self.flush()
                if not self._lines:
                    return
            time.sleep(rest)


def _flush_by_age(waiting: SimpleQueue[BatchedLog | None]) -> None:
    while (log := waiting.get()) is not None:
        log.flush_by_age()
        del log


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
