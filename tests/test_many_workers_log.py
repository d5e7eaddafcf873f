"""No log line is lost: real gunicorn with several workers, every answer looked up in the log."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hammer import Tally, hammer
from tests.serving import Serving, serving, wait_until, write_site

APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]
"""
CONFIG = """
    middleware:
      - access_log: {{file: logs/access.log, format: combined, {options}}}
    mounts:
      /: hello:app
"""
COMBINED = re.compile(r'127\.0\.0\.1 - - \[[^]]+\] "GET /(?P<id>[^ ]+) HTTP/1\.1" 200 2 "-" "-"')


def logged(folder: Path) -> Counter[str]:
    """How often each id stands in the files of the log; a line that is none of ours fails."""
    found: Counter[str] = Counter()
    for file in sorted((folder / "logs").glob("access*")):
        for line in file.read_text().splitlines():
            match = COMBINED.fullmatch(line)
            assert match, f"{file.name}: {line!r}"
            found[match["id"]] += 1
    return found


def run(folder: Path, count: int, options: str, *args: str, during: Callable[[Serving], object] | None = None) -> Tally:
    """Serve, ask `count` times while `during` goes on in a thread of its own, and stop."""
    write_site(folder, CONFIG.format(options=options), hello=APP)
    with serving(folder, *args, ready="/ready") as site:
        running = threading.Event()
        running.set()
        thread = threading.Thread(target=_repeat, args=(during, site, running)) if during else None
        if thread:
            thread.start()
        tally = hammer(site, [f"/id-{number}" for number in range(count)])
        running.clear()
        if thread:
            thread.join()
        answered = {path.strip("/") for path in tally.statuses}
        wait_until(lambda: answered <= set(logged(folder)))  # the record of the last answers follows them
    return tally


def _repeat(action: Callable[[Serving], object], site: Serving, running: threading.Event) -> None:
    while running.is_set():
        time.sleep(0.5)
        action(site)


def assert_complete(folder: Path, tally: Tally) -> None:
    """Every answer that a client saw stands in the log once; a request without an answer at most once."""
    found = logged(folder)
    answered = {path.strip("/") for path in tally.statuses}
    assert {name: found[name] for name in answered if found[name] != 1} == {}
    unanswered = {path.strip("/") for path in tally.unanswered}
    assert set(found) - answered - unanswered == {"ready"}


MANY = "backups: 100000"


@pytest.mark.parametrize(
    ("options", "args"),
    [
        pytest.param(f"max_bytes: 10000, {MANY}", ["--workers", "4"], id="10 KB files"),
        pytest.param(f"max_bytes: 2000, {MANY}", ["--workers", "4", "--preload"], id="2 KB files, preload"),
        pytest.param(f"max_bytes: 2000, {MANY}", ["--workers", "2", "--threads", "4"], id="2 KB files, threads"),
        pytest.param(f"when: S, {MANY}", ["--workers", "4"], id="a file each second"),
    ],
)
def test_every_request_is_one_line(tmp_path: Path, options: str, args: list[str]) -> None:
    tally = run(tmp_path, 2000, options, *args)

    assert tally.unanswered == []
    assert_complete(tmp_path, tally)


def test_no_file_is_larger_than_it_may_be(tmp_path: Path) -> None:
    run(tmp_path, 1000, f"max_bytes: 2000, {MANY}", "--workers", "4")

    sizes = [file.stat().st_size for file in (tmp_path / "logs").glob("access*")]
    assert len(sizes) > 10
    assert max(sizes) <= 2000 + 200  # and one record


def test_every_answer_is_logged_though_workers_are_killed(tmp_path: Path) -> None:
    def kill(site: Serving) -> None:
        for pid in site.workers()[:1]:
            os.kill(pid, signal.SIGKILL)

    tally = run(tmp_path, 4000, f"max_bytes: 10000, {MANY}", "--workers", "4", during=kill)

    assert len(tally.unanswered) < 100
    assert_complete(tmp_path, tally)


@pytest.mark.parametrize("how", ["mv", "rm"])
def test_the_log_survives_what_is_done_to_its_file(tmp_path: Path, how: str) -> None:
    moved = 0

    def touch(site: Serving) -> None:
        nonlocal moved
        log = site.folder / "logs" / "access.log"
        if how == "mv" and log.exists():
            moved += 1
            log.rename(log.with_name(f"access-moved-{moved}"))
        elif log.exists():
            kept = log.with_name(f"access-kept-{moved}")
            os.link(log, kept)  # so that the lines can be counted; the log's own name is removed
            log.unlink()
            moved += 1

    tally = run(tmp_path, 4000, "max_bytes: 0", "--workers", "4", during=touch)

    assert moved > 0
    assert tally.unanswered == []
    assert_complete(tmp_path, tally)


@pytest.mark.soak
@pytest.mark.parametrize("max_bytes", [2000, 10000])
@pytest.mark.parametrize(
    "args",
    [
        pytest.param(["--workers", "4"], id="sync"),
        pytest.param(["--workers", "4", "--preload"], id="preload"),
        pytest.param(["--workers", "4", "--threads", "4"], id="gthread"),
    ],
)
def test_ten_thousand_requests_are_ten_thousand_lines(tmp_path: Path, max_bytes: int, args: list[str]) -> None:
    tally = run(tmp_path, 10_000, f"max_bytes: {max_bytes}, {MANY}", *args)

    assert tally.unanswered == []
    assert_complete(tmp_path, tally)
