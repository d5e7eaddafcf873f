from __future__ import annotations

import errno
import logging
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.errors import HaltServer

from dispatcher.config import Contents, read_contents
from dispatcher.hup import Hup
from dispatcher.hupcheck import Verdict
from dispatcher.record import Active, Failing, Process, Records

BOOTING, SERVING = 1e9, 5.0  # a worker's last sign of life, as gunicorn has it


@dataclass
class Master:
    """A gunicorn master in a few lines: it keeps as many workers as it is to, and notes what it sends them."""

    workers: dict[int, Any] = field(default_factory=dict)
    killed: list[tuple[int, signal.Signals]] = field(default_factory=list)
    next_pid: int = 1
    num_workers: int = 2
    reload_fails: BaseException | None = None
    halts: HaltServer | None = None

    def __post_init__(self) -> None:
        self.cfg = SimpleNamespace(workers=2, preload_app=False, name="old settings")
        self.app = SimpleNamespace(cfg=self.cfg)
        self.log = logging.getLogger("gunicorn.error")
        self.WORKERS = self.workers
        self.manage_workers()

    def spawn(self, sign_of_life: float) -> None:
        self.workers[self.next_pid] = SimpleNamespace(tmp=SimpleNamespace(last_update=lambda: sign_of_life))
        self.next_pid += 1

    def manage_workers(self) -> None:
        while len(self.workers) < self.num_workers:
            self.spawn(SERVING)

    def reap_workers(self) -> None:
        if self.halts is not None:
            raise self.halts

    def reload(self) -> None:
        self.cfg = self.app.cfg = SimpleNamespace(workers=3, preload_app=False, name="new settings")
        if self.reload_fails is not None:
            raise self.reload_fails
        assert not self.workers, "it would end these now"
        for _ in range(3):
            self.spawn(BOOTING)

    def kill_worker(self, pid: int, signum: signal.Signals) -> None:
        self.killed.append((pid, signum))

    def boot(self, *pids: int) -> None:
        for pid in pids:
            self.workers[pid].tmp.last_update = lambda: SERVING

    def gone(self, *pids: int) -> None:
        for pid in pids:
            del self.workers[pid]


class Site:
    """A master with its records, and the verdict that the next check comes to."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "config.yaml"
        self.file.write_text("mounts: {} # new\n")
        self.records = Records(folder / "run", Process.of(os.getpid()))
        self.before = Active(Contents(b"mounts: {} # old\n"), 1.0, ("/waiting",))
        self.records.activate(self.before)
        self.master = Master()
        self.now = 100.0
        self.verdict: Verdict | None = None
        self.checks = 0
        self.check_fails: OSError | None = None
        self.hup = Hup(self.master, self.file, self.records, begin_check=self._begin_check, clock=lambda: self.now)

    def _begin_check(self, *_: object) -> Any:
        self.checks += 1
        if self.check_fails is not None:
            raise self.check_fails
        return SimpleNamespace(began=self.now, verdict=lambda: self.verdict)

    def good(self, *waiting: str) -> Verdict:
        return Verdict((1,), read_contents(self.file).digest, (), waiting)

    def change(self) -> None:
        """A HUP whose check finds nothing wrong: the workers 3, 4 and 5 are beside 1 and 2."""
        self.verdict = self.good("/waiting")
        self.hup.handle()
        self.hup.manage_workers()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_while_the_check_goes_on_nothing_happens(site: Site) -> None:
    site.hup.handle()
    for _ in range(3):
        site.hup.manage_workers()

    assert (site.checks, list(site.master.workers), site.master.num_workers) == (1, [1, 2], 2)


def test_what_is_wrong_is_logged_and_recorded_and_touches_no_worker(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.verdict = Verdict((7,), "abc", ("config.yaml:1: one", "two"))

    site.hup.handle()
    site.hup.manage_workers()

    rejected = site.records.rejected()
    assert rejected is not None
    assert (rejected.stamp, rejected.digest, rejected.problems) == ((7,), "abc", ("config.yaml:1: one", "two"))
    assert "Hang up: not done, the workers go on as they are:\nconfig.yaml:1: one\ntwo" in caplog.text
    assert (list(site.master.workers), site.master.killed) == ([1, 2], [])
    assert site.records.active() == site.before


def test_new_workers_start_beside_the_old_ones_with_the_config_that_was_checked(site: Site) -> None:
    site.records.write_failing({"/waiting": Failing(("why",))})
    site.change()

    active = site.records.active()
    assert active is not None
    assert (active.contents, active.waiting) == (read_contents(site.file), ("/waiting",))
    assert site.records.is_held()
    assert site.records.failing() == {}
    assert (sorted(site.master.workers), site.master.num_workers) == ([1, 2, 3, 4, 5], 5)


def test_the_old_workers_are_told_to_end_once_when_all_new_ones_serve(site: Site) -> None:
    site.change()
    site.master.boot(3, 4)
    site.hup.manage_workers()
    assert site.master.killed == []

    site.master.boot(5)
    for _ in range(3):
        site.hup.manage_workers()
    assert sorted(site.master.killed) == [(1, signal.SIGTERM), (2, signal.SIGTERM)]
    assert not site.records.is_held()

    numbers = []
    for pid in (1, 2):
        site.master.gone(pid)
        site.hup.manage_workers()
        numbers.append((site.master.num_workers, len(site.master.workers)))
    assert numbers == [(4, 4), (3, 3)]  # none is started in the place of one that leaves


def assert_went_back(site: Site) -> None:
    assert sorted(site.master.killed) == [(pid, signal.SIGKILL) for pid in site.master.workers if pid > 2]
    assert site.master.cfg.name == site.master.app.cfg.name == "old settings"
    assert site.records.active() == site.before
    assert not site.records.is_held()
    rejected = site.records.rejected()
    assert rejected is not None
    assert rejected.problems[0].startswith("the old workers stay: ")  # for `dispatcher reload --wait`, and status
    site.master.gone(*[pid for pid in site.master.workers if pid > 2])
    site.hup.manage_workers()
    assert (sorted(site.master.workers), site.master.num_workers) == ([1, 2], 2)


def test_where_a_new_worker_ends_the_old_ones_stay(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.change()
    site.master.boot(3)
    site.master.gone(4)

    site.hup.manage_workers()

    assert "the old workers stay: the new worker 4 ended before it served" in caplog.text
    assert_went_back(site)


def test_where_the_new_workers_do_not_boot_in_time_the_old_ones_stay(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.change()
    site.master.boot(3, 4)
    site.now += 59
    site.hup.manage_workers()
    assert site.master.killed == []

    site.now += 2
    site.hup.manage_workers()

    assert "the old workers stay: the new workers did not boot in time" in caplog.text
    assert_went_back(site)


@pytest.mark.parametrize("error", [SystemExit(1), OSError("no process")], ids=["exits", "raises"])
def test_settings_that_went_wrong_after_the_check_do_not_end_the_master(error: BaseException, site: Site) -> None:
    site.master.reload_fails = error

    site.change()

    assert_went_back(site)


def test_a_worker_that_cannot_boot_ends_the_master_only_where_there_are_no_others(site: Site) -> None:
    site.master.halts = HaltServer("Worker failed to boot.", 3)
    with pytest.raises(HaltServer):
        site.hup.reap_workers()

    site.change()
    site.hup.reap_workers()

    assert_went_back(site)


def test_a_hup_that_comes_while_one_is_done_is_done_after_it(site: Site) -> None:
    site.change()
    site.hup.handle()
    site.hup.handle()
    site.hup.manage_workers()
    assert site.checks == 1

    site.verdict = None
    site.master.boot(3, 4, 5)
    site.hup.manage_workers()

    assert site.checks == 2


def test_what_was_written_during_the_check_is_checked_again(site: Site) -> None:
    site.verdict = site.good()
    site.file.write_text("mounts: {} # and again\n")

    site.hup.handle()
    site.hup.manage_workers()

    assert (site.checks, sorted(site.master.workers)) == (2, [1, 2])
    assert site.records.active() == site.before


def no_room(*_: object) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def assert_was_not_done(site: Site, log: str) -> None:
    assert "Hang up: not done: [Errno 28] No space left on device" in log
    assert (sorted(site.master.workers), site.master.killed, site.master.num_workers) == ([1, 2], [], 2)
    assert site.records.active() == site.before
    assert not site.records.is_held()


def test_a_check_that_cannot_be_started_does_not_end_the_master(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.check_fails = OSError(errno.ENOSPC, "No space left on device")

    site.hup.handle()
    site.hup.manage_workers()

    assert_was_not_done(site, caplog.text)
    rejected = site.records.rejected()
    assert rejected is not None
    assert rejected.problems == ("the workers were not replaced: [Errno 28] No space left on device",)
    site.check_fails = None
    site.change()
    assert sorted(site.master.workers) == [1, 2, 3, 4, 5]  # the next one is done


@pytest.mark.parametrize("method", ["hold", "write_failing", "activate"])
def test_where_there_is_no_room_for_the_records_the_workers_stay(
    site: Site, method: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(site.records, method, no_room)

    site.change()

    assert_was_not_done(site, caplog.text)


def test_a_verdict_that_cannot_be_read_does_not_end_the_master(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    def begin_check(*_: object) -> Any:
        return SimpleNamespace(began=1.0, verdict=no_room)

    site.hup = Hup(site.master, site.file, site.records, begin_check=begin_check)

    site.hup.handle()
    site.hup.manage_workers()

    assert_was_not_done(site, caplog.text)


def test_what_is_active_but_of_another_version_does_not_end_the_master(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    (site.records.folder / "active.json").write_text("{}")

    site.change()

    assert "Hang up: not done: " in caplog.text
    assert sorted(site.master.workers) == [1, 2]


def test_a_refusal_that_cannot_be_written_down_is_logged(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(site.records, "reject", no_room)
    site.verdict = Verdict((7,), "abc", ("config.yaml:1: one",))

    site.hup.handle()
    site.hup.manage_workers()

    assert "the workers go on as they are:\nconfig.yaml:1: one" in caplog.text
    assert "Hang up: the records cannot be written: [Errno 28] No space left on device" in caplog.text


def test_where_the_disk_fills_up_while_new_workers_boot_the_old_ones_stay_and_are_let_go(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    site.change()
    for method in ("activate", "reject"):
        monkeypatch.setattr(site.records, method, no_room)
    site.master.gone(4)

    site.hup.manage_workers()

    assert "the old workers stay: the new worker 4 ended before it served" in caplog.text
    assert sorted(site.master.killed) == [(3, signal.SIGKILL), (5, signal.SIGKILL)]
    assert not site.records.is_held()
