"""Loads apps on trial, in a fresh interpreter, so that what they do while they load is done to nobody else.

An import may call `os._exit`, crash, never return, or change what belongs to the whole process. A fork of a worker
would not do for finding that out: other threads of the worker hold locks at that moment, and its modules are loaded
already.

The interpreter takes a third of a second to start. `Trial` starts it, so that this time can pass before there is
something to try; `run` has it load the mounts. It ends with its parent, because its input ends then.
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
from typing import Any, Final

from dispatcher import catalog, compose, config
from dispatcher.compose import MountedApp
from dispatcher.config import Config, Contents
from dispatcher.errors import DispatcherError

_LOCAL: Final = "surrogateescape"
_START: Final = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from dispatcher import trial; trial.main()"
_SPARE_SECONDS: Final = 20.0  # for the interpreter itself, on a machine that has much to do


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a mount cannot be loaded: `problems` as they are shown, and the app's own `traceback` if there is one."""

    problems: tuple[str, ...]
    traceback: str = ""

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
    """A fresh interpreter with this package loaded, for one `run`; `close` ends it."""

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
                start_new_session=True,  # so that what the apps have started ends with it
            )
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        self._reader = reader
        self._said = b""

    def run(self, site: Config, contents: Contents, keys: Sequence[str]) -> Outcome:
        """Load the mounts `keys` of `site`, which was read from `contents`, and prepare all of its middleware."""
        job = {
            "file": str(site.file),
            "config": contents.config.decode(errors=_LOCAL),
            "env": None if contents.env is None else contents.env.decode(errors=_LOCAL),
            "keys": list(keys),
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
                seconds = timeouts.get(loading, site.load_timeout)
                return _ended(site, keys, failed, loading, f"took longer than load_timeout ({seconds:g}s)")
            match message:
                case None:
                    how = self._how_it_ended()
                    return _ended(site, keys, failed, loading, f"ended the process with {how}")
                case {"loading": key}:
                    loading, patience = key, timeouts[key]
                case {"failed": key, "problems": problems, "traceback": text}:
                    failed[key] = Failure(tuple(problems), text)
                case {"fatal": problems}:
                    return Outcome(failed, (), tuple(problems))

    def close(self) -> None:
        """End the interpreter and everything that it has started."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass  # it has ended
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

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return "its output closed"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def try_all(
    site: Config, contents: Contents, keys: Sequence[str], *, environ: Mapping[str, str], first: Trial | None = None
) -> Outcome:
    """Load the mounts `keys` of `site`, which was read from `contents`, in as many interpreters as it takes: each one
    that ends or hangs is followed by another for the rest. `first` is one that has been started already."""
    failed: dict[str, Failure] = {}
    while True:
        trial = first or Trial(environ)
        first = None
        try:
            outcome = trial.run(site, contents, keys)
        finally:
            trial.close()
        failed |= outcome.failed
        if outcome.fatal or not outcome.untried:
            return Outcome(failed, outcome.untried, outcome.fatal)
        keys = outcome.untried


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
    """In the fresh interpreter: read the job, do it, say what came of it, and end without the apps' exit handlers."""
    writer = int(sys.argv[2])
    sys.argv[1:] = []

    def say(message: dict[str, Any]) -> None:
        os.write(writer, json.dumps(message).encode() + b"\n")

    # In a thread, as in a worker that loads while it serves: what only a main thread may do fails here as well.
    threading.Thread(target=_work, args=(sys.stdin.readline(), say), daemon=True).start()
    sys.stdin.read()  # ends when the parent closes it or ends
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

    env = None if job["env"] is None else job["env"].encode(errors=_LOCAL)
    contents = Contents(job["config"].encode(errors=_LOCAL), env)
    site = config.read(Path(job["file"]), options=catalog.OPTIONS, contents=contents)
    waiting = {mount.key for mount in site.mounts} - set(job["keys"])
    compose.assemble(site, waiting=waiting, begin=lambda key: say({"loading": key}), done=done)


def _traceback(error: BaseException) -> str:
    cause = error.__cause__
    return "" if cause is None else "".join(traceback.format_exception(cause))
