"""Edits of the config under real gunicorn, with clients that ask all the time; every answer is counted."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dispatcher import record, runtime
from dispatcher.config import read_contents
from dispatcher.record import Records, Worker
from tests.load import Asked, load, wait_until
from tests.serving import DISPATCHER, Serving, run, serving, write_site

LAB = """
import os, sys, time

def answering(text):
    def app(environ, start_response):
        body = text.encode()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]
    return app

still = answering("still here")

def create_app(word):
    return answering(word)

def identity():
    made = []
    made.append(lambda environ, start_response: answering(f"{os.getpid()} {id(made)}")(environ, start_response))
    return made[0]

def streaming(name):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield f"{name} begins;".encode()
        deadline = time.monotonic() + 20
        while not os.path.exists("go-on") and time.monotonic() < deadline:
            time.sleep(0.02)
            yield b"."
        yield f";{name} ends".encode()
    return app
"""
QUITS = "import sys\nsys.exit(3)\n"
CONFIG = """
reload: {{watch: 200ms}}
mounts:
  /: lab:still
  /same: lab:identity
  /word: {{app: "lab:create_app", args: {{word: {word}}}}}
"""
GIVEN_UP_SECONDS = 10.0  # an edit is live within one second; the figure is printed, and a busy machine fails no test
GTHREAD = ("--workers", "2", "--threads", "4")
SYNC = ("--workers", "3", "--worker-class", "sync")
PRELOAD = (*GTHREAD, "--preload")
GEVENT = ("--workers", "2", "--worker-class", "gevent")


@dataclass
class Edits:
    """Edits the config of a served site, and knows which words `/word` may answer at any time."""

    site: Serving
    word: str
    history: list[tuple[float, set[str]]] = field(default_factory=list)
    bad: int = 0
    slowest: float = 0.0

    @property
    def file(self) -> Path:
        return self.site.folder / "config.yaml"

    def may_answer(self, *words: str) -> None:
        self.history.append((time.monotonic(), set(words)))

    def good(self, word: str, write: Callable[[Path, str], object] = Path.write_text) -> None:
        self.may_answer(self.word, word)
        write(self.file, CONFIG.format(word=word))
        begun = time.monotonic()
        digest = read_contents(self.file).digest
        wait_until(lambda: {worker.digest for worker in workers(self.site)} == {digest})
        self.may_answer(word)
        self.slowest = max(self.slowest, time.monotonic() - begun)
        self.word = word

    def wrong(self, write: Callable[[Path], object]) -> None:
        self.bad += 1
        write(self.file)
        wait_until(lambda: refusals(self.site) == self.bad)

    def again(self) -> None:
        """Put back what is served."""
        if self.file.is_dir():
            self.file.rmdir()
        self.file.write_text(CONFIG.format(word=self.word))

    def is_right(self, one: Asked) -> bool:
        """Whether `/word` gave a word that was served, or about to be, while it was asked."""
        ends = [*(moment for moment, _ in self.history[1:]), float("inf")]
        spans = zip(self.history, ends, strict=True)
        return any(begun <= one.ended and one.begun <= end and one.text in words for (begun, words), end in spans)


def records(site: Serving) -> Records:
    found = record.runs(runtime.site_folder(site.folder / "config.yaml"))
    return next(one for one in found if one.master.pid == site.process.pid)


def workers(site: Serving) -> list[Worker]:
    return [worker for worker in records(site).workers() if worker.is_alive]


def refusals(site: Serving) -> int:
    return site.printed().count("config.yaml is not taken")


def halves(file: Path, text: str) -> None:
    """Write `text` in two pieces; the first of them is a config by itself."""
    cut = text.index("  /word")
    with file.open("w") as stream:
        stream.write(text[:cut])
        stream.flush()
        time.sleep(0.2)
        stream.write(text[cut:])


def replaced(file: Path, text: str) -> None:
    new = file.with_name("new")
    new.write_text(text)
    new.replace(file)


def folder_instead(file: Path) -> None:
    file.unlink()
    file.mkdir()


def mounted(app: str) -> Callable[[Path], object]:
    return lambda file: file.write_text(CONFIG.format(word="never") + f"  /new: {app}\n")


BAD: dict[str, Callable[[Path], object]] = {
    "bad YAML": lambda file: file.write_text(CONFIG.format(word="never") + "  - x\n"),
    "an unknown key": lambda file: file.write_text(CONFIG.format(word="never") + "middelware: []\n"),
    "a missing module": mounted("no_such_module:app"),
    "sys.exit at import": mounted("quits:app"),
    "an empty file": lambda file: file.write_text(""),
    "a deleted file": Path.unlink,
    "a folder in its place": folder_instead,
}


def run_edits(site: Serving, number: int, start: int = 0) -> Edits:
    """`number` of times a bad edit, and after it a good one, written in each of three ways; `start` is the first."""
    edits = Edits(site, "zero")
    edits.may_answer("zero")
    ways = (Path.write_text, halves, replaced)
    for count in range(start, start + number):
        edits.wrong(list(BAD.values())[count % len(BAD)])
        if edits.file.is_dir():
            edits.file.rmdir()
        edits.good(f"word-{count}", ways[count % len(ways)])
    return edits


def check_edits(folder: Path, args: tuple[str, ...], number: int, start: int = 0) -> None:
    site_folder = write_site(folder, CONFIG.format(word="zero"), lab=LAB, quits=QUITS)
    with serving(site_folder, *args) as site:
        wait_until(lambda: len(workers(site)) == int(args[1]))
        before = sorted(site.workers())
        with load(site, ["/", "/same", "/word"]) as asked:
            edits = run_edits(site, number, start)

        assert asked.failed() == []
        assert {one.text for one in asked.of("/")} == {"still here"}
        assert {int(one.text.split()[0]) for one in asked.of("/same")} <= set(before)
        assert len({one.text for one in asked.of("/same")}) <= len(before)  # one object in each worker, all the time
        assert [one for one in asked.of("/word") if not edits.is_right(one)] == []
        assert sorted(site.workers()) == before
        assert refusals(site) == edits.bad
        print(f"\nslowest edit to be live everywhere: {edits.slowest:.2f} s")
        assert edits.slowest < GIVEN_UP_SECONDS


@pytest.mark.parametrize(
    ("args", "number", "start"),
    [
        pytest.param(GTHREAD, 4, 0, id="gthread"),
        pytest.param(SYNC, 2, 2, id="sync"),
        pytest.param(PRELOAD, 2, 3, id="preload"),
        pytest.param(GEVENT, 2, 5, id="gevent", marks=pytest.mark.soak),
    ],
)
def test_edits_go_live_and_bad_ones_do_not(tmp_path: Path, args: tuple[str, ...], number: int, start: int) -> None:
    check_edits(tmp_path, args, number, start)


@pytest.mark.soak
@pytest.mark.parametrize("args", [SYNC, GTHREAD, PRELOAD, GEVENT], ids=["sync", "gthread", "preload", "gevent"])
def test_thirty_edits_go_live_and_bad_ones_do_not(tmp_path: Path, args: tuple[str, ...]) -> None:
    check_edits(tmp_path, args, number=15)


@pytest.mark.parametrize(
    ("args", "conf", "watch"),
    [
        pytest.param(SYNC, True, "200ms", id="sync"),
        pytest.param(PRELOAD, True, "200ms", id="preload"),
        pytest.param(GTHREAD, False, "200ms", id="without a conf file"),
        pytest.param(PRELOAD, False, "200ms", id="preload without a conf file", marks=pytest.mark.soak),
        pytest.param(GTHREAD, True, "false", id="not watched"),
        pytest.param(GTHREAD, False, "false", id="not watched without a conf file", marks=pytest.mark.soak),
    ],
)
def test_workers_that_are_killed_after_a_bad_edit_come_back(
    tmp_path: Path, args: tuple[str, ...], conf: bool, watch: str
) -> None:
    text = CONFIG.format(word="zero").replace("{watch: 200ms}", "{watch: 200ms}" if watch != "false" else "false")
    folder = write_site(tmp_path, text, lab=LAB)
    if not conf:
        (folder / "gunicorn.conf.py").unlink()
    with serving(folder, *args) as site:
        if conf:
            wait_until(lambda: len(workers(site)) == int(args[1]))
        (folder / "config.yaml").write_text(text + "  - x\n")
        if conf and watch != "false":
            wait_until(lambda: refusals(site) == 1)

        for pid in site.workers():
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda gone=pid: gone not in site.workers() and len(site.workers()) == int(args[1]))  # type: ignore[misc]  # a lambda's default has no type
            assert [site.request(path).text for path in ("/", "/word")] == ["still here", "zero"]

        assert site.process.poll() is None
        assert [site.request("/word").text for _ in range(10)] == ["zero"] * 10


def test_a_stream_that_began_before_an_edit_ends_complete(tmp_path: Path) -> None:
    text = CONFIG.format(word="zero") + '  /stream: {app: "lab:streaming", args: {name: old}}\n'
    folder = write_site(tmp_path, text, lab=LAB)
    with (
        serving(folder, "--workers", "1", "--threads", "4") as site,
        closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)) as connection,
    ):
        connection.request("GET", "/stream")
        response = connection.getresponse()
        begin = response.read(11)

        Edits(site, "zero").good("one")
        assert site.request("/stream").text == "still here"  # from the mount above
        (folder / "go-on").touch()
        rest = response.read()

    assert begin + rest.replace(b".", b"") == b"old begins;;old ends"


def test_status_and_reload_say_what_is_wrong_and_what_is_served(tmp_path: Path) -> None:
    folder = write_site(tmp_path, CONFIG.format(word="zero"), lab=LAB)
    with serving(folder, *GTHREAD) as site:
        wait_until(lambda: len(workers(site)) == 2)
        digest = read_contents(folder / "config.yaml").digest
        assert run(folder, *DISPATCHER, "status").returncode == 0

        BAD["a missing module"](folder / "config.yaml")
        wait_until(lambda: refusals(site) == 1)
        told = run(folder, *DISPATCHER, "status", "--json")
        found = json.loads(told.stdout)
        refused = run(folder, *DISPATCHER, "reload", "--wait")
        Edits(site, "zero").again()
        before = site.workers()
        done = run(folder, *DISPATCHER, "reload", "--wait")

        assert told.returncode == 1
        assert (found["active"], found["on_disk"] != digest) == (digest, True)
        assert found["troubles"] == ["the last edit was not taken"]
        assert "mounts./new.app: no module 'no_such_module'" in found["rejected"]["problems"][0]
        assert (refused.returncode, "no module 'no_such_module'" in refused.stderr) == (1, True)
        assert (done.returncode, done.stdout) == (0, "reloaded\n")
        wait_until(lambda: not set(before) & set(site.workers()))

    gone = run(folder, *DISPATCHER, "status")
    assert (gone.returncode, gone.stderr) == (3, f"{folder / 'config.yaml'}: no server of this user serves it\n")
