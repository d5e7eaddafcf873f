"""Mounts that could not be loaded when the site started are tried again, until they can, and brought in then.

One worker does it for all, in fresh interpreters, each beside the others: one that hangs keeps no other waiting. What
has failed is tried again after 1 s, then 2 s, 4 s and so on, up to once in a minute. A mount that loads there is loaded
by that worker, beside the others, which it may be in conflict with; then it is made active, and every worker serves it.
Each reason is logged once, with the app's traceback.

A mount that one worker alone could not load, as it began later than the others, that worker tries again for itself.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from dispatcher import catalog, config
from dispatcher.config import Contents
from dispatcher.errors import DispatcherError
from dispatcher.record import Active, Failing
from dispatcher.served import Generation
from dispatcher.trial import Failure, try_all

_INTERVAL: Final = 0.5
_SOON: Final = 0.05  # seconds between two looks while something is being tried
_MOST_AT_ONCE: Final = 4
_LONGEST_WAIT: Final = 60.0

_log: Final = logging.getLogger("dispatcher")

Try = Callable[[Contents, str], Failure | None]
Serve = Callable[[Active], Failure | None]


class _Verdict(NamedTuple):
    digest: str
    key: str
    failure: Failure | None


def delay(tries: int) -> float:
    """The seconds to wait after so many tries have failed."""
    return min(2.0 ** min(tries - 1, 10), _LONGEST_WAIT)


class Shared(Protocol):
    """Of `Records` what a retrier needs."""

    def active_stamp(self) -> object: ...
    def active(self) -> Active | None: ...
    def activate(self, active: Active) -> None: ...
    def failing(self) -> dict[str, Failing]: ...
    def write_failing(self, failing: Mapping[str, Failing]) -> None: ...
    def lock(self, name: str = ..., /) -> Releasable | None: ...


class Releasable(Protocol):
    """A lock that is held."""

    def release(self) -> None: ...


class OwnRecords:
    """In place of the records of the run: the mounts that one worker alone has left out of what it serves, `current`.

    No other worker has to do with them, so there is nothing to be locked, and what is served is what is active.
    """

    def __init__(self, current: Callable[[], Generation]) -> None:
        self._current = current

    def active_stamp(self) -> object:
        return self._current()

    def active(self) -> Active | None:
        return Active(self._current().contents, 0.0, self._current().left_out)

    def activate(self, active: Active) -> None:
        """It is served already."""

    def failing(self) -> dict[str, Failing]:
        """What was told as the worker began."""
        mounts = {one.mount.key: one for one in self._current().stack.mounts if one.error is not None}
        left_out = [mounts[key] for key in self._current().left_out if key in mounts]
        return {one.mount.key: Failing((str(one.error),), told=True) for one in left_out}

    def write_failing(self, failing: Mapping[str, Failing]) -> None:
        """The retrier keeps it."""

    def lock(self, _name: str = "", /) -> Releasable | None:
        return self

    def release(self) -> None:
        """Nothing is locked."""


class Retrier:
    """Tries the mounts that are waiting; `tick` is to be called again and again, by one thread."""

    def __init__(
        self,
        records: Shared,
        attempt: Try,
        serve: Serve,
        *,
        clock: Callable[[], float] = time.monotonic,
        spawn: Callable[[Callable[[], None]], object] = lambda work: threading.Thread(target=work, daemon=True).start(),
    ) -> None:
        self._records = records
        self._attempt = attempt
        self._serve = serve
        self._clock = clock
        self._spawn = spawn
        self._lock: Releasable | None = None
        self._stamp: object = None
        self._active: Active | None = None
        self._failing: dict[str, Failing] = {}
        self._due: dict[str, float] = {}
        self._running: set[str] = set()
        self._loaded: set[str] = set()  # found to load, and to be brought in
        self._verdicts: queue.SimpleQueue[_Verdict] = queue.SimpleQueue()

    def tick(self) -> float:
        """Look once; the seconds until the next look."""
        self._follow()
        if self._active is None or not (self._active.waiting or self._running) or not self._is_my_turn():
            return _INTERVAL
        self._take_verdicts()
        if self._loaded:
            self._bring_in()
        for key in self._active.waiting:
            if self._may_try(key):
                self._running.add(key)
                self._spawn(partial(self._try, self._active.contents, key))
        return _SOON if self._running or self._loaded else _INTERVAL

    def close(self) -> None:
        """Leave it to another worker."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def _follow(self) -> None:
        stamp = self._records.active_stamp()
        if stamp != self._stamp:
            before, self._active = self._active, self._records.active()
            self._stamp = stamp
            if before is not None and self._active is not None and before.digest != self._active.digest:
                self._due.clear()  # what was wrong may have been put right
                self._loaded.clear()

    def _is_my_turn(self) -> bool:
        if self._lock is None and (lock := self._records.lock("retry")) is not None:
            self._lock = lock
            self._failing = self._records.failing()
            for key in self._failing:
                self._plan(key)
            if self._failing:
                self._records.write_failing(self._failing)
        return self._lock is not None

    def _plan(self, key: str) -> None:
        """Settle when a mount that has failed is tried again, and tell why it has, once."""
        failing = self._failing[key]
        seconds = delay(failing.tries)
        self._due[key] = self._clock() + seconds
        if not failing.told:
            text = "%s\n(%s answers 503; it is tried again in %g s, and then less and less often)"
            _log.error(text, failing.text(), key, seconds)
            self._failing[key] = replace(failing, told=True)

    def _may_try(self, key: str) -> bool:
        is_due = self._clock() >= self._due.get(key, 0.0)
        return is_due and key not in self._running | self._loaded and len(self._running) < _MOST_AT_ONCE

    def _try(self, contents: Contents, key: str) -> None:
        """In a thread of its own: it takes as long as the app takes."""
        self._verdicts.put(_Verdict(contents.digest, key, self._attempt(contents, key)))

    def _take_verdicts(self) -> None:
        while not self._verdicts.empty():
            digest, key, failure = self._verdicts.get()
            self._running.discard(key)
            if self._active is None or digest != self._active.digest or key not in self._active.waiting:
                continue
            if failure is None:
                self._loaded.add(key)
            else:
                self._note(key, failure)

    def _note(self, key: str, failure: Failure) -> None:
        known = self._failing.get(key)
        is_same = known is not None and known.problems == failure.problems
        tries = known.tries + 1 if known is not None and is_same else 1
        self._failing[key] = Failing(failure.problems, failure.traceback, tries, told=is_same)
        self._plan(key)
        self._records.write_failing(self._failing)

    def _bring_in(self) -> None:
        """Serve the mounts that load, and make active that they do not wait any more: the other workers follow that."""
        lock = self._records.lock()
        if lock is None:
            return  # a worker tries an edit
        try:
            for key in sorted(self._loaded):
                self._loaded.discard(key)
                self._bring_in_one(key)
        finally:
            lock.release()

    def _bring_in_one(self, key: str) -> None:
        active = self._records.active()
        if active is None or self._active is None or active.digest != self._active.digest or key not in active.waiting:
            return
        active = replace(active, waiting=tuple(other for other in active.waiting if other != key))
        failure = self._serve(active)
        if failure is not None:
            self._note(key, failure)
            return
        self._records.activate(active)
        self._failing.pop(key, None)
        self._records.write_failing(self._failing)
        self._follow()
        _log.warning("%s could be loaded now, and is served", key)


def attempt(file: Path, environ: Mapping[str, str], contents: Contents, key: str) -> Failure | None:
    """Load the mount `key` of the site of `file` in a fresh interpreter; why it cannot be loaded, if so."""
    try:
        site = config.read(file, options=catalog.OPTIONS, environ=environ, contents=contents)
        outcome = try_all(site, contents, [key], environ=environ)
    except (DispatcherError, OSError) as error:  # what was active is read; there may be no process to be had
        return Failure((str(error),))
    return Failure(outcome.fatal) if outcome.fatal else outcome.failed.get(key)
