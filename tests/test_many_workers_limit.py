"""The limit is the limit: real gunicorn with several workers, every answer counted."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.hammer import hammer
from tests.serving import Serving, serving, wait_until, write_site

APPS = """
from flask import Flask

app = Flask(__name__)


@app.get("/<path:anything>")
def hello(anything):
    return "hello"


def plain(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]
"""
CONFIG = """
    middleware:
      - rate_limit: {{limits: [100/minute]{extra}}}
      - static: {{url: /static, root: static}}
    mounts:
      /app: hello:app
      /plain: hello:plain
"""


def site_with(folder: Path, extra: str = "") -> Path:
    (folder / "static").mkdir()
    (folder / "static" / "a.txt").write_text("a")
    return write_site(folder, CONFIG.format(extra=extra), hello=APPS)


def hang_up(site: Serving) -> None:
    """HUP the master, and wait until every worker is a new one."""
    before = set(site.workers())
    site.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(site.workers()) >= len(before) and not before & set(site.workers()))


def kill_one(site: Serving) -> None:
    os.kill(site.workers()[0], signal.SIGKILL)


@pytest.mark.parametrize("strategy", ["moving-window", "fixed-window", "sliding-window-counter", "token-bucket"])
def test_four_workers_admit_exactly_the_limit(tmp_path: Path, strategy: str) -> None:
    folder = site_with(tmp_path, f", strategy: {strategy}" + (", burst: 100" if strategy == "token-bucket" else ""))
    with serving(folder, "--workers", "4", ready="/static/none") as site:
        used = 1  # the request that found the server ready

        tally = hammer(site, [f"/app/{number}" for number in range(1000)])

    refilled = 5 if strategy == "token-bucket" else 0  # 100 a minute come back one by one, 0.6 s apart
    assert 100 - used <= tally.count(200) <= 100 - used + refilled
    assert tally.count(200) + tally.count(429) == 1000


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(["--workers", "2", "--threads", "4"], id="two workers with four threads"),
        pytest.param(["--workers", "4", "--preload"], id="preload"),
        pytest.param(["--workers", "4", "--max-requests", "150"], id="workers that are recycled"),
    ],
)
def test_the_limit_holds_with(tmp_path: Path, args: list[str]) -> None:
    with serving(site_with(tmp_path), *args, ready="/static/none") as site:
        tally = hammer(site, [f"/app/{number}" for number in range(1000)])

    # What a recycled worker took down with it counted before it was lost.
    assert 99 - len(tally.unanswered) <= tally.count(200) <= 99
    assert tally.count(200) + tally.count(429) + len(tally.unanswered) == 1000


def test_the_limit_holds_over_a_hup_after_every_250_requests(tmp_path: Path) -> None:
    with serving(site_with(tmp_path), "--workers", "4", ready="/static/none") as site:
        tally = hammer(
            site,
            [f"/app/{number}" for number in range(1000)],
            after={n: lambda: hang_up(site) for n in (250, 500, 750)},
        )

    assert 99 - len(tally.unanswered) <= tally.count(200) <= 99


def test_the_limit_holds_when_a_worker_is_killed_half_way(tmp_path: Path) -> None:
    with serving(site_with(tmp_path), "--workers", "4", ready="/static/none") as site:
        tally = hammer(
            site, [f"/app/{number}" for number in range(1000)], after={n: lambda: kill_one(site) for n in (50, 500)}
        )

    assert 99 - len(tally.unanswered) <= tally.count(200) <= 99


def test_everything_counts_like_any_other_request(tmp_path: Path) -> None:
    with serving(site_with(tmp_path), "--workers", "2", ready="/static/none") as site:
        spent = [site.request("/nowhere").status for _ in range(30)]  # 404 of the mount table
        spent += [site.request("/app/").status for _ in range(20)]  # 404 of Flask
        spent += [site.request("/app/x", "POST").status for _ in range(20)]  # 405 of Flask
        spent += [site.request("/static/a.txt").status for _ in range(20)]  # a static file
        spent += [site.request("/plain").status for _ in range(9)]  # another WSGI app
        last = site.request("/plain")

    assert [spent.count(status) for status in (404, 405, 200, 429)] == [50, 20, 29, 0]
    assert last.status == 429
    assert 1 <= int(last.headers["retry-after"]) <= 60


def test_a_restart_of_the_server_does_not_reset_the_limit(tmp_path: Path) -> None:
    folder = site_with(tmp_path)
    with serving(folder, "--workers", "2", ready="/static/none") as site:
        hammer(site, [f"/app/{number}" for number in range(120)])
    with serving(folder, "--workers", "2", ready="/static/none") as site:
        assert site.request("/app/again").status == 429
