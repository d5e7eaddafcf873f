"""Loads apps on trial, in a fresh interpreter, so that what they do while they load is done to nobody else.

An import may call `os._exit`, crash, never return, or change what belongs to the whole process. A fork of a worker
would not do for finding that out: other threads of the worker hold locks at that moment, and its modules are loaded
already.

The interpreter takes a third of a second to start. `Trial` starts it, so that this time can pass before there is
something to try, and for each `run` it forks: it has one thread and no code of the site in it, and the next run finds
it as it was. It ends with its parent, because its input ends then.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

from dispatcher import catalog, compose, config, owner, serversettings
from dispatcher.compose import MountedApp
from dispatcher.config import Config, Contents
from dispatcher.errors import DispatcherError

_LOCAL: Final = "surrogateescape"
_START: Final = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from dispatcher import trial; trial.main()"
_SPARE_SECONDS: Final = 20.0  # for the interpreter itself, on a machine that has much to do


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a mount cannot be loaded: `problems` as they are shown, and the app's own `traceback` if there is one.

    `ends_process` is set by a start, where loading the mount ends the process or does not end.
    """

    problems: tuple[str, ...]
    traceback: str = ""
    ends_process: bool = False

    def texts(self) -> tuple[str, ...]:
        """All of it, for a log."""
        return (*self.problems, self.traceback.rstrip()) if self.traceback else self.problems


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a trial found: the mounts that `failed`, those that were not tried because the interpreter ended
    (`untried`), and what is wrong with the site as a whole (`fatal`)."""

    failed: Mapping[str, Failure] = field(default_factory=dict)
    untried: tuple[str, ...] = ()
    fatal: tuple[str, ...] = ()


class Trial:
    """A fresh interpreter with this package loaded, for any number of runs one after the other; `close` ends it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """`environ` is its environment: this process's own, without what the `.env` of a config has set in it."""
        reader, writer = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and our own code
                [sys.executable, "-c", _START, json.dumps(sys.path), str(writer)],
                env=dict(environ),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,  # what the apps print as they load, they print again in the worker
                stderr=subprocess.DEVNULL,
                pass_fds=(writer,),
                start_new_session=True,  # a terminal's Ctrl-C is for the server
            )
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        self._reader = reader
        self._said = b""
        self._child = 0  # the process of the run, and the group of what it has started

    def run(self, site: Config, contents: Contents, keys: Sequence[str]) -> Outcome:
        """Load the mounts `keys` of `site`, which was read from `contents`, and prepare all of its middleware."""
        job = {
            "file": str(site.file),
            "config": contents.config.decode(errors=_LOCAL),
            "env": None if contents.env is None else contents.env.decode(errors=_LOCAL),
            "keys": list(keys),
            "identity": serversettings.identity(site.server) if os.geteuid() == 0 else None,
        }
        keys = [mount.key for mount in site.mounts if mount.key in keys]  # in the order in which they are loaded
        timeouts = {mount.key: mount.load_timeout or site.load_timeout for mount in site.mounts}
        patience = site.load_timeout + _SPARE_SECONDS
        loading = ""
        failed: dict[str, Failure] = {}
        self._send(job)
        while True:
            try:
                message = self._next(patience)
            except TimeoutError:
                self._end_child()
                seconds = timeouts.get(loading, site.load_timeout)
                return _ended(site, keys, failed, loading, f"took longer than load_timeout ({seconds:g}s)")
            match message:
                case {"pid": pid}:
                    self._child = pid
                case {"loading": key}:
                    loading, patience = key, timeouts[key]
                case {"failed": key, "problems": problems, "traceback": text}:
                    failed[key] = Failure(tuple(problems), text)
                case {"fatal": problems}:
                    self._end_child()
                    return Outcome(failed, (), tuple(problems))
                case {"ended": code}:
                    _kill_group(self._child)
                    return _ended(site, keys, failed, loading, f"ended the process with {_how(code)}")
                case _:
                    return Outcome(failed, tuple(keys), ("the interpreter that was to try the apps has ended",))

    @property
    def is_usable(self) -> bool:
        """Whether it can take another run."""
        return self._process.poll() is None

    def _end_child(self) -> None:
        """End what was forked for this run, and what the apps have started there."""
        _kill_group(self._child)
        try:
            while "ended" not in (self._next(_SPARE_SECONDS) or {"ended": None}):
                pass  # what it said before it was ended
        except TimeoutError:
            self._process.kill()

    def close(self) -> None:
        """End the interpreter and everything that it has started."""
        _kill_group(self._child)
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                pass
        os.close(self._reader)

    def _send(self, job: dict[str, Any]) -> None:
        if self._process.stdin is None:
            raise AssertionError("made with a pipe")
        try:
            self._process.stdin.write(json.dumps(job).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended already, which its messages tell

    def _next(self, seconds: float) -> dict[str, Any] | None:
        """The next thing it says, None at its end; TimeoutError when it says nothing for `seconds`."""
        while b"\n" not in self._said:
            ready, _, _ = select.select([self._reader], [], [], seconds)
            if not ready:
                raise TimeoutError
            chunk = os.read(self._reader, 65536)
            if not chunk:
                return None
            self._said += chunk
        line, _, self._said = self._said.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found


def _kill_group(pid: int) -> None:
    try:
        if pid:
            os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # all of it has ended


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def try_all(
    site: Config, contents: Contents, keys: Sequence[str], *, environ: Mapping[str, str], trial: Trial | None = None
) -> Outcome:
    """Load the mounts `keys` of `site`, which was read from `contents`, in as many runs as it takes: one that ends or
    hangs is followed by another for the rest. `trial` is an interpreter that has been started already, and goes on."""
    used = trial if trial is not None and trial.is_usable else Trial(environ)
    failed: dict[str, Failure] = {}
    try:
        while True:
            outcome = used.run(site, contents, keys)
            failed |= outcome.failed
            if outcome.fatal or not outcome.untried:
                return Outcome(failed, outcome.untried, outcome.fatal)
            keys = outcome.untried
    finally:
        if used is not trial:
            used.close()


def _ended(site: Config, keys: Sequence[str], failed: dict[str, Failure], loading: str, what: str) -> Outcome:
    """The outcome where the interpreter is no more, or is not waited for, while it was `loading` a mount."""
    if not loading:
        problem = site.problem(("middleware",), f"preparing the middleware {what}")
        return Outcome(untried=tuple(keys), fatal=(str(problem),))
    mount = next(mount for mount in site.mounts if mount.key == loading)
    problem = site.problem((*mount.path, "app"), f"loading {mount.app!r} {what}")
    rest = keys[keys.index(loading) + 1 :]
    return Outcome({**failed, loading: Failure((str(problem),))}, tuple(rest))


def main() -> None:
    """In the fresh interpreter: have each job that comes in done by a fork, and say how that ended."""
    writer = int(sys.argv[2])
    sys.argv[1:] = []

    def say(message: dict[str, Any]) -> None:
        os.write(writer, json.dumps(message).encode() + b"\n")

    while line := sys.stdin.readline():
        pid = os.fork()
        if pid == 0:
            _be_tried(line, say)
        _, status = os.waitpid(pid, 0)
        say({"ended": os.waitstatus_to_exitcode(status)})


def _be_tried(line: str, say: Callable[[dict[str, Any]], None]) -> NoReturn:
    """In the fork: do the job, say what came of it, and wait to be ended, without the apps' exit handlers."""
    os.setsid()
    say({"pid": os.getpid()})
    # In a thread, as in a worker that loads while it serves: what only a main thread may do fails here as well.
    threading.Thread(target=_work, args=(line, say), daemon=True).start()
    os.read(0, 1)  # there is no other job before this one has ended: this is the end of the parent
    os._exit(0)


def _work(line: str, say: Callable[[dict[str, Any]], None]) -> None:
    problems: list[str] = []
    try:
        _try(json.loads(line), say)
    except DispatcherError as error:
        problems = [str(problem) for problem in error.problems]
    except BaseException:  # noqa: BLE001  # whatever it is, it must not pass for a mount that was loaded
        problems = [f"the site cannot be tried:\n{traceback.format_exc()}"]
    say({"fatal": problems})


def _try(job: dict[str, Any], say: Callable[[dict[str, Any]], None]) -> None:
    def done(one: MountedApp) -> None:
        if one.error is not None:
            problems = [str(problem) for problem in one.error.problems]
            say({"failed": one.mount.key, "problems": problems, "traceback": _traceback(one.error)})

    if job["identity"] is not None:  # as root, who asks for new workers, and is not what they are
        owner.become(*job["identity"])
    env = None if job["env"] is None else job["env"].encode(errors=_LOCAL)
    contents = Contents(job["config"].encode(errors=_LOCAL), env)
    site = config.read(Path(job["file"]), options=catalog.OPTIONS, contents=contents)
    waiting = {mount.key for mount in site.mounts} - set(job["keys"])
    compose.assemble(site, waiting=waiting, begin=lambda key: say({"loading": key}), done=done)


def _traceback(error: BaseException) -> str:
    cause = error.__cause__
    return "" if cause is None else "".join(traceback.format_exception(cause))
