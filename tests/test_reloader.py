"""One or two workers of a site in this process: they tick by hand, and their clock is moved."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from werkzeug.test import run_wsgi_app

from dispatcher import catalog, compose, config, reloader
from dispatcher.compose import Stack
from dispatcher.config import Contents
from dispatcher.record import Active, Process, Records
from dispatcher.reloader import Reloader, set_environment
from dispatcher.served import Generation, Served
from dispatcher.trial import Failure
from tests import sites
from tests.load import wait_until

pytestmark = pytest.mark.usefixtures("forget")

LAB = """
class App:
    def __init__(self, word="word"):
        self.word = word

    def __call__(self, environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [self.word.encode()]
"""
ONE = "reload: {watch: 200ms}\nmounts:\n  /a: {app: 'lab:App', args: {word: one}}\n  /still: lab:App\n"
TWO = ONE.replace("one", "two")


WORKERS: list[Worker] = []


class Worker:
    """A worker without its process."""

    def __init__(self, file: Path, records: Records, environ: Mapping[str, str] | None = None) -> None:
        WORKERS.append(self)
        self.now = 64.0
        self.environ = dict(os.environ) if environ is None else environ
        contents = config.read_contents(file)
        site = config.read(file, options=catalog.OPTIONS, environ=self.environ, contents=contents)
        stack = compose.assemble(site)
        failing = tuple(one.mount.key for one in stack.mounts if one.app is None)
        self.served = Served(Generation(stack, contents, failing))
        self.reloader = Reloader(
            file, self.served, records, environ=self.environ, clock=lambda: self.now, now=lambda: 1000.0
        )

    @property
    def stack(self) -> Stack:
        return self.served.current.stack

    @property
    def digest(self) -> str:
        return self.served.current.digest

    def tick(self, seconds: float = 0.5) -> float:
        self.now += seconds
        return self.reloader.tick()

    def settle(self) -> None:
        """Long enough for a change to be seen, to settle and to be decided."""
        for _ in range(3):
            self.tick()

    def settle_and_tell(self) -> None:
        """And for a tick that tells what could not be told."""
        self.settle()
        self.tick()

    def get(self, path: str) -> str:
        environ: dict[str, Any] = {"PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": ""}
        setup_testing_defaults(environ)
        body, _, _ = run_wsgi_app(self.served, environ)
        text = b"".join(body).decode()
        body.close()  # type: ignore[attr-defined]  # the stack's body has one
        return text


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    yield Records(tmp_path / "runtime", Process.of(os.getpid()))
    while WORKERS:
        WORKERS.pop().reloader.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return sites.write(tmp_path, ONE, lab=LAB)


def refusals(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    return [message for message in found if "is not taken" in message]


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]


def test_an_edit_is_served_made_active_and_told(file: Path, records: Records, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    worker = Worker(file, records)
    worker.settle()
    before = (worker.digest, worker.stack.mounts[1].app)

    file.write_text(TWO)
    worker.settle()

    assert worker.get("/a") == "two"
    assert worker.stack.mounts[1].app is before[1]
    assert records.active() == Active(config.read_contents(file), 1000.0)
    assert [one.digest for one in records.workers()] == [worker.digest]
    assert told(caplog) == [f"config.yaml reloaded, {before[0]} to {worker.digest}: mounts changed: /a"]


def test_another_worker_serves_what_is_active_without_a_trial(file: Path, records: Records) -> None:
    first, second = Worker(file, records), Worker(file, records)
    first.settle()
    second.settle()
    file.write_text(TWO)
    first.settle()
    file.write_text("broken: [")  # what is on disk now is no matter

    second.tick()

    assert (second.get("/a"), second.digest) == ("two", first.digest)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("mounts: [", "config.yaml:1:9: the file ends here", id="bad YAML"),
        pytest.param(ONE + "mouns: {}\n", "mouns: unknown key, did you mean 'mounts'?", id="an unknown key"),
        pytest.param(ONE + "  /new: nowhere:app\n", "mounts./new.app: no module 'nowhere'", id="a new mount fails"),
        pytest.param(
            ONE.replace("lab:App'", "lab:Apps'"), "'lab' has no attribute 'Apps'", id="a mount that served fails"
        ),
        pytest.param("middleware: ['lab:no']\n" + ONE, "'lab' has no attribute 'no'", id="middleware fails"),
        pytest.param("", "config.yaml: the file is empty", id="an empty file"),
    ],
)
def test_a_bad_edit_is_told_once_by_all_workers_and_not_served(
    file: Path, records: Records, caplog: pytest.LogCaptureFixture, text: str, problem: str
) -> None:
    first, second = Worker(file, records), Worker(file, records)
    first.settle()
    before = records.active()

    file.write_text(text)
    for worker in (first, second, first, second):
        worker.settle()

    assert [first.get("/a"), second.get("/a"), first.get("/still")] == ["one", "one", "word"]
    assert len(refusals(caplog)) == 1
    assert f"config.yaml is not taken, {first.digest} goes on serving:\n" in refusals(caplog)[0]
    assert problem in refusals(caplog)[0]
    assert records.active() == before
    rejected = records.rejected()
    assert rejected is not None
    assert problem in rejected.problems[0]


def test_a_bad_edit_is_tried_again_when_the_file_is_saved_again(
    file: Path, records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(file, records)
    file.write_text(ONE + "  /new: later:App\n")
    worker.settle()
    (file.parent / "later.py").write_text(LAB)

    os.utime(file, (1, 1))
    worker.settle()

    assert (worker.get("/new"), records.rejected(), len(refusals(caplog))) == ("word", None, 1)


def test_a_deleted_file_is_a_bad_edit_and_its_return_is_told(
    file: Path, records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    worker = Worker(file, records)
    worker.settle()

    file.unlink()
    worker.settle()
    during = (records.rejected() is not None, worker.get("/a"))
    file.write_text(ONE)
    worker.settle()

    assert during == (True, "one")
    assert records.rejected() is None
    assert told(caplog) == [f"config.yaml is again what is served, {worker.digest}"]


def test_a_mount_that_failed_before_may_go_on_failing(
    file: Path, records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    failing = "  /bad: lab:none\n"
    file.write_text(ONE + failing)
    worker = Worker(file, records)

    file.write_text(TWO + failing)
    worker.settle()
    file.write_text(TWO + failing.replace("none", "neither"))
    worker.settle()

    assert refusals(caplog) == []
    assert (worker.get("/a"), worker.stack.mounts[2].state) == ("two", "loading")
    active = records.active()
    assert active is not None
    assert active.waiting == ("/bad",)


def test_a_mount_that_failed_before_is_served_when_its_entry_is_mended(file: Path, records: Records) -> None:
    file.write_text(ONE + "  /bad: lab:none\n")
    worker = Worker(file, records)

    file.write_text(ONE + "  /bad: lab:App\n")
    worker.settle()

    assert worker.get("/bad") == "word"
    assert worker.served.current.waiting == ()


def test_strict_takes_no_failure_at_all(file: Path, records: Records, caplog: pytest.LogCaptureFixture) -> None:
    file.write_text(ONE + "  /bad: lab:none\n")
    worker = Worker(file, records)

    file.write_text("strict: true\n" + TWO + "  /bad: lab:neither\n")
    worker.settle()

    assert (worker.get("/a"), len(refusals(caplog))) == ("one", 1)


def test_the_env_file_goes_live_and_the_process_wins(
    file: Path, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_OWN", "process")
    monkeypatch.setenv("LAB_WORD", "x")
    monkeypatch.delenv("LAB_WORD")
    file.write_text(ONE.replace("one", "'${LAB_WORD:-none} ${LAB_OWN}'"))
    env = file.with_name(".env")
    env.write_text("LAB_WORD=first\nLAB_OWN=file\n")
    worker = Worker(file, records)
    before = worker.get("/a")

    env.write_text("LAB_WORD=second\n")
    worker.settle()
    during = (worker.get("/a"), os.environ["LAB_WORD"])
    env.unlink()
    worker.settle()

    assert before == "first process"
    assert during == ("second process", "second")
    assert (worker.get("/a"), "LAB_WORD" in os.environ) == ("none process", False)


def test_a_stack_that_cannot_be_built_leaves_the_environment_alone(
    file: Path, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_WORD", "x")
    monkeypatch.delenv("LAB_WORD")
    worker = Worker(file, records)
    worker.settle()

    file.with_name(".env").write_text("LAB_WORD=new\n")
    file.write_text("middleware: ['lab:none']\n" + ONE)
    worker.settle()

    assert "LAB_WORD" not in os.environ


def test_without_watching_the_file_is_let_be_and_the_others_are_followed(file: Path, records: Records) -> None:
    file.write_text(ONE.replace("{watch: 200ms}", "false"))
    worker = Worker(file, records)
    worker.settle()
    file.write_text(TWO)
    worker.settle()
    before = worker.get("/a")

    records.activate(Active(config.read_contents(file), 1.0))
    worker.settle()

    assert (before, worker.get("/a")) == ("one", "two")


def test_a_worker_that_cannot_build_what_is_active_goes_on_and_tries_again(
    file: Path, records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(file, records)
    worker.settle()
    file.write_text(ONE + "  /new: later:App\n")
    records.activate(Active(config.read_contents(file), 1.0))

    for _ in range(6):
        worker.tick()
    failed = [record for record in caplog.records if "this worker cannot build" in record.getMessage()]
    during = worker.get("/a")
    (file.parent / "later.py").write_text(LAB)
    worker.tick(60.0)

    assert (len(failed), during, worker.get("/new")) == (1, "one", "word")


def test_a_worker_that_comes_to_an_empty_folder_writes_down_what_it_serves(file: Path, records: Records) -> None:
    worker = Worker(file, records)
    worker.tick()
    records.remove()

    worker.tick()

    active = records.active()
    assert active is not None
    assert active.digest == worker.digest


def test_one_worker_at_a_time_tries_a_change(file: Path, records: Records) -> None:
    worker = Worker(file, records)
    worker.settle()
    lock = records.lock()
    assert lock is not None

    file.write_text(TWO)
    worker.settle()
    during = worker.get("/a")
    lock.release()
    worker.tick()

    assert (during, worker.get("/a")) == ("one", "two")


def test_a_worker_that_waited_for_its_turn_does_not_take_what_has_been_overwritten(
    file: Path, records: Records
) -> None:
    worker = Worker(file, records)
    worker.settle()
    lock = records.lock()
    assert lock is not None
    file.write_text(ONE.replace("one", "old"))
    worker.settle()
    file.write_text(TWO)
    lock.release()

    words = []
    for _ in range(4):
        worker.tick()
        words.append(worker.get("/a"))

    assert words == ["one", "one", "two", "two"] or words == ["one", "two", "two", "two"]


def test_it_looks_more_often_while_something_is_going_on(file: Path, records: Records) -> None:
    worker = Worker(file, records)
    at_first = worker.tick()
    worker.settle()

    idle = worker.tick()
    file.write_text(TWO)

    assert (at_first, idle, worker.tick()) == (0.05, 0.2, 0.05)


def test_a_new_log_level_goes_live(file: Path, records: Records) -> None:
    worker = Worker(file, records)
    file.write_text(ONE + "logging: {level: DEBUG, console: false}\n")

    worker.settle()

    assert logging.getLogger().level == logging.DEBUG


@pytest.mark.parametrize(
    ("old", "new", "after"),
    [
        pytest.param({}, {"LAB_A": "new"}, "new", id="set"),
        pytest.param({"LAB_A": "old"}, {"LAB_A": "new"}, "new", id="changed"),
        pytest.param({"LAB_A": "old"}, {}, None, id="removed"),
    ],
)
def test_the_environment_follows_the_env_file(
    monkeypatch: pytest.MonkeyPatch, old: dict[str, str], new: dict[str, str], after: str | None
) -> None:
    monkeypatch.setenv("LAB_A", "old")

    set_environment({}, old, new)

    assert os.environ.get("LAB_A") == after


def test_what_the_process_has_of_its_own_is_never_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_A", "own")

    set_environment({"LAB_A": "own"}, {"LAB_A": "old"}, {"LAB_A": "new"})
    set_environment({"LAB_A": "own"}, {"LAB_A": "new"}, {})

    assert os.environ["LAB_A"] == "own"


def test_what_this_worker_alone_left_out_is_loaded_only_after_a_trial(
    file: Path, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[Failure | None] = [Failure(("not yet",))]
    monkeypatch.setattr(reloader, "attempt", lambda file, environ, contents, key: failures[0])
    file.write_text(ONE + "  /bad: bad:app\n")
    worker = Worker(file, records)
    worker.served.swap(replace(worker.served.current, waiting=()))
    (file.parent / "bad.py").write_text("from lab import App\napp = App('mended')\n")

    records.activate(Active(Contents((TWO + "  /bad: bad:app\n").encode()), 1000.0))
    worker.tick()
    during = (worker.get("/a"), worker.stack.mounts[2].state)
    failures[0] = None
    wait_until(lambda: worker.tick() and worker.stack.mounts[2].state == "serving")

    assert during == ("two", "disabled")
    assert worker.get("/bad") == "mended"
    active = records.active()
    assert active is not None
    assert active.since == 1000.0


@pytest.mark.parametrize("method", ["activate", "write_worker"])
def test_an_edit_goes_live_when_the_disk_has_room_again(
    file: Path, records: Records, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    worker = Worker(file, records)
    worker.settle()
    full = OSError(28, "No space left on device")

    def fail(self: Records, value: object) -> None:
        raise full

    file.write_text(TWO)
    with monkeypatch.context() as patch:
        patch.setattr(Records, method, fail)
        with pytest.raises(OSError, match="No space left"):
            worker.settle_and_tell()
        active = records.active()
        during = (worker.get("/a"), active is not None and active.digest == worker.digest)
    for _ in range(4):
        worker.tick()

    assert during == ("one" if method == "activate" else "two", True)
    assert worker.get("/a") == "two"
    assert [one.digest for one in records.workers()] == [worker.digest]
    assert records.active() == Active(config.read_contents(file), 1000.0)
