"""A file that several processes map: created whole, once, private to its owner, and never one of an earlier boot.

`open_mapping` returns shared memory whose first `HEADER` bytes are this file's own and whose rest `initialise` has
filled before anybody else saw it. Its blocks exist on the disk, so a full disk is an OSError here and not a SIGBUS
later. A file of another layout, size or boot is not changed but replaced: whoever has the old one mapped keeps it.

What is done when the file is deleted or replaced while it is in use is the caller's question; `replaced` answers
whether it happened, at the price of one `stat`. One path must be used with one size and one layout at a time, else
the processes replace each other's file.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import mmap
import os
import stat
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

HEADER: Final = 64
"""Bytes at the start of a mapping that are not the caller's."""

_MAGIC: Final = b"wsgi-dsp"
_FORMAT: Final = struct.Struct("=8sIIQQQ16s8x")  # magic, complete, layout, size, device, inode, boot
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def open_mapping(path: Path, size: int, initialise: Callable[[mmap.mmap], None], *, layout: int = 1) -> mmap.mmap:
    """Map `size` bytes of the file at `path`, MAP_SHARED, making the file if need be; its folder must exist.

    `initialise` fills a new file, all zeros from `HEADER` on, while other processes wait; `layout` is the version of
    what it writes. OSError if the file cannot be made, is not a regular file of ours that only we may write, or holds
    something else. One that others may read gets its mode 0600 back.
    """
    while True:
        fd = os.open(path, _FLAGS, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            buffer = _map(fd, path, size, initialise, layout)
        finally:
            # Closing is not enough: mmap keeps a duplicate, and a child that was forked meanwhile has another one.
            fcntl.flock(fd, fcntl.LOCK_UN)
            os.close(fd)
        if buffer is not None:
            return buffer


def view_mapping(path: Path, layout: int) -> mmap.mmap | None:
    """Map the file at `path` to read, as it is; None when it is not a whole one of this layout and boot. OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return None
        if os.pread(fd, HEADER, 0) != _header(status, status.st_size, layout, complete=True):
            return None
        return mmap.mmap(fd, status.st_size, access=mmap.ACCESS_READ)
    finally:
        os.close(fd)


def replaced(buffer: mmap.mmap, path: Path) -> bool:
    """Whether another file of the same kind now stands at `path`, so that `open_mapping` would map that one.

    One that is deleted is not replaced yet. Nor is one that another boot, or another container, has put there: both
    sides would replace each other's file for ever.
    """
    layout, size, *ours = _FORMAT.unpack_from(buffer)[2:6]
    try:
        now = os.stat(path, follow_symlinks=False)  # noqa: PTH116  # a third of the cost of Path.stat
        if [now.st_dev, now.st_ino] == ours:
            return False
        with path.open("rb") as file:
            return file.read(HEADER) == _header(now, size, layout, complete=True)
    except OSError:
        return False


def identity(buffer: mmap.mmap) -> tuple[int, int]:
    """The device and the inode of the file that `open_mapping` has just mapped; no other's while it stays mapped."""
    device, inode = _FORMAT.unpack_from(buffer)[4:6]
    return device, inode


def discard(path: Path, identity: tuple[int, int]) -> None:
    """Delete the file at `path` if it is still the one of that `identity`, so that the next one to open it makes a new
    one. OSError, also while another process holds its lock."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # who finds a file that is gone once he has this opens it again
        status = os.fstat(fd)
        if (status.st_dev, status.st_ino) == identity and _stands_at(path, status):
            path.unlink()
    finally:
        os.close(fd)


def _map(fd: int, path: Path, size: int, initialise: Callable[[mmap.mmap], None], layout: int) -> mmap.mmap | None:
    """The mapped file, or None when the caller has to open the path again because this file is no longer its file."""
    status = os.fstat(fd)
    _refuse_strangers(status, path)
    if stat.S_IMODE(status.st_mode) != 0o600:
        os.fchmod(fd, 0o600)  # `chmod -R g+r` on the folder
    if not _stands_at(path, status):
        return None
    head = os.pread(fd, HEADER, 0)
    if head == _header(status, size, layout, complete=True) and status.st_size == size:
        return mmap.mmap(fd, size)
    if head and not head.startswith(_MAGIC):
        raise FileExistsError(errno.EEXIST, "holds something else, and is not overwritten", str(path))
    if head:
        path.unlink()  # of another layout, size or boot, or its maker died half way: others may have it mapped
        return None
    return _fill(fd, path, size, initialise, layout)


def _fill(fd: int, path: Path, size: int, initialise: Callable[[mmap.mmap], None], layout: int) -> mmap.mmap:
    status = os.fstat(fd)
    try:
        os.pwrite(fd, _header(status, size, layout, complete=False), 0)
        _allocate(fd, size)
        buffer = mmap.mmap(fd, size)
        initialise(buffer)
        buffer[:HEADER] = _header(status, size, layout, complete=True)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return buffer


def _header(status: os.stat_result, size: int, layout: int, *, complete: bool) -> bytes:
    # The inode is in it, so that a copy of the file is not taken for the file.
    return _FORMAT.pack(_MAGIC, complete, layout, size, status.st_dev, status.st_ino, _boot())


def _refuse_strangers(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "is not a regular file", str(path))
    if status.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "belongs to another user", str(path))
    if stat.S_IMODE(status.st_mode) & 0o022:
        raise PermissionError(errno.EPERM, "may be written by other users; its mode must be 0600", str(path))


def _stands_at(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(status, path.lstat())
    except FileNotFoundError:
        return False


def _allocate(fd: int, size: int) -> None:
    try:
        os.posix_fallocate(fd, 0, size)
    except (AttributeError, OSError) as error:  # macOS has no such call, musl on ZFS or NFS refuses it
        if getattr(error, "errno", errno.EOPNOTSUPP) not in {errno.EOPNOTSUPP, errno.EINVAL}:
            raise
        zeros = bytes(2**16)
        for start in range(HEADER, size, len(zeros)):
            os.pwrite(fd, zeros[: size - start], start)


@cache
def _boot() -> bytes:
    """16 bytes that differ after a reboot, and in another PID or time namespace, where thread ids and clocks differ."""
    digest = hashlib.blake2b(_boot_id(), digest_size=16)
    for namespace in ("/proc/self/ns/pid", "/proc/self/ns/time"):
        try:
            digest.update(os.fsencode(Path(namespace).readlink()))
        except OSError:  # not Linux, or an old one
            pass
    return digest.digest()


def _boot_id() -> bytes:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes()
    except OSError:
        pass
    name = ctypes.create_string_buffer(64)
    try:  # macOS
        ctypes.CDLL(None).sysctlbyname(b"kern.bootsessionuuid", name, ctypes.byref(ctypes.c_size_t(64)), None, 0)
    except AttributeError:
        pass
    return name.value
