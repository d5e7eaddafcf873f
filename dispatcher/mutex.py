"""A lock between processes that a crash releases: one `Mutex` in 64 bytes of shared memory.

On Linux (glibc and musl) it is a pthread mutex that is process-shared, robust and recursive, reached through ctypes.
Free, it is taken and given back in about 0.1 µs each without releasing the GIL, because giving the GIL away costs far
more than the lock as soon as other threads want it. Busy, the wait releases the GIL, so that a thread of this process
which holds the mutex can go on, and it wakes every 100 ms, so that Python's signal handlers run even while the holder
is stopped; `patience_seconds` puts an end to it. Where there are no robust mutexes (macOS), `flock` on a file in the
temporary folder stands in.

    try:
        if mutex.acquire():
            ...  # the previous owner died inside: repair the state it may have left half written
        ...
    finally:
        mutex.release()

Call `acquire` inside the `try`: `release` without having acquired does nothing, and an exception that a signal handler
raises between the two cannot leave the mutex locked (the file lock it can). Do nothing in between that waits, or
switches greenlets.

The memory stays mapped while a `Mutex` refers to it (`mmap.close` raises BufferError). A mutex survives fork: the
child shares it, and does not own what the parent holds. All users must live in one PID namespace.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import math
import mmap
import os
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, Protocol
from weakref import WeakSet

_SIZE: Final = 64  # glibc needs 24 to 48 bytes, by architecture, musl 24 to 40; a cache line keeps neighbours apart
_WAIT_SECONDS: Final = 0.1
_POLL_SECONDS: Final = 0.001


class Mutex:
    """The mutex at `offset` (a multiple of 16) of a shared `buffer`, made there once by `Mutex.create`."""

    SIZE: Final = _SIZE

    __slots__ = ("acquire", "release")

    acquire: Callable[[], bool]
    """Wait for the mutex; True when its previous owner died inside. OSError when the memory was overwritten, and
    TimeoutError, which is one, after `patience_seconds`: the holder is stopped, or was never there."""

    release: Callable[[], object]
    """Give the mutex back; nothing happens when this thread does not hold it."""

    def __init__(self, buffer: mmap.mmap, offset: int, *, patience_seconds: float = math.inf) -> None:
        _check(buffer, offset)
        self.acquire, self.release = _native.open(buffer, offset, patience_seconds)

    @staticmethod
    def create(buffer: mmap.mmap, offset: int) -> None:
        """Make an unlocked mutex in place; nobody else may use that memory yet."""
        _check(buffer, offset)
        _native.create(buffer, offset)


def _check(buffer: mmap.mmap, offset: int) -> None:
    if offset < 0 or offset % 16 or offset + _SIZE > len(buffer):
        raise ValueError(f"a mutex needs {_SIZE} bytes at a multiple of 16, not at {offset} of {len(buffer)} bytes")


Calls = tuple[Callable[[], bool], Callable[[], object]]


class _Pthread:
    """The functions of the C library, by how they treat the GIL."""

    def __init__(self) -> None:
        keep_gil, free_gil = ctypes.PyDLL(None), ctypes.CDLL(None)
        self.trylock = self._function(keep_gil, "pthread_mutex_trylock", 1)
        self.unlock = self._function(keep_gil, "pthread_mutex_unlock", 1)
        self.consistent = self._function(keep_gil, "pthread_mutex_consistent", 1)
        self.init = self._function(keep_gil, "pthread_mutex_init", 2)
        self.timedlock = self._function(free_gil, "pthread_mutex_timedlock", 2)
        self.attributes = (ctypes.c_char * 64)()  # at most 8 bytes are used
        keep_gil.pthread_mutexattr_init(self.attributes)
        for name in ("setpshared", "setrobust", "settype"):  # PROCESS_SHARED, ROBUST and RECURSIVE are 1 on Linux
            set_attribute = self._function(keep_gil, f"pthread_mutexattr_{name}", 2)
            set_attribute.argtypes = [ctypes.c_void_p, ctypes.c_int]
            _raise_for(set_attribute(self.attributes, 1))

    @staticmethod
    def _function(library: ctypes.CDLL, name: str, pointers: int) -> ctypes._NamedFuncPointer:
        function = library[name]  # an item, unlike an attribute, is a new object: its argtypes are ours alone
        function.argtypes = [ctypes.c_void_p] * pointers
        function.restype = ctypes.c_int
        return function

    def create(self, buffer: mmap.mmap, offset: int) -> None:
        memory = (ctypes.c_char * _SIZE).from_buffer(buffer, offset)
        ctypes.memset(memory, 0, _SIZE)
        _raise_for(self.init(memory, self.attributes))

    def open(self, buffer: mmap.mmap, offset: int, patience: float) -> Calls:
        address = ctypes.byref((ctypes.c_char * _SIZE).from_buffer(buffer, offset))  # keeps the buffer mapped
        trylock = self.trylock

        def acquire() -> bool:
            code = trylock(address)
            return self._settle(code, address, patience) if code else False

        # A partial of a C function, not a Python function: no signal handler can run, and raise, on the way into it.
        return acquire, partial(self.unlock, address)

    def _settle(self, code: int, address: object, patience: float) -> bool:
        waited = 0.0  # in waits, not by a clock: after all processes together were stopped, the holder gets its time
        while code in {errno.EBUSY, errno.ETIMEDOUT}:
            if waited >= patience:
                raise _timeout()
            waited += _WAIT_SECONDS
            # The deadline is on the wall clock; a step of it makes one wait shorter or longer, never the lock wrong.
            seconds, fraction = divmod(time.time() + _WAIT_SECONDS, 1)
            code = self.timedlock(address, (ctypes.c_long * 2)(int(seconds), int(fraction * 1e9)))
        if code == errno.EOWNERDEAD:
            _raise_for(self.consistent(address))
            return True
        _raise_for(code)
        return False


def _timeout() -> TimeoutError:
    return TimeoutError(errno.ETIMEDOUT, "whoever holds the mutex does not give it back")


def _raise_for(code: int) -> None:
    if code:
        raise OSError(code, os.strerror(code))


class _Flock:
    """The stand-in: in the buffer a token, which names a lock file, and a byte that is 1 while somebody is inside."""

    _TOKEN: Final = 16

    def create(self, buffer: mmap.mmap, offset: int) -> None:
        buffer[offset : offset + _SIZE] = secrets.token_bytes(self._TOKEN).ljust(_SIZE, b"\0")

    def open(self, buffer: mmap.mmap, offset: int, patience: float) -> Calls:
        token = buffer[offset : offset + self._TOKEN]
        if not any(token):
            raise OSError(errno.EINVAL, "the memory holds no mutex")
        lock = _FileLock(
            memoryview(buffer)[offset + self._TOKEN : offset + self._TOKEN + 1], _lock_file(token), patience
        )
        return lock.acquire, lock.release


def _lock_file(token: bytes) -> Path:
    name = hashlib.blake2b(token, digest_size=12).hexdigest()
    return Path(tempfile.gettempdir(), f"dispatcher-{os.getuid()}-{name}.lock")


class _FileLock:
    """`flock` between processes and an `RLock` between threads; each process opens the file for itself.

    It is Python, so an exception that a signal handler raises just here may leave it locked, until the process ends.
    """

    def __init__(self, inside: memoryview, path: Path, patience: float) -> None:
        self._inside = inside
        self._path = path
        self._patience = patience
        self._how = fcntl.LOCK_EX | (fcntl.LOCK_NB if patience < math.inf else 0)
        self.start()
        _file_locks.add(self)

    def start(self) -> None:
        # Once more in a child: the parent's descriptor shares its lock, and a thread that is gone may hold the RLock.
        self._threads = threading.RLock()
        self._owner = self._depth = 0
        self._file = open(self._path, "ab", opener=_private)  # noqa: SIM115  # closed when it is collected

    def acquire(self) -> bool:
        if not self._threads.acquire(timeout=-1 if self._patience == math.inf else self._patience):
            raise _timeout()
        died = False
        try:
            if not self._depth:
                self._lock()
                died, self._inside[0] = bool(self._inside[0]), 1
        except BaseException:
            self._threads.release()
            raise
        self._owner = threading.get_ident()
        self._depth += 1
        return died

    def _lock(self) -> None:
        waited = 0.0
        while True:
            try:
                return fcntl.flock(self._file, self._how)
            except BlockingIOError:
                if waited >= self._patience:
                    raise _timeout() from None
                time.sleep(_POLL_SECONDS)
                waited += _POLL_SECONDS

    def release(self) -> None:
        if self._owner != threading.get_ident():
            return
        self._depth -= 1
        if not self._depth:
            self._owner = self._inside[0] = 0
            fcntl.flock(self._file, fcntl.LOCK_UN)
        self._threads.release()

    def close(self) -> None:
        if hasattr(self, "_file"):  # not, when it could not be opened
            self._file.close()

    __del__ = close


_file_locks: Final[WeakSet[_FileLock]] = WeakSet()


def _start_in_child() -> None:
    for lock in _file_locks:
        lock.close()
        lock.start()


os.register_at_fork(after_in_child=_start_in_child)


def _private(path: str, flags: int) -> int:
    fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if os.fstat(fd).st_uid != os.geteuid():
        os.close(fd)
        raise PermissionError(errno.EPERM, "belongs to another user", path)
    return fd


class _Kind(Protocol):
    def create(self, buffer: mmap.mmap, offset: int) -> None: ...
    def open(self, buffer: mmap.mmap, offset: int, patience: float) -> Calls: ...


def _kind() -> _Kind:
    if sys.platform == "linux":  # elsewhere robust mutexes are missing (macOS) or keep their state outside the memory
        try:
            return _Pthread()
        except (AttributeError, OSError):  # a C library without them
            pass
    return _Flock()


_native: Final = _kind()
