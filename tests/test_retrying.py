from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dispatcher.config import Contents
from dispatcher.record import Active, Failing, Process, Records
from dispatcher.retrying import Retrier, attempt, delay
from dispatcher.trial import Failure
from tests import sites

CONTENTS = Contents(b"mounts: {}")
BROKEN = Failure(("no database",), "Traceback: no database")


class Site:
    """A run with mounts that are `waiting`, whose loading goes as `outcomes` say; time and threads are the test's."""

    def __init__(self, folder: Path, *waiting: str) -> None:
        self.records = Records(folder, Process(1, 1))
        self.records.activate(Active(CONTENTS, 0.0, waiting))
        self.now = 100.0
        self.outcomes: dict[str, Failure | None] = {}
        self.served: list[tuple[str, ...]] = []  # what still waited when a mount was brought in
        self.in_conflict: Failure | None = None
        self.tried: list[tuple[float, str]] = []
        self.threads: list[Callable[[], None]] = []
        self.retrier = self.another()

    def another(self) -> Retrier:
        return Retrier(self.records, self._attempt, self._serve, clock=lambda: self.now, spawn=self.threads.append)

    def _attempt(self, contents: Contents, key: str) -> Failure | None:
        self.tried.append((self.now, key))
        return self.outcomes.get(key)

    def _serve(self, active: Active) -> Failure | None:
        self.served.append(active.waiting)
        return self.in_conflict

    def tick(self) -> None:
        """A tick, what it has started, and one that sees what came of that."""
        self.retrier.tick()
        while self.threads:
            self.threads.pop()()
        self.retrier.tick()

    def waiting(self) -> tuple[str, ...]:
        active = self.records.active()
        assert active is not None
        return active.waiting


def test_the_wait_doubles_up_to_a_minute() -> None:
    assert [delay(tries) for tries in (1, 2, 3, 6, 7, 8, 2000)] == [1, 2, 4, 32, 60, 60, 60]


def test_a_mount_that_was_not_tried_yet_is_tried_at_once_and_brought_in(tmp_path: Path) -> None:
    site = Site(tmp_path, "/a", "/b")
    site.outcomes = {"/b": BROKEN}

    site.tick()

    assert (site.served, site.waiting()) == ([("/b",)], ("/b",))
    assert site.records.failing() == {"/b": Failing(BROKEN.problems, BROKEN.traceback, tries=1, told=True)}


def test_a_mount_that_loads_alone_but_not_beside_the_others_goes_on_waiting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(tmp_path, "/a")
    site.in_conflict = Failure(("another app has brought it",))

    for site.now in (100, 101, 102):
        site.tick()

    assert (site.served, site.waiting()) == ([(), ()], ("/a",))
    assert site.records.failing()["/a"].problems == ("another app has brought it",)
    assert len(caplog.records) == 1


def test_a_mount_that_fails_is_tried_less_and_less_often_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(tmp_path, "/a")
    site.outcomes = {"/a": BROKEN}

    for second in range(100, 120):
        site.now = second
        site.tick()

    assert [moment - 100 for moment, _ in site.tried] == [0, 1, 3, 7, 15]
    assert [record.getMessage() for record in caplog.records] == [
        "no database\nTraceback: no database\n(/a answers 503; it is tried again in 1 s, and then less and less often)"
    ]


def test_another_reason_is_told_and_begins_the_wait_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    site = Site(tmp_path, "/a")
    site.outcomes = {"/a": BROKEN}
    for site.now in (100, 101, 103):
        site.tick()

    site.outcomes = {"/a": Failure(("no network",))}
    for site.now in (107, 108):
        site.tick()

    assert [moment - 100 for moment, _ in site.tried] == [0, 1, 3, 7, 8]
    assert [record.getMessage().splitlines()[0] for record in caplog.records] == ["no database", "no network"]


def test_what_the_start_has_found_out_is_told_and_not_tried_again_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(tmp_path, "/a")
    site.records.write_failing({"/a": Failing(("bad import",))})

    site.tick()
    assert site.tried == []
    site.now += 1
    site.tick()

    assert [key for _, key in site.tried] == ["/a"]
    assert "bad import" in caplog.records[0].getMessage()


def test_one_worker_tries_and_another_takes_over_when_it_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    site = Site(tmp_path, "/a")
    site.outcomes = {"/a": BROKEN}
    site.tick()
    first, site.retrier = site.retrier, site.another()

    site.now += 10
    site.tick()
    assert len(site.tried) == 1
    first.close()
    for site.now in (120, 121):
        site.tick()

    assert [moment for moment, _ in site.tried] == [100, 121]
    assert len(caplog.records) == 1


def test_an_edit_has_every_mount_tried_at_once_and_old_verdicts_are_forgotten(tmp_path: Path) -> None:
    site = Site(tmp_path, "/a")
    site.outcomes = {"/a": BROKEN}
    for site.now in (100, 101):
        site.tick()
    site.retrier.tick()
    site.now = 101.5
    edited = Contents(b"mounts: {} # mended")
    site.records.activate(Active(edited, 0.0, ("/a",)))

    site.retrier.tick()
    site.records.activate(Active(Contents(b"and again"), 0.0, ("/a",)))
    site.outcomes = {}
    site.threads.pop()()  # the verdict on what is not served any more
    site.retrier.tick()

    assert site.waiting() == ("/a",)
    assert [moment for moment, _ in site.tried] == [100, 101, 101.5]


def test_while_a_worker_tries_an_edit_a_mount_waits_to_be_brought_in(tmp_path: Path) -> None:
    site = Site(tmp_path, "/a")
    lock = site.records.lock()
    assert lock is not None

    site.tick()
    assert site.waiting() == ("/a",)
    lock.release()
    site.tick()

    assert site.waiting() == ()
    assert len(site.tried) == 1


def test_no_more_than_a_few_are_tried_at_once(tmp_path: Path) -> None:
    site = Site(tmp_path, *(f"/{number}" for number in range(10)))

    site.retrier.tick()

    assert len(site.threads) == 4


def test_an_attempt_loads_in_another_process(tmp_path: Path) -> None:
    file = sites.write(
        tmp_path,
        "mounts: {/: 'exits:app', /a: 'good:app'}\n",
        exits="import os\nos._exit(3)\n",
        good="def app(e, s): pass\n",
    )
    contents = Contents(file.read_bytes())

    assert attempt(file, {}, contents, "/a") is None
    failure = attempt(file, {}, contents, "/")

    assert failure is not None
    assert "loading 'exits:app' ended the process with exit code 3" in failure.problems[0]
