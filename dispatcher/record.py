"""What the processes of one site tell each other through files in the site's runtime folder, and what a command reads.

Each run of a server (one gunicorn master, however often its workers change) has a folder of its own there:

``active.json``
    the config that is served: its digest, the very bytes, since when. A worker that starts later begins with this one,
    not with what has become of the file meanwhile.
``rejected.json``
    the last content of the file that was not taken, and why; gone when the file is right again.
``workers/<pid>.json``
    what each worker serves.
``reload.lock``
    held by the worker that tries a new content.
``failing.json``, ``retry.lock``
    why mounts that are waiting cannot be loaded; the lock of the worker that tries them again.
``held.json``
    there while the master replaces the workers: nobody changes what it serves.

Files are replaced whole, and readable by their user alone: the config and its `.env` hold secrets. What another user
could have written is not there for us: it could have the server load any code. Each carries the number of its format;
a worker that starts after an upgrade of this package may find those of the version that the server was started with,
and gets a ValueError.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from dispatcher import owner, runtime
from dispatcher.config import Contents

_RUN: Final = re.compile(r"run-(\d+)-(\d+)")
_FORMAT: Final = 1  # to be raised with every change of what is written
_NOT_THERE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EPERM, errno.EACCES)
_LOCAL: Final = "surrogateescape"  # bytes that are not UTF-8 keep what they are


@dataclass(frozen=True, slots=True)
class Process:
    """A process that is told from a later one with the same `pid` by the time it `started` (clock ticks after boot)."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process:
        return cls(pid, _start_time(pid))

    @property
    def is_alive(self) -> bool:
        """Whether it runs; a process that has ended and waits for its parent does not."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # another user's
        return _start_time(self.pid) == self.started

    def __str__(self) -> str:
        return f"run-{self.pid}-{self.started}"


def _start_time(pid: int) -> int:
    """Field 22 of /proc/<pid>/stat (proc(5)); 0 where there is no /proc, -1 for a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    fields = text.rpartition(")")[2].split()
    return -1 if fields[0] in "ZX" else int(fields[19])


@dataclass(frozen=True, slots=True)
class Active:
    """The content that is served `since` (Unix time), and the keys of the mounts that are `waiting` to be loaded."""

    contents: Contents
    since: float
    waiting: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        return self.contents.digest


@dataclass(frozen=True, slots=True)
class Rejected:
    """A content that was not taken: when its files were written (`stamp`), `at` which time it was tried (Unix time),
    and the `problems`."""

    stamp: tuple[int, ...]
    digest: str
    at: float
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failing:
    """Why a mount that is waiting cannot be loaded: `problems`, the app's `traceback`, how often it was tried with that
    result, and whether it was `told` in the log."""

    problems: tuple[str, ...]
    traceback: str = ""
    tries: int = 1
    told: bool = False

    def text(self) -> str:
        """All of it, for a log."""
        return "\n".join([*self.problems, self.traceback.rstrip()] if self.traceback else self.problems)


@dataclass(frozen=True, slots=True)
class MountState:
    """One mount in one worker: ``serving``, ``loading`` or ``disabled``, and why."""

    key: str
    app: str
    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Worker:
    """What one worker serves: the `digest` of the content, `since` when (Unix time), and its mounts."""

    pid: int
    started: int
    digest: str
    since: float
    mounts: tuple[MountState, ...]

    @property
    def is_alive(self) -> bool:
        return Process(self.pid, self.started).is_alive


_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")
_Method = Callable[Concatenate["Records", _Given], _Found]


def _as_owner(method: _Method[_Given, _Found]) -> _Method[_Given, _Found]:
    """The method with the rights of the user of the workers, where root's master calls it."""

    @wraps(method)
    def run(self: Records, /, *args: _Given.args, **kwargs: _Given.kwargs) -> _Found:
        with owner.acting_for(self.folder):
            return method(self, *args, **kwargs)

    return run


class Records:
    """The records of one run; `folder` is the site's runtime folder, `master` the process that lives as long as it."""

    def __init__(self, folder: Path, master: Process) -> None:
        self.master = master
        self._folder = folder / str(master)

    @property
    def folder(self) -> Path:
        return self._folder

    @property
    def _active_file(self) -> Path:
        return self._folder / "active.json"

    @_as_owner
    def active_stamp(self) -> tuple[int, int]:
        """A value that changes whenever something is activated; zeros before that."""
        with _opened(self._active_file) as handle:
            if handle is None:
                return 0, 0
            status = os.fstat(handle)
        return status.st_ino, status.st_mtime_ns

    @_as_owner
    def active(self) -> Active | None:
        found = _read(self._active_file)
        return None if found is None else Active(_contents(found), found["since"], tuple(found["waiting"]))

    @_as_owner
    def activate(self, active: Active) -> None:
        _write(self._active_file, _plain(active))

    @_as_owner
    def activate_first(self, active: Active) -> None:
        """As `activate`, but the first one of the run stays."""
        _write(self._active_file, _plain(active), replace=False)

    @_as_owner
    def rejected(self) -> Rejected | None:
        found = _read(self._folder / "rejected.json")
        return None if found is None else Rejected(**{**found, **dict(_tuples(found, "stamp", "problems"))})

    @_as_owner
    def reject(self, rejected: Rejected) -> None:
        _write(self._folder / "rejected.json", asdict(rejected))

    @_as_owner
    def forget_rejected(self) -> None:
        (self._folder / "rejected.json").unlink(missing_ok=True)

    @_as_owner
    def failing(self) -> dict[str, Failing]:
        """The mounts that are waiting and have been tried, by key."""
        found = _read(self._folder / "failing.json") or {}
        return {key: Failing(**{**one, "problems": tuple(one["problems"])}) for key, one in found.items()}

    @_as_owner
    def write_failing(self, failing: Mapping[str, Failing]) -> None:
        _write(self._folder / "failing.json", {key: asdict(one) for key, one in failing.items()})

    @_as_owner
    def hold(self) -> None:
        """Have no worker change what it serves, until `let_go`: the master is about to replace them."""
        _write(self._folder / "held.json", {})

    @_as_owner
    def let_go(self) -> None:
        (self._folder / "held.json").unlink(missing_ok=True)

    @_as_owner
    def is_held(self) -> bool:
        return _read(self._folder / "held.json") is not None

    @_as_owner
    def workers(self) -> list[Worker]:
        """The workers that have written what they serve, by pid; also those that have ended since by a kill."""
        files = (self._folder / "workers").glob("*.json")
        found = [one for one in map(_read, files) if one is not None]
        workers = [Worker(**{**one, "mounts": tuple(MountState(**mount) for mount in one["mounts"])}) for one in found]
        return sorted(workers, key=lambda worker: worker.pid)

    @_as_owner
    def write_worker(self, worker: Worker) -> None:
        _write(self._worker_file(worker.pid), asdict(worker))

    @_as_owner
    def remove_worker(self, pid: int) -> None:
        self._worker_file(pid).unlink(missing_ok=True)

    def _worker_file(self, pid: int) -> Path:
        return self._folder / "workers" / f"{pid}.json"

    @_as_owner
    def lock(self, name: str = "reload") -> Lock | None:
        """The lock of whoever tries a new content, or of another `name`; None while another process holds it."""
        runtime.make_folder(self._folder)
        handle = os.open(self._folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        return Lock(handle)

    @_as_owner
    def remove(self) -> None:
        """At the end of the run: remove all of it; the config and its `.env` lie nowhere else afterwards."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def remove_stale(self) -> None:
        """Remove what killed workers and runs that have ended have left behind."""
        for worker in self.workers():
            if not worker.is_alive:
                self.remove_worker(worker.pid)
        for other in runs(self._folder.parent):
            if not other.master.is_alive:
                other.remove()


class Lock:
    """Held until `release`, or until the process ends, however it does."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._pid = os.getpid()

    def release(self) -> None:
        if os.getpid() == self._pid:  # a fork shares the lock; it is its parent's to release
            fcntl.flock(self._handle, fcntl.LOCK_UN)
        os.close(self._handle)


def runs(folder: Path) -> list[Records]:
    """The runs that have left records in a site's runtime `folder`, the latest last; none where it is not ours."""
    with owner.acting_for(folder):
        names = [name for path in folder.glob("run-*") if (name := _RUN.fullmatch(path.name)) and _is_ours(path)]
    found = [Process(int(name[1]), int(name[2])) for name in names]
    return [Records(folder, master) for master in sorted(found, key=lambda one: (one.started, one.pid))]


def _is_ours(path: Path) -> bool:
    with _opened(path) as handle:
        return handle is not None


def _read(file: Path) -> dict[str, Any] | None:
    with _opened(file) as handle:
        if handle is None:
            return None
        with os.fdopen(handle, "rb", closefd=False) as stream:
            found: dict[str, Any] = json.loads(stream.read())
    if found.pop("format", None) != _FORMAT:
        raise ValueError(f"{file} was written by another version of dispatcher")
    return found


@contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    """A descriptor of `path`; None where there is none, or one that another user could have made."""
    try:
        handle = runtime.open_ours(path)
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise
        handle = None
    try:
        yield handle
    finally:
        if handle is not None:
            os.close(handle)


def _write(file: Path, data: dict[str, Any], *, replace: bool = True) -> None:
    runtime.make_folder(file.parent)
    new = file.with_name(f".{file.name}.{os.getpid()}.{time.monotonic_ns()}")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(json.dumps({**data, "format": _FORMAT}).encode("ascii"))
        if replace:
            new.rename(file)
        else:
            file.hardlink_to(new)
    except FileExistsError:
        pass  # another was first, as it may be only where nothing is replaced
    finally:
        new.unlink(missing_ok=True)


def _plain(active: Active) -> dict[str, Any]:
    contents = active.contents
    env = None if contents.env is None else contents.env.decode(errors=_LOCAL)
    return {
        "digest": active.digest,
        "since": active.since,
        "waiting": active.waiting,
        "config": contents.config.decode(errors=_LOCAL),
        "env": env,
    }


def _contents(found: dict[str, Any]) -> Contents:
    env = found["env"]
    return Contents(found["config"].encode(errors=_LOCAL), None if env is None else env.encode(errors=_LOCAL))


def _tuples(found: dict[str, Any], *names: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
    return ((name, tuple(found[name])) for name in names)
