"""One opened file: its descriptor, which file it is, and a cheap look at whether that file still has a name."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
import stat
from collections.abc import Callable, MutableSequence
from functools import cache, partial
from typing import Final

_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
STANDARD: Final = {"/dev/stdout": 1, "/dev/stderr": 2}

UNLIMITED: Final = 2**62

# struct statx is the same on all architectures (statx(2)): the link count is its fifth 32-bit word.
_AT_EMPTY_PATH: Final = 0x1000
_STATX_NLINK: Final = 0x4
_STATX_BYTES: Final = 256
LINKS: Final = 4


class Opened:
    """An open log file. It is closed when nobody refers to it any more.

    So a thread that is about to write to it cannot meet a descriptor that another thread has closed, or worse, closed
    and opened again as something else.
    """

    __slots__ = ("device", "fd", "generation", "inode", "left", "look", "regular", "status", "until", "words")

    def __init__(self, fd: int, words: MutableSequence[int], *, has_name: bool = True) -> None:
        self.fd = fd
        status = os.fstat(fd)
        self.device, self.inode = status.st_dev, status.st_ino
        self.regular = stat.S_ISREG(status.st_mode)
        self.words = words
        self.generation = words[0]
        self.left = 0
        """Bytes that may be written without asking."""
        self.until = 0.0
        """Until when, on the monotonic clock."""
        self.status = memoryview(bytearray(_STATX_BYTES)).cast("I")
        self.status[LINKS] = 1
        self.look: Callable[[], object] = _look_at(fd, self.status) if has_name else int
        """Brings `status[LINKS]` up to date."""

    def size(self) -> int:
        return os.fstat(self.fd).st_size

    def is_linked(self) -> bool:
        """Whether the file still has a name, whichever."""
        self.look()
        return self.status[LINKS] > 0

    def __del__(self) -> None:
        if self.fd >= 0:
            try:
                os.close(self.fd)
            except OSError:  # the app closed all descriptors
                pass


def nothing_opened() -> Opened:
    """What stands for a file before it is opened: it has room for nothing, and nothing can be written to it."""
    nothing = Opened.__new__(Opened)
    nothing.fd = nothing.generation = -1
    nothing.device = nothing.inode = nothing.left = 0
    nothing.regular = False
    nothing.until = 0.0
    nothing.words = [0]
    nothing.status = memoryview(bytearray(_STATX_BYTES)).cast("I")
    nothing.look = int
    return nothing


def open_file(path: str, mode: int, words: MutableSequence[int]) -> Opened:
    """Open `path` for appending, making it and its folder if need be; OSError if that cannot be.

    A FIFO that nobody reads is an error, not a wait, and so is a write to one that is full.
    """
    if path in STANDARD:
        # Opening it would fail where it is a socket, as under systemd. And it stays what it is even when it is a file
        # that was deleted meanwhile: there is no name under which it could be made again.
        return Opened(os.dup(STANDARD[path]), words, has_name=False)
    try:
        fd = os.open(path, _FLAGS, mode)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120  # a string, as everywhere in here
        fd = os.open(path, _FLAGS, mode)
    # The reader of a FIFO may be stopped; what does not fit then is dropped.
    os.set_blocking(fd, not stat.S_ISFIFO(os.fstat(fd).st_mode))
    return Opened(_out_of_reach(fd), words)


def _out_of_reach(fd: int) -> int:
    """The same file under a high number.

    An app that closes all descriptors (a daemon does) and opens its own gets low numbers: a log line would go into
    its database. With a high number the next write fails instead, and the log is opened again.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = (min(soft, 4096) if soft > 0 else 4096) * 7 // 8
    try:
        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, lowest)
    except OSError as error:
        if error.errno not in {errno.EMFILE, errno.EINVAL}:
            raise
        return fd
    os.close(fd)
    return high


def _look_at(fd: int, status: memoryview[int]) -> Callable[[], object]:
    """What looks at the file and never releases the GIL: asking for it back would cost more than the system call."""
    statx = _statx()
    if statx is not None:
        room = (ctypes.c_char * _STATX_BYTES).from_buffer(status)
        look = partial(statx, fd, b"", _AT_EMPTY_PATH, _STATX_NLINK, ctypes.byref(room))
        if look() == 0:
            return look

    def look_slowly() -> None:
        status[LINKS] = os.fstat(fd).st_nlink

    return look_slowly


@cache
def _statx() -> Callable[..., int] | None:
    try:
        function = ctypes.PyDLL(None)["statx"]
    except AttributeError:  # not Linux, or before glibc 2.28
        return None
    return function  # without argtypes, which would double the cost: all its arguments are ints and pointers
