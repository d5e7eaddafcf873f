"""Edits of the config under real gunicorn, with clients that ask all the time; every answer is counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dispatcher import record, runtime
from dispatcher.config import read_contents
from dispatcher.record import Records, Worker
from tests.load import Asked, load, wait_until
from tests.serving import Serving, serving, write_site

LAB = """
import os, sys

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
"""
QUITS = "import sys\nsys.exit(3)\n"
CONFIG = """
reload: {{watch: 200ms}}
mounts:
  /: lab:still
  /same: lab:identity
  /word: {{app: "lab:create_app", args: {{word: {word}}}}}
"""
INTERVAL_AND_SETTLING = 1.0
GTHREAD = ("--workers", "2", "--threads", "4")
SYNC = ("--workers", "3", "--worker-class", "sync")
PRELOAD = (*GTHREAD, "--preload")


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


def run_edits(site: Serving, rounds: int) -> Edits:
    """`rounds` times all the bad edits, each followed by a good one, written in each of three ways."""
    edits = Edits(site, "zero")
    edits.may_answer("zero")
    ways = (Path.write_text, halves, replaced)
    for number in range(rounds * len(BAD)):
        edits.wrong(list(BAD.values())[number % len(BAD)])
        if edits.file.is_dir():
            edits.file.rmdir()
        edits.good(f"word-{number}", ways[number % len(ways)])
    return edits


def check_edits(folder: Path, args: tuple[str, ...], rounds: int) -> None:
    site_folder = write_site(folder, CONFIG.format(word="zero"), lab=LAB, quits=QUITS)
    with serving(site_folder, *args) as site:
        wait_until(lambda: len(workers(site)) == int(args[1]))
        before = sorted(site.workers())
        with load(site, ["/", "/same", "/word"]) as asked:
            edits = run_edits(site, rounds)

        assert asked.failed() == []
        assert {one.text for one in asked.of("/")} == {"still here"}
        assert {int(one.text.split()[0]) for one in asked.of("/same")} <= set(before)
        assert len({one.text for one in asked.of("/same")}) <= len(before)  # one object in each worker, all the time
        assert [one for one in asked.of("/word") if not edits.is_right(one)] == []
        assert sorted(site.workers()) == before
        assert refusals(site) == edits.bad
        assert edits.slowest < INTERVAL_AND_SETTLING


@pytest.mark.parametrize("args", [SYNC, GTHREAD, PRELOAD], ids=["sync", "gthread", "preload"])
def test_edits_go_live_and_bad_ones_do_not(tmp_path: Path, args: tuple[str, ...]) -> None:
    check_edits(tmp_path, args, rounds=1)


@pytest.mark.soak
@pytest.mark.parametrize("args", [SYNC, GTHREAD, PRELOAD], ids=["sync", "gthread", "preload"])
def test_many_edits_go_live_and_bad_ones_do_not(tmp_path: Path, args: tuple[str, ...]) -> None:
    check_edits(tmp_path, args, rounds=3)
