"""One site, unchanged, on every kind of server: what goes through the whole stack arrives as it should."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import GUNICORN, Serving, serving, wait_until, write_site

APPS = """
import hashlib

def lists(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "8")])
    return [b"one", b"three"]

def streams(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    for number in range(5):
        yield b"%d," % number

def writes(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "7")])
    write(b"writ")
    return [b"ten"]

def echoes(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = hashlib.sha256(environ["wsgi.input"].read(length)).hexdigest().encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]

def raises(environ, start_response):
    raise LookupError("at once")
"""
CONFIG = """
    middleware:
      - request_id
      - access_log: {file: logs/access.log, format: "{method} {path} {status} {bytes} {outcome}"}
      - rate_limit: {limits: [1000/second]}
      - static: {url: /static, root: static}
    mounts:
      /lists: site_apps:lists
      /streams: site_apps:streams
      /writes: site_apps:writes
      /echoes: site_apps:echoes
      /raises: site_apps:raises
"""
LARGE = b"0123456789" * 300_000


@pytest.fixture(
    params=[
        pytest.param((*GUNICORN, "dispatcher:app", "-k", "sync"), id="gunicorn sync"),
        pytest.param((*GUNICORN, "dispatcher:app", "-k", "gthread", "--threads", "4"), id="gunicorn gthread"),
        pytest.param((*GUNICORN, "dispatcher:app", "-k", "gevent"), id="gunicorn gevent"),
        pytest.param((sys.executable, "-m", "tests.waitress_site"), id="waitress"),
    ],
    scope="module",
)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("servers")
    (folder / "static").mkdir()
    (folder / "static" / "large.bin").write_bytes(LARGE)
    write_site(folder, CONFIG, site_apps=APPS)
    root = str(Path(__file__).parents[1])
    with serving(folder, command=request.param, env={"PYTHONPATH": root}, ready="/nowhere") as found:
        yield found


@pytest.mark.parametrize(
    ("path", "text"),
    [
        pytest.param("/lists", "onethree", id="a list"),
        pytest.param("/streams", "0,1,2,3,4,", id="a stream"),
        pytest.param("/writes", "written", id="write()"),
    ],
)
def test_a_body_arrives_whole(site: Serving, path: str, text: str) -> None:
    assert site.request(path).text == text


def test_head_has_the_headers_and_no_body(site: Serving) -> None:
    answer = site.request("/static/large.bin", "HEAD")

    assert (answer.headers["content-length"], answer.body) == (str(len(LARGE)), b"")


def test_a_large_file_arrives_whole_and_in_part(site: Serving) -> None:
    assert site.request("/static/large.bin").body == LARGE
    part = site.request("/static/large.bin", headers={"Range": "bytes=1000000-1000009"})
    assert (part.status, part.body) == (206, LARGE[1_000_000:1_000_010])


def test_a_request_body_reaches_the_app(site: Serving) -> None:
    answer = site.request("/echoes", "POST", body=LARGE)

    assert len(answer.text) == 64


def test_an_app_that_raises_is_answered_with_the_request_id(site: Serving) -> None:
    answer = site.request("/raises", headers={"X-Request-ID": "raises-1"})

    assert (answer.status, answer.headers["x-request-id"]) == (500, "raises-1")


def test_each_request_is_one_line_that_says_how_it_ended(site: Serving) -> None:
    for path in ("/lists?log", "/streams?log", "/writes?log", "/raises?log", "/static/large.bin?log"):
        site.request(path)

    def lines() -> list[str]:
        text = (site.folder / "logs" / "access.log").read_text()
        return sorted(line for line in text.splitlines() if "?log" in line)

    wait_until(lambda: len(lines()) >= 5)
    assert lines()[:1] + lines()[2:] == [
        "GET /lists?log 200 8 ok",
        f"GET /static/large.bin?log 200 {len(LARGE)} ok",
        "GET /streams?log 200 10 ok",
        "GET /writes?log 200 7 ok",
    ]
    assert lines()[1].startswith("GET /raises?log 500 ")
    assert lines()[1].endswith(" error")
