"""Where the processes of one site meet: a folder for what they share, private to the user they run as.

`site_folder` names it from the place of the config file and from which of a few base folders can be used now, so that
every worker finds the same one; a shell of another environment may have another base, and asks `site_folders`. A base
may come and go while a site serves (`$XDG_RUNTIME_DIR` goes when its user logs out): who keeps a file open there asks
`moved` from time to time, as all others go to another base. `make_folder` makes a folder, and `open_ours` opens what is
in one; both refuse what another local user has prepared. Names are short: a unix socket in the folder must fit into
104 bytes.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import Final

_SHARED: Final = ("/dev/shm", "/run")  # noqa: S108  # what is in them is checked
_NAME: Final = re.compile("[0-9a-f]{16}")


def site_folder(config_file: Path) -> Path:
    """``<base>/dispatcher-<uid>/<hash>`` for the site of `config_file`; nothing is created.

    The base is `$XDG_RUNTIME_DIR` where that folder is ours, else /dev/shm or /run where we may write, but none of them
    in which another user has taken our name; else the temporary folder. The hash is of the absolute path; links are not
    followed, so that a site keeps its folder when a deployment turns a link to the next release.
    """
    return _base() / _user_folder() / _name(config_file)


def site_folders(config_file: Path) -> list[Path]:
    """Where the folder of the site of `config_file` may be, for who does not know the environment of its server: a
    service of the system, say, has no `$XDG_RUNTIME_DIR`, and the shell of the same user has."""
    sessions = {os.environ.get("XDG_RUNTIME_DIR") or "/nonexistent", f"/run/user/{os.geteuid()}"}
    bases = [_base(), *map(Path, sorted(sessions)), *map(Path, _SHARED), Path(tempfile.gettempdir())]
    folders = [base / _user_folder() / _name(config_file) for base in dict.fromkeys(bases)]
    return [folder for folder in folders if folder.is_dir()]


def moved(path: Path) -> Path:
    """Where a file or folder right in a folder that `site_folder` has named is to be by now; else `path` itself."""
    folder = path.parent
    if folder.parent.name != _user_folder() or not _NAME.fullmatch(folder.name):
        return path
    return _base() / folder.parent.name / folder.name / path.name


def _name(config_file: Path) -> str:
    place = os.path.abspath(config_file).encode(errors="surrogateescape")  # noqa: PTH100
    return hashlib.blake2b(place, digest_size=8).hexdigest()


def make_folder(path: Path) -> None:
    """Make `path` and what is missing above it, with mode 0700; do nothing when it is there.

    OSError when `path`, or a folder above it, up to the user's own, is a link, belongs to another user or is writable
    by others.
    """
    for folder in reversed((path, *path.parents)):
        if folder == path or _user_folder() in folder.parts or not folder.exists():
            _make_private(folder)


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass  # by us, or by somebody else: that is checked now
    _check(folder)


def open_ours(path: Path) -> int:
    """A descriptor to read the file or folder `path` with, which the caller closes.

    OSError when it or a folder above it, up to the user's own, is missing, is a link, belongs to another user than us
    or root, or is writable by others. Each is opened in the one before, so that none can be exchanged in between.
    """
    own = next((parent for parent in (path, *path.parents) if parent.name == _user_folder()), path.parent)
    handle = _open_checked(own, own, None)
    for name in path.relative_to(own).parts:
        own /= name
        folder = handle
        try:
            handle = _open_checked(own, name, folder)
        finally:
            os.close(folder)
    return handle


def _open_checked(path: Path, name: str | Path, folder: int | None) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe would have us wait
    handle = os.open(name, flags, dir_fd=folder)
    try:
        _check_opened(os.fstat(handle), path)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _check_opened(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISDIR(status.st_mode) and not stat.S_ISREG(status.st_mode):
        raise PermissionError(errno.EPERM, "is neither a file nor a folder", str(path))
    _check_owner(status, path, os.geteuid(), 0)


def _check(folder: Path) -> None:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "is not a folder", str(folder))
    _check_owner(status, folder, os.geteuid())


def _check_owner(status: os.stat_result, path: Path, *uids: int) -> None:
    if status.st_uid not in uids:
        raise PermissionError(errno.EPERM, "belongs to another user", str(path))
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(errno.EPERM, "is writable by other users", str(path))


def _user_folder() -> str:
    return f"dispatcher-{os.geteuid()}"


def _base() -> Path:
    session = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(session) and _is_ours(session) and _is_free(session):  # noqa: PTH117
        return Path(session)
    for folder in _SHARED:
        if os.access(folder, os.W_OK | os.X_OK) and _is_free(folder):
            return Path(folder)
    return Path(tempfile.gettempdir())


def _is_free(base: str) -> bool:
    """Whether our folder can be in `base`: in /dev/shm anybody can take its name, and only he can give it back."""
    try:
        _check(Path(base, _user_folder()))
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _is_ours(folder: str) -> bool:
    try:
        status = os.stat(folder)  # noqa: PTH116
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
