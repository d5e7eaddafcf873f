"""HUP without fear: new workers are tried before, and serve before the old ones end.

gunicorn, by itself, ends with its site when a HUP finds a config that is wrong; where the new code hangs or exits as it
is imported, it has ended the old workers by then, and nobody answers. `install` takes the handling of SIGHUP over, in
the master, once it is ready:

1. A process of its own checks the config, the settings and every app (`dispatcher.hupcheck`) while the master goes on.
   If something is wrong it is logged, and no worker is touched.
2. gunicorn reads its settings anew and starts new workers, beside the old ones.
3. When all of the new ones have booted, the old ones are told to end. If they do not boot, they are ended instead, and
   the old ones stay.

All of it is done in the master's own thread, a step at each turn of its loop: a thread would be lost in the forks. What
goes wrong there would end the master, and the site with it: where the disk is full, or no process can be started, the
HUP is not done.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from dispatcher import config, watch
from dispatcher.errors import DispatcherError
from dispatcher.hupcheck import Check, Verdict
from dispatcher.live import HUP_HANDLED_BY
from dispatcher.record import Active, Process, Records, Rejected

_BOOT_SECONDS: Final = 60.0  # beside the time that the check took, in which every app was loaded


def install(arbiter: Arbiter, file: Path, folder: Path) -> None:
    """Handle SIGHUP of the master `arbiter`, which serves the config `file` with the runtime folder `folder`."""
    hup = Hup(arbiter, file, Records(folder, Process.of(os.getpid())))
    os.environ[HUP_HANDLED_BY] = str(os.getpid())  # so the workers need not look for what a HUP may have brought
    arbiter.handle_hup = hup.handle
    arbiter.manage_workers = hup.manage_workers
    arbiter.reap_workers = hup.reap_workers


@dataclass(frozen=True, slots=True)
class _Change:
    """Old workers and new ones side by side: the pids of the old, the new with their first sign of life, until when
    (monotonic seconds) they may boot, the `digest` of the config that they boot with, and what to go back to."""

    old: frozenset[int]
    new: dict[int, float]
    deadline: float
    digest: str
    cfg: Any
    active: Active | None


class Hup:
    """The steps of one HUP after the other, in the master."""

    def __init__(
        self,
        arbiter: Arbiter,
        file: Path,
        records: Records,
        *,
        begin_check: Callable[[Arbiter, Path, Path], Check] = Check,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._arbiter = arbiter
        self._file = file
        self._records = records
        self._begin_check = begin_check
        self._clock = clock
        self._manage_workers: Callable[[], None] = arbiter.manage_workers
        self._reap_workers: Callable[[], None] = arbiter.reap_workers
        self._check: Check | None = None
        self._change: _Change | None = None
        self._leaving: frozenset[int] = frozenset()  # old workers that were told to end
        self._again = False
        self._is_starting = False  # inside gunicorn's reload, which manages the workers as well

    # What the master calls

    def handle(self) -> None:
        """SIGHUP."""
        if self._check is not None or self._change is not None:
            self._again = True
            self._arbiter.log.info("Hang up: it follows the one that is being done")
            return
        self._arbiter.log.info("Hang up: checking the new code and config")
        if self._arbiter.cfg.preload_app:
            self._arbiter.log.warning("Hang up: with preload_app new workers have the old code; restart for new code")
        try:
            self._check = self._begin_check(self._arbiter, self._file, self._records.folder)
        except OSError as error:
            self._give_up(error)

    def manage_workers(self) -> None:
        """At each turn of the loop: a step, and gunicorn's own work."""
        if not self._is_starting:
            self._step()
        self._manage_workers()

    def reap_workers(self) -> None:
        """As gunicorn does; but new workers that do not boot do not end the master as long as there are old ones."""
        try:
            self._reap_workers()
        except HaltServer as error:
            if self._change is None:
                raise
            self._go_back(f"a new worker ended: {error.reason}")

    # The steps

    def _step(self) -> None:
        if self._check is not None:
            self._look_at_check(self._check)
        if self._change is not None:
            self._look_at_new(self._change)
        self._count()
        if self._again and self._check is None and self._change is None:
            self._again = False
            self.handle()

    def _look_at_check(self, check: Check) -> None:
        try:
            if (verdict := check.verdict()) is None:
                return
            self._check = None
            self._decide(verdict, self._clock() - check.began)
        except (OSError, ValueError, LookupError) as error:  # no room for the records, or they are of another version
            if os.getpid() != self._records.master.pid:
                raise  # this is a new worker
            self._check = None
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """Before a new worker was started: leave all as it is."""
        self._arbiter.log.error("Hang up: not done: %s", error)
        self._note(self._records.let_go)
        why = Rejected((), "", time.time(), (f"the workers were not replaced: {error}",))
        self._note(partial(self._records.reject, why))  # without a stamp: it says nothing about what is on disk

    def _note(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            self._arbiter.log.error("Hang up: the records cannot be written: %s", error)  # noqa: TRY400  # it tells all

    def _count(self) -> None:
        """Have gunicorn keep as many workers as there are to be, and the old ones for the time that they take."""
        beside = self._leaving | (self._change.old if self._change is not None else frozenset())
        self._leaving &= frozenset(self._arbiter.WORKERS)
        if beside:
            self._keep(self._arbiter.cfg.workers + len(beside & set(self._arbiter.WORKERS)))

    def _keep(self, number: int) -> None:
        if self._arbiter.num_workers != number:  # to set it calls a hook of the user's
            self._arbiter.num_workers = number

    def _decide(self, verdict: Verdict, taken: float) -> None:
        if verdict.problems:
            self._refuse(verdict)
            return
        try:
            contents = config.read_contents(self._file)
        except DispatcherError:
            contents = None
        if contents is None or contents.digest != verdict.digest:
            self._again = True  # written in between
            return
        before = self._records.active()
        self._records.hold()
        self._records.write_failing({})  # the new code may have put right what was wrong
        self._records.activate(Active(contents, time.time(), verdict.waiting))  # the last one that may find no room
        self._note(self._records.forget_rejected)
        self._start_new(before, contents.digest, self._clock() + _BOOT_SECONDS + taken)

    def _refuse(self, verdict: Verdict) -> None:
        problems = "\n".join(verdict.problems)
        self._arbiter.log.error("Hang up: not done, the workers go on as they are:\n%s", problems)
        rejected = Rejected(verdict.stamp, verdict.digest, time.time(), verdict.problems)
        self._note(partial(self._records.reject, rejected))

    def _start_new(self, before: Active | None, digest: str, deadline: float) -> None:
        arbiter, cfg = self._arbiter, self._arbiter.cfg
        old = dict(arbiter.WORKERS)
        arbiter.WORKERS.clear()  # gunicorn's own reload then starts the new ones, and has none to end and wait for
        failed, self._is_starting = "", True
        try:
            arbiter.reload()
        except (Exception, SystemExit) as error:
            if os.getpid() != self._records.master.pid:
                raise  # this is a new worker, at its end
            failed = repr(error)  # the settings have changed since they were checked
        finally:
            self._is_starting = False
        new = {pid: worker.tmp.last_update() for pid, worker in arbiter.WORKERS.items()}
        arbiter.WORKERS.update(old)
        self._change = _Change(frozenset(old), new, deadline, digest, cfg, before)
        if failed:
            self._go_back(f"gunicorn cannot read its settings: {failed}")

    def _look_at_new(self, change: _Change) -> None:
        workers = self._arbiter.WORKERS
        missing = [pid for pid in change.new if pid not in workers]
        if missing:
            self._go_back(f"the new worker {missing[0]} ended before it served")
        elif all(workers[pid].tmp.last_update() != first for pid, first in change.new.items()):
            self._leave(change)
        elif self._clock() > change.deadline:
            self._go_back("the new workers did not boot in time")

    def _leave(self, change: _Change) -> None:
        """The new workers serve: the old ones end, each with its last request."""
        self._change, self._leaving = None, change.old
        self._tell(change.old, signal.SIGTERM)
        self._note(self._records.let_go)
        self._arbiter.log.info("Hang up: done, %d new workers serve", len(change.new))

    def _go_back(self, why: str) -> None:
        """End the new workers; the old ones stay, with the settings and the config that they had."""
        change, self._change = self._change, None
        if change is None:
            return
        self._arbiter.log.error("Hang up: not done, the old workers stay: %s", why)
        self._tell(frozenset(change.new), signal.SIGKILL)  # they serve nothing yet, and may hang
        self._arbiter.app.cfg = self._arbiter.cfg = change.cfg
        self._leaving = frozenset(change.new)
        if change.active is not None:
            self._note(partial(self._records.activate, change.active))
        stamp = watch.stamp_of(self._file)
        rejected = Rejected(stamp, change.digest, time.time(), (f"the old workers stay: {why}",))
        self._note(partial(self._records.reject, rejected))
        self._note(self._records.let_go)

    def _tell(self, pids: frozenset[int], signum: signal.Signals) -> None:
        for pid in pids & set(self._arbiter.WORKERS):
            self._arbiter.kill_worker(pid, signum)
