"""The start of a server: which mounts of the site can be loaded, as fast as that can be known.

`begin` writes it down as what is active, for the workers to serve. `try_mounts` loads the apps in child processes,
forked from the process that is about to start the workers, before it has a thread or an app of its own. So an import
that ends its process, crashes or never returns is found out where it harms nobody. One child goes through the mounts;
where an app takes its time, a further child goes on with the rest, so that one that hangs keeps no other waiting.

Once there is something to serve, and after `patience`, the start does not wait any longer for those that do nothing, or
have had their share of the CPU: they are left undecided.
"""

from __future__ import annotations

import json
import math
import os
import select
import signal
import time
import traceback
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from dispatcher import compose
from dispatcher.activity import Activity
from dispatcher.compose import MountedApp
from dispatcher.config import Config, Contents, Mount
from dispatcher.errors import ConfigError, DispatcherError, LoadError, Problem
from dispatcher.record import Active, Failing, Records
from dispatcher.trial import Failure

PATIENCE_SECONDS: Final = 0.8
_LONGEST_PATIENCE_SECONDS: Final = 10.0  # with apps that are at work
_CPU_SECONDS: Final = 1.0  # that an app may use while the others wait for it
_IDLE_SECONDS: Final = 0.4
_SLOW_SECONDS: Final = 0.2  # an app that takes longer is waited for beside the others
_MOST_CHILDREN: Final = 8


@dataclass(frozen=True, slots=True)
class Start:
    """The mounts that `failed` and why, those `undecided` yet, and what is wrong with the site as a whole (`fatal`)."""

    failed: Mapping[str, Failure] = field(default_factory=dict)
    undecided: tuple[str, ...] = ()
    fatal: tuple[str, ...] = ()


def _stay() -> None:
    """Children are as their parent."""


def begin(
    site: Config,
    contents: Contents,
    records: Records,
    *,
    become: Callable[[], object] = _stay,
) -> Start:
    """Try the mounts of `site`, which was read from `contents`, and make it the active one of the run of `records`.

    `become` is called in each child before it loads anything, to make it the user that the workers are.

    A DispatcherError where nothing is to be served: the middleware is wrong, no app can be loaded, or one cannot and
    the site is strict.
    """
    found = try_mounts(site, become=become)
    if found.fatal:
        raise ConfigError(Problem(text) for text in found.fatal)
    if found.failed and (site.strict or len(found.failed) == len(site.mounts)):
        raise LoadError(Problem(text) for failure in found.failed.values() for text in failure.problems)
    failing = {key: Failing(_as_workers_say(site, one.problems), one.traceback) for key, one in found.failed.items()}
    waiting = tuple(mount.key for mount in site.mounts if mount.key in found.failed or mount.key in found.undecided)
    if failing:
        records.write_failing(failing)
    records.activate_first(Active(contents, time.time(), waiting))
    return found


def _as_workers_say(site: Config, problems: tuple[str, ...]) -> tuple[str, ...]:
    """With the absolute path of the file, by which it is known to workers: for them it is the same problem then."""
    place = site.problem(("mounts",), "").place
    named = place.file if place is not None else ""
    return tuple(
        f"{site.file}{text.removeprefix(named)}" if text.startswith(f"{named}:") else text for text in problems
    )


def try_mounts(
    site: Config,
    *,
    waiting: Collection[str] = (),
    patience: float = PATIENCE_SECONDS,
    longest: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
    become: Callable[[], object] = _stay,
) -> Start:
    """Load every mount of `site` on trial, but those `waiting`. With ``strict: true`` each is waited for as long as its
    `load_timeout`. After `longest` seconds, in any case, what is not decided is left undecided."""
    mounts = {mount.key: mount for mount in site.mounts if mount.key not in waiting}
    return _Tries(site, mounts, patience, longest, clock, become).run()


class _Child:
    """A process that loads the mounts `keys` one after the other, and says so."""

    def __init__(self, site: Config, keys: Collection[str], now: float, become: Callable[[], object]) -> None:
        self.reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _work(site, keys, writer, become)
        os.close(writer)
        self.begin("", now)
        self.walks = True  # it goes on to the next mount
        self.finished = False  # it has come to the end of its keys
        self._said = b""

    def begin(self, key: str, now: float) -> None:
        """It loads this mount since `now`."""
        self.loading = key
        self.since = now
        self._activity = Activity(self.pid, now)

    def look(self, now: float) -> None:
        self._activity.look(now)

    def is_at_work(self, now: float) -> bool:
        """Whether it can be expected to come to an end soon."""
        return self._activity.idle_seconds(now) < _IDLE_SECONDS and self._activity.cpu_seconds < _CPU_SECONDS

    def listen(self) -> list[dict[str, Any]] | None:
        """What it has said since; None when it has ended."""
        chunk = os.read(self.reader, 65536)
        *lines, self._said = (self._said + chunk).split(b"\n")
        return [json.loads(line) for line in lines] if chunk else None

    def end(self) -> str:
        """End it with what it has started, if that is still to be done; the words for how it ended."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            for kill in (os.killpg, os.kill):  # it may not have come to make its group
                try:
                    kill(self.pid, signal.SIGKILL)
                except (ProcessLookupError, PermissionError):
                    pass  # it has ended in between
            _, status = os.waitpid(self.pid, 0)
        os.close(self.reader)
        code = os.waitstatus_to_exitcode(status)
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


class _Tries:
    """The children and what they have found out."""

    def __init__(
        self,
        site: Config,
        mounts: Mapping[str, Mount],
        patience: float,
        longest: float,
        clock: Callable[[], float],
        become: Callable[[], object],
    ) -> None:
        self._site = site
        self._mounts = mounts
        self._clock = clock
        self._become = become
        self._began = clock()
        self._patience = patience
        self._longest = longest
        self._untouched = list(self._mounts)
        self._good: set[str] = set()
        self._failed: dict[str, Failure] = {}
        self._fatal: tuple[str, ...] = ()
        self._children: list[_Child] = []

    def run(self) -> Start:
        try:
            self._walk()  # of a site without mounts it tries the middleware
            while not self._is_enough():
                self._listen()
                self._look_at_clock()
        finally:
            for child in self._children:
                child.end()
        undecided = tuple(key for key in self._mounts if key not in self._good and key not in self._failed)
        return Start(self._failed, undecided, self._fatal)

    def _is_enough(self) -> bool:
        if self._fatal or not self._children:
            return True
        now = self._clock()
        waited = now - self._began
        if self._site.strict or not self._good:
            return waited >= self._longest
        at_work = waited < _LONGEST_PATIENCE_SECONDS and any(child.is_at_work(now) for child in self._children)
        return waited >= self._longest or (waited >= self._patience and not at_work)

    def _walk(self) -> None:
        self._children.append(_Child(self._site, self._untouched, self._clock(), self._become))

    def _walk_on(self) -> None:
        """Have a new child go on with the mounts that nobody has begun with, if no other child does."""
        walked = any(child.walks for child in self._children)
        if self._untouched and not walked and not self._fatal and len(self._children) < _MOST_CHILDREN:
            self._walk()

    def _listen(self) -> None:
        ready, _, _ = select.select([child.reader for child in self._children], [], [], _SLOW_SECONDS / 4)
        for child in [one for one in self._children if one.reader in ready]:
            messages = child.listen()
            if messages is None:
                self._ended(child)
            for message in messages or ():
                self._take(child, message)
        self._walk_on()

    def _take(self, child: _Child, message: Mapping[str, Any]) -> None:
        if child not in self._children:
            return  # it was ended while this was on its way
        if "fatal" in message:
            self._fatal = tuple(message["fatal"])
        elif "begin" in message:
            child.begin(message["begin"], self._clock())
            self._untouched.remove(child.loading)
        elif "done" in message:
            if message["problems"]:
                self._failed[message["done"]] = Failure(tuple(message["problems"]), message["traceback"])
            else:
                self._good.add(message["done"])
            child.loading = ""
            if not child.walks:
                self._end(child)
        else:
            child.finished = True

    def _ended(self, child: _Child) -> None:
        """A child has closed its pipe: at its end, or in the middle of an app's code."""
        how = self._end(child)
        if not child.finished:
            self._blame(child, f"ended the process with {how}")

    def _end(self, child: _Child) -> str:
        self._children.remove(child)
        return child.end()

    def _blame(self, child: _Child, what: str) -> None:
        mount = self._mounts.get(child.loading)
        if mount is None:
            self._fatal = (str(self._site.problem(("middleware",), f"preparing the middleware {what}")),)
        else:
            problem = self._site.problem((*mount.path, "app"), f"loading {mount.app!r} {what}")
            self._failed[mount.key] = Failure((str(problem),), ends_process=True)

    def _look_at_clock(self) -> None:
        for child in list(self._children):
            now = self._clock()
            child.look(now)
            mount, taken = self._mounts.get(child.loading), now - child.since
            limit = (mount and mount.load_timeout) or self._site.load_timeout
            if taken > limit:
                self._end(child)
                self._blame(child, f"took longer than load_timeout ({limit:g}s)")
            elif mount is not None and taken > _SLOW_SECONDS:
                child.walks = False
        self._walk_on()


def _work(site: Config, keys: Collection[str], writer: int, become: Callable[[], object]) -> NoReturn:
    """In the child: load `keys`, and end without the exit handlers and threads that the apps may have brought."""

    def say(message: Mapping[str, Any]) -> None:
        os.write(writer, json.dumps(message).encode() + b"\n")

    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):  # what the apps print as they load, they print again in the worker
            os.dup2(nowhere, stream)
        become()
        waiting = {mount.key for mount in site.mounts}.difference(keys)
        compose.assemble(site, waiting=waiting, begin=lambda key: say({"begin": key}), done=lambda one: say(_done(one)))
        say({"end": True})
    except DispatcherError as error:
        say({"fatal": [str(problem) for problem in error.problems]})
    except BaseException:  # noqa: BLE001  # whatever it is, it must not pass for a site that can be served
        say({"fatal": [str(Problem(f"cannot be tried:\n{traceback.format_exc()}"))]})
    finally:
        os._exit(0)


def _done(one: MountedApp) -> dict[str, Any]:
    problems = [str(problem) for problem in one.error.problems] if one.error is not None else []
    cause = one.error.__cause__ if one.error is not None else None
    text = "" if cause is None else "".join(traceback.format_exception(cause))
    return {"done": one.mount.key, "problems": problems, "traceback": text}
