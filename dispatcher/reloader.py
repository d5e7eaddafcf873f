"""Makes an edit of the config live in one worker, and sees to it that all workers of the site serve the same.

Each worker looks at two things. The file on disk: whoever gets the lock when it has changed and settled tries it,
builds its own stack from it, serves that, and makes it the *active* content; or writes down why it is not taken. And
the active content: the others build their stacks from that very text, so that nobody serves another for longer than it
takes to see it.

What would turn a mount that serves into one that fails is not taken, and no new mount that fails is. A mount that
failed before may go on failing.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from dispatcher import catalog, changes, compose, config, logs
from dispatcher.attempt import judge
from dispatcher.compose import Stack
from dispatcher.config import Config, Contents
from dispatcher.errors import DispatcherError, LoadError, Problem
from dispatcher.record import Active, MountState, Process, Records, Rejected, Worker
from dispatcher.retrying import OwnRecords, Retrier, attempt, delay
from dispatcher.served import Generation, Served
from dispatcher.spare import Spare
from dispatcher.trial import Failure, try_all
from dispatcher.watch import Seen, Watch, quiet_time

_INTERVAL: Final = 0.5  # seconds between two looks at what the other workers do, where the file is not watched
_SOON: Final = 0.05  # while something is going on
_PATIENCE: Final = 0.5  # with the worker that tries changes
_LONGEST_WAIT: Final = 60.0  # between two attempts to build what the others serve

_log: Final = logging.getLogger("dispatcher")


class Reloader:
    """Keeps `served` at what `file` says; `tick` is to be called again and again, by one thread.

    `environ` is the process's environment without what the `.env` of a config has set in it.
    """

    def __init__(
        self,
        file: Path,
        served: Served,
        records: Records,
        *,
        environ: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._file = file
        self._served = served
        self._records = records
        self._environ = environ
        self._clock = clock
        self._now = now
        self._watch = Watch(file, clock=clock)
        self._retrier = Retrier(records, partial(attempt, file, environ), self._bring_in, clock=clock)
        own = OwnRecords(lambda: served.current)
        self._own_retrier = Retrier(own, partial(attempt, file, environ), self._bring_in_here, clock=clock)
        self._found: Seen | None = None  # settled, and not decided yet
        self._found_at = 0.0
        self._tries = 0  # to decide it
        self._decide_at = 0.0
        self._is_told = True
        self._spare = Spare(records, environ, clock=clock)
        self._active_stamp: object = None
        # A worker that could not begin with what is active tries that when it watches, and not as it is started.
        self._try_again_at = 0.0 if served.current.stack.mounts else clock() + _INTERVAL
        self._wait = 1.0
        self._complaint = ""

    def run(self, stopped: threading.Event) -> None:
        """Tick until `stopped` is set; nothing that goes wrong ends it."""
        wait = 0.0
        while not stopped.wait(wait):
            try:
                wait = self.tick()
            except Exception as error:  # noqa: BLE001  # it is logged, and there may be a next edit
                wait = _INTERVAL
                self._complain(error)
        self.close()

    def close(self) -> None:
        """End what is going on."""
        self._spare.close()
        self._retrier.close()
        self._own_retrier.close()

    def _complain(self, error: Exception) -> None:
        if repr(error) == self._complaint:
            return  # a full disk, say, is told once
        self._complaint = repr(error)
        where = None if isinstance(error, OSError) else error
        text = "edits of %s cannot go live: %s: %s; it is tried again"
        _log.error(text, self._file.name, type(error).__name__, error, exc_info=where)

    def tick(self) -> float:
        """Look once; the seconds until the next look."""
        if self._records.is_held():
            return _INTERVAL
        self.follow()
        watched = self._served.current.stack.config.reload
        if watched is not None:
            self._look(quiet_time(watched.watch))
        if not self._is_told:
            self.write_worker()
        self._spare.tend()
        self._served.release_idle()
        interval = _INTERVAL if watched is None else watched.watch
        busy = watched is not None and (self._watch.pending or self._found is not None)
        return min(_SOON if busy else interval, interval, self._retrier.tick(), self._own_retrier.tick())

    # What the other workers serve

    def follow(self) -> None:
        """Serve what is active, if that is something else."""
        stamp = self._records.active_stamp()
        if stamp == self._active_stamp or self._clock() < self._try_again_at:
            return
        active = self._records.active()
        mine = self._served.current
        if active is None:
            self._records.activate_first(Active(mine.contents, self._now(), mine.waiting))
            return  # another may have been first
        if (active.digest, active.waiting) != (mine.digest, mine.waiting) and not self._build_active(active):
            return
        self._active_stamp = stamp

    def _build_active(self, active: Active) -> bool:
        try:
            site = self._read(active.contents)
            left_out = self._served.current.left_out
            if not self._served.current.stack.mounts:
                left_out = self._tried(site, active)
            generation = self._build(site, active.contents, active.waiting, left_out)
        except DispatcherError as error:
            self._try_again_at = self._clock() + self._wait
            if self._wait == 1.0:
                text = "this worker cannot build %s, which the others serve; it goes on with %s and tries again: %s"
                _log.error(text, active.digest, self._served.current.digest, error, exc_info=error.__cause__)
            self._wait = min(2 * self._wait, _LONGEST_WAIT)
            return False
        self._wait, self._try_again_at = 1.0, 0.0
        self._serve(generation)
        return True

    def _tried(self, site: Config, active: Active) -> tuple[str, ...]:
        """What to leave out in a worker that could not begin with `active`, as it loads code that is newer than that
        of the others; a LoadError when nothing can be served."""
        keys = [mount.key for mount in site.mounts if mount.key not in active.waiting]
        outcome = try_all(site, active.contents, keys, environ=self._environ)
        if outcome.fatal:
            raise LoadError(Problem(text) for text in outcome.fatal)
        return tuple(outcome.failed)

    def _bring_in(self, active: Active) -> Failure | None:
        """Serve `active`, in which one mount more does not wait any more; why it cannot be loaded here, if so."""
        return self._serve_more(active.contents, active.waiting, self._served.current.left_out)

    def _bring_in_here(self, own: Active) -> Failure | None:
        """As `_bring_in`, where all that `own` says to be waiting is left out by this worker alone."""
        return self._serve_more(own.contents, self._served.current.waiting, own.waiting)

    def _serve_more(self, contents: Contents, waiting: tuple[str, ...], left_out: tuple[str, ...]) -> Failure | None:
        try:
            self._serve(self._build(self._read(contents), contents, waiting, left_out))
        except DispatcherError as error:
            cause = error.__cause__
            text = "" if cause is None else "".join(traceback.format_exception(cause))
            return Failure(tuple(_texts(error)), text)
        return None

    # What is on disk

    def _look(self, quiet_seconds: float) -> None:
        seen = self._watch.look(quiet_seconds)
        if seen is not None:
            self._found, self._found_at = seen, self._clock()
            self._tries, self._decide_at = 0, 0.0
        elif self._watch.pending:
            self._found = None
            self._warm(self._watch.last)
        found = self._found
        if found is not None and self._is_my_turn(found) and (lock := self._records.lock()) is not None:
            self._tries += 1
            self._decide_at = self._clock() + delay(self._tries)
            try:
                self._decide(found)
                self._found = None  # not where the disk was full, say: it is decided later
            finally:
                lock.release()

    def _warm(self, seen: Seen | None) -> None:
        """Start the interpreter for a trial while the change settles."""
        if seen is not None and self._needs_trial(seen):
            self._spare.warm()

    def _needs_trial(self, seen: Seen) -> bool:
        return seen.contents is not None and seen.contents.digest != self._served.current.digest

    def _is_my_turn(self, seen: Seen) -> bool:
        """Whether this worker is the one that tries changes, or that one has not, for whatever reason."""
        if self._clock() < self._decide_at:
            return False
        is_late = self._clock() - self._found_at >= _PATIENCE
        return self._spare.is_ours or is_late or not self._needs_trial(seen)

    def _decide(self, seen: Seen) -> None:
        """Under the lock: take what is on disk, or say why not, unless another worker has done so."""
        active, rejected = self._records.active(), self._records.rejected()
        if not self._watch.is_current(seen) or (rejected is not None and rejected.stamp == seen.stamp):
            return
        digest = seen.contents.digest if seen.contents is not None else ""
        if active is not None and digest == active.digest:
            if rejected is not None:
                self._records.forget_rejected()
                _announce(f"{self._file.name} is again what is served, {digest}")
            return
        problems = self._take(seen)
        if problems:
            self._records.reject(Rejected(seen.stamp, digest, self._now(), tuple(problems)))
            goes_on = self._served.current.digest
            _log.error("%s is not taken, %s goes on serving:\n%s", self._file.name, goes_on, "\n".join(problems))

    def _take(self, seen: Seen) -> Sequence[str]:
        """Serve what was seen, or return why that cannot be."""
        if seen.contents is None:
            return _texts(seen.error)
        try:
            site = self._read(seen.contents)
            serving = self._served.current.stack
            problems, waiting = judge(site, seen.contents, serving, environ=self._environ, trial=self._spare.trial)
            if problems:
                return problems
            generation = self._build(site, seen.contents, waiting)
        except DispatcherError as error:
            return _texts(error)
        old = self._served.current
        try:
            self._records.activate(Active(generation.contents, self._now(), waiting))
        except OSError:
            set_environment(self._environ, site.env, old.stack.config.env)
            raise
        self._serve(generation)
        self._records.forget_rejected()
        what = changes.describe(old.stack.config, site)
        _announce(f"{self._file.name} reloaded, {old.digest} to {generation.digest}: {what}")
        return ()

    # Building and serving

    def _read(self, contents: Contents) -> Config:
        return config.read(self._file, options=catalog.OPTIONS, environ=self._environ, contents=contents)

    def _build(
        self, site: Config, contents: Contents, waiting: tuple[str, ...], left_out: tuple[str, ...] = ()
    ) -> Generation:
        """The generation of `site` without what is `waiting`, or `left_out` by this worker; a LoadError when another
        mount fails."""
        old, missing = self._served.current.stack, {*waiting, *left_out}
        set_environment(self._environ, old.config.env, site.env)
        try:
            stack = compose.assemble(site, previous=old, waiting=missing)
            _check(stack, missing)
        except BaseException:
            set_environment(self._environ, site.env, old.config.env)
            raise
        return Generation(stack, contents, waiting)

    def _serve(self, generation: Generation) -> None:
        old, new = self._served.current.stack.config, generation.stack.config
        self._served.swap(generation)
        if new.logging is not None and new.logging != old.logging:
            logs.configure(new.logging)
        try:
            self.write_worker()
        except OSError:
            self._is_told = False  # what is served is served, whether it can be told or not

    def write_worker(self) -> None:
        """Tell what this worker serves."""
        generation = self._served.current
        mounts = tuple(
            MountState(one.mount.key, one.mount.app, one.state, str(one.error or "")) for one in generation.stack.mounts
        )
        me = Process.of(os.getpid())
        self._records.write_worker(Worker(me.pid, me.started, generation.digest, self._now(), mounts))
        self._is_told = True


def _check(stack: Stack, waiting: Collection[str]) -> None:
    failed = [one.error for one in stack.mounts if one.error is not None and one.mount.key not in waiting]
    if failed:
        raise LoadError(problem for error in failed for problem in error.problems) from failed[0].__cause__


def set_environment(own: Mapping[str, str], old: Mapping[str, str], new: Mapping[str, str]) -> None:
    """Let the process's environment have what `new`, a `.env`, sets, instead of `old`; what is its `own` wins."""
    for name in {*old, *new}.difference(own):
        if name in new:
            os.environ[name] = new[name]
        else:
            os.environ.pop(name, None)


def _texts(error: DispatcherError | None) -> Sequence[str]:
    return [str(problem) for problem in error.problems] if error is not None else []


def _announce(text: str) -> None:
    """Log what went well; on standard error where no log is set up, where logging itself shows only warnings."""
    if _log.hasHandlers():
        _log.info("%s", text)
    else:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
