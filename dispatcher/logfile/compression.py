"""Compresses rotated files in a thread of the process that rotated, one file of a log at a time among all processes.

A file is compressed into ``.NAME.gz`` beside the log. When that is whole and on the disk, it takes the name of the
backup with ``.gz``, and the backup is deleted, both under the lock of the log file. A process that is killed half way
leaves the backup as it was, and the next rotation starts again.
"""

from __future__ import annotations

import fcntl
import gzip
import os
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from dispatcher.logfile.backups import GZIP, Backups
from dispatcher.logfile.shared import Knowledge, note_copied

_CHUNK_BYTES: Final = 2**17
_BREATH_SECONDS: Final = 0.001  # after each chunk: under gevent the thread is a greenlet, and others want to run
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_TRAILER: Final = struct.Struct("<II")  # RFC 1952, 2.3.1: CRC32 and size modulo 2³² of what was compressed

_running: Final[dict[str, bool]] = {}  # the logs at work in this process; True: look again before you end
_guard = threading.RLock()  # recursive: a signal handler may log, and so rotate


def start(live: str, backups: Backups, knowledge: Knowledge) -> None:
    """See that the backups of `live` get compressed; returns at once, and raises nothing."""
    with _guard:
        busy = live in _running
        _running[live] = busy  # the thread that is at work looks again
    if not busy:
        thread = threading.Thread(target=_run, args=(live, backups, knowledge), name=f"compress {live}", daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError):  # too many threads, or the interpreter is ending: the next rotation tries
            with _guard:
                _running.pop(live, None)


def _after_fork() -> None:
    global _guard  # noqa: PLW0603  # the parent's threads, and what they hold, are not here
    _guard = threading.RLock()
    _running.clear()


os.register_at_fork(after_in_child=_after_fork)


def _run(live: str, backups: Backups, knowledge: Knowledge) -> None:
    while True:
        try:
            compress_all(live, backups, knowledge)
        except Exception:  # noqa: BLE001, S110  # disk full, folder gone, a bad namer: the plain backups stay as they are
            pass
        with _guard:
            if not _running.get(live):
                _running.pop(live, None)
                return
            _running[live] = False


def compress_all(live: str, backups: Backups, knowledge: Knowledge) -> None:
    """Compress every plain backup of `live`, oldest first, unless another process is at it."""
    tried: set[int] = set()
    while True:
        todo = [(path, inode) for path, inode in _inodes(backups.plain(live)) if inode not in tried]
        if not todo:
            return
        path, inode = todo[-1]
        tried.add(inode)
        with _scratch(live) as scratch:
            if scratch is None:
                return  # whoever is at it looks again after giving up the scratch file
            _compress(path, scratch, live, backups, knowledge)


def _inodes(paths: list[str]) -> Iterator[tuple[str, int]]:
    for path in paths:
        try:
            yield path, os.stat(path).st_ino  # noqa: PTH116
        except FileNotFoundError:  # it has moved on
            pass


@contextmanager
def _scratch(live: str) -> Iterator[IO[bytes] | None]:
    """The empty scratch file of `live`, locked; None if another process has it."""
    path = _scratch_path(live)
    with os.fdopen(os.open(path, _FLAGS, 0o600), "r+b") as scratch:
        try:
            # POSIX locks, unlike flock, stay behind at a fork and end with the process.
            fcntl.lockf(scratch, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
            return
        if not _same_file(path, scratch):
            yield None  # it has just become a backup; its maker looks again
            return
        scratch.truncate(0)
        try:
            yield scratch
        finally:
            if _same_file(path, scratch):
                Path(path).unlink()


def _same_file(path: str, file: IO[bytes]) -> bool:
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(file.fileno()))  # noqa: PTH116
    except FileNotFoundError:
        return False


def _compress(path: str, scratch: IO[bytes], live: str, backups: Backups, knowledge: Knowledge) -> None:
    with Path(path).open("rb") as source:
        done = Path(path + GZIP).exists() and _holds(path + GZIP, source)
        size = 0 if done else _copy(source, scratch)
        with knowledge.held():
            status = os.fstat(source.fileno())
            # Meanwhile it may have moved up, been dropped, or got a record from a writer that was slow.
            now = next((name for name in backups.plain(live) if _same_file(name, source)), None)
            if now is None or (not done and (status.st_size != size or Path(now + GZIP).exists())):
                return
            note_copied(knowledge.words, status.st_ino, status.st_size)
            if not done:
                os.fchmod(scratch.fileno(), status.st_mode & 0o777)
                os.utime(scratch.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
                Path(_scratch_path(live)).rename(now + GZIP)
            Path(now).unlink()


def _scratch_path(live: str) -> str:
    folder, name = os.path.split(live)
    return os.path.join(folder, f".{name}{GZIP}")  # noqa: PTH118


def _copy(source: IO[bytes], scratch: IO[bytes]) -> int:
    """Compress `source` into `scratch`, down to the disk; returns how many bytes were read."""
    size = 0
    with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=scratch) as packed:
        while chunk := source.read(_CHUNK_BYTES):
            size += packed.write(chunk)
            time.sleep(_BREATH_SECONDS)
    scratch.flush()
    os.fsync(scratch.fileno())
    return size


def _holds(compressed: str, source: IO[bytes]) -> bool:
    """Whether `compressed` is `source`: a process was killed after renaming the one and before deleting the other."""
    checksum = size = 0
    while chunk := source.read(_CHUNK_BYTES):
        checksum, size = zlib.crc32(chunk, checksum), size + len(chunk)
    with Path(compressed).open("rb") as packed:
        packed.seek(-_TRAILER.size, os.SEEK_END)
        return packed.read() == _TRAILER.pack(checksum, size % 2**32)
