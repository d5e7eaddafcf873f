from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dispatcher import config, reloading
from dispatcher.record import Active, MountState, Process, Records, Rejected, Worker
from tests import sites

LAB = """
def app(environ, start_response):
    start_response("200 OK", [])
    return []

def fails():
    raise RuntimeError("no database")
"""
ONE = "mounts:\n  /: lab:app\n"
MASTER = """
import signal, time
signal.signal(signal.SIGHUP, lambda *_: print("hup", flush=True))
print("ready", flush=True)
time.sleep(60)
"""


class Server:
    """A master that only hears SIGHUP, and the records of its site; its workers are written by hand."""

    def __init__(self, folder: Path) -> None:
        self.file = sites.write(folder, ONE, lab=LAB)
        self.process = subprocess.Popen([sys.executable, "-c", MASTER], stdout=subprocess.PIPE, text=True)
        self.records = Records(folder / "runtime", Process.of(self.process.pid))
        self.heard()
        self.records.activate(Active(config.read_contents(self.file), 1.0))
        self.work()

    def heard(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def work(self, *mounts: MountState) -> None:
        """Write down that the same process is a worker, with these mounts."""
        me = Process.of(self.process.pid)
        self.records.write_worker(Worker(me.pid, me.started, config.read_contents(self.file).digest, 1.0, mounts))

    def ask(self, *steps: Callable[[], object]) -> list[str]:
        """What `ask` returns, when `steps` happen while it waits, and then nothing more."""
        left = list(steps)
        now = [0.0]

        def sleep(seconds: float) -> None:
            now[0] += seconds if left else 100.0
            if left:
                left.pop(0)()

        return list(reloading.ask(self.file, self.records, wait=True, clock=lambda: now[0], sleep=sleep))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.process.kill()
    server.process.wait()
    assert server.process.stdout is not None
    server.process.stdout.close()


def test_without_waiting_the_server_is_asked_and_that_is_all(server: Server) -> None:
    assert reloading.ask(server.file, server.records, wait=False) == []
    assert server.heard() == "hup"


def test_it_is_over_when_all_workers_are_new_and_serve_what_is_on_disk(server: Server) -> None:
    new = Process.of(1)  # a process that runs, and is not the one before

    def replace() -> None:
        server.records.remove_worker(server.process.pid)
        digest = config.read_contents(server.file).digest
        server.records.write_worker(Worker(new.pid, new.started, digest, 1.0, ()))

    assert server.ask(lambda: None, replace) == []


def test_what_speaks_against_it_is_told(server: Server) -> None:
    rejected = Rejected((), "abc", 5.0, ("code.py: wrong",))

    assert server.ask(lambda: server.records.reject(rejected)) == ["code.py: wrong"]


def test_a_refusal_of_an_earlier_edit_is_not_mistaken_for_one_of_now(server: Server) -> None:
    server.records.reject(Rejected((), "abc", 5.0, ("old",)))

    assert server.ask() == ["the workers were not replaced within 90s; the server's log says why"]


def test_a_server_that_ends_is_told(server: Server) -> None:
    def end() -> None:
        server.process.kill()
        server.process.wait()

    assert server.ask(end) == [f"the server (pid {server.process.pid}) has ended; its log says why"]


@pytest.mark.parametrize("wait", [True, False])
def test_a_later_process_with_the_pid_of_the_server_is_sent_nothing(
    server: Server, wait: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    me = Process.of(server.process.pid)
    records = Records(server.records.folder.parent, Process(me.pid, me.started - 1))
    kill = os.kill
    monkeypatch.setattr(os, "kill", lambda pid, signum: sent.append(signum) if signum else kill(pid, signum))

    problems = reloading.ask(server.file, records, wait=wait)

    assert problems == [f"the server (pid {me.pid}) has ended; its log says why"]
    assert sent == []


def test_a_site_that_is_right_can_be_asked_for(server: Server) -> None:
    assert reloading.check(server.file, server.records) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("mounts: [", "config.yaml:1:9: the file ends here", id="the file is wrong"),
        pytest.param("mounts: {/: 'lab:fails'}", "raised RuntimeError: no database", id="an app fails"),
    ],
)
def test_a_site_that_is_wrong_is_not_asked_for(server: Server, text: str, problem: str) -> None:
    server.file.write_text(text)

    assert problem in reloading.check(server.file, server.records)[0]


def test_a_mount_that_fails_already_is_no_reason(server: Server) -> None:
    server.work(MountState("/bad", "lab:fails", "disabled", "why"))
    server.file.write_text(ONE + "  /bad: lab:fails\n")

    assert reloading.check(server.file, server.records) == []
