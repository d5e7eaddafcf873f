"""What clients get of apps that raise, from real servers with several workers."""

from __future__ import annotations

import http.client
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import pytest
import waitress.server
from waitress import wasyncore

from tests import sites
from tests.serving import Answer, Serving, serving, write_site

CONFIG: Final = """
    server: {workers: 4, worker_class: WORKER, threads: THREADS, keepalive: 2}
    logging: {file: logs/app.log, console: false}
    middleware: [request_id, {access_log: {format: json}}]
    mounts:
      /: faulty:good
      /raise: faulty:raises
      /stream: {app: "faulty:streams", factory: false}
      /silent: faulty:silent
      /short: faulty:short
      /long: faulty:long
      /sleep: faulty:sleeps
"""

FAULTY: Final = """
    import errno, os, time

    ERRORS = {
        "ValueError": ValueError("secret"),
        "FileNotFoundError": FileNotFoundError(errno.ENOENT, "secret"),
        "ConnectionRefusedError": ConnectionRefusedError(errno.ECONNREFUSED, "secret"),
        "ConnectionResetError": ConnectionResetError(errno.ECONNRESET, "secret"),
        "TimeoutError": TimeoutError("secret"),
        "BrokenPipeError": BrokenPipeError(errno.EPIPE, "secret"),
        "OSError": OSError(errno.ENOTCONN, "secret"),
        "StopIteration": StopIteration("secret"),
        "GeneratorExit": GeneratorExit("secret"),
        "SystemExit": SystemExit(3),
        "KeyboardInterrupt": KeyboardInterrupt(),
        "MemoryError": MemoryError("secret"),
        "RecursionError": RecursionError("secret"),
        "BaseException": BaseException("secret"),
        "UnicodeDecodeError": UnicodeDecodeError("utf-8", b"secret", 0, 1, "secret"),
    }

    def good(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]

    def raises(environ, start_response):
        raise ERRORS[environ["PATH_INFO"][1:]].with_traceback(None)

    def streams(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"one"
        error = ERRORS[environ["PATH_INFO"][1:]].with_traceback(None)
        yield from Rest(error)

    class Rest:
        def __init__(self, error):
            self.error = error

        def __iter__(self):
            return self

        def __next__(self):
            raise self.error

    def silent(environ, start_response):
        return [b"text"]

    def short(environ, start_response):
        start_response("200 OK", [("Content-Length", "50")])
        return iter([b"five!"])

    def long(environ, start_response):
        start_response("200 OK", [("Content-Length", "5")])
        return [b"five!", b" and more"]

    def sleeps(environ, start_response):
        time.sleep(30)
        return []
"""

ERRORS: Final = (
    *("ValueError", "FileNotFoundError", "ConnectionRefusedError", "ConnectionResetError", "TimeoutError"),
    *("BrokenPipeError", "OSError", "StopIteration", "GeneratorExit", "SystemExit", "KeyboardInterrupt"),
    *("MemoryError", "RecursionError", "BaseException", "UnicodeDecodeError"),
)
# A StopIteration is the end of an iterator, and a GeneratorExit that of a generator's body, wherever they come from.
STREAM_ERRORS: Final = tuple(name for name in ERRORS if name != "StopIteration")


@contextmanager
def faulty_site(folder: Path, worker: str) -> Iterator[Serving]:
    threads = "4" if worker == "gthread" else "1"
    write_site(folder, CONFIG.replace("WORKER", worker).replace("THREADS", threads), faulty=FAULTY)
    with serving(folder) as site:
        yield site


def app_records(folder: Path) -> list[str]:
    """The first line of each record that the apps' log holds."""
    log = folder / "logs" / "app.log"  # made with its first record
    lines = log.read_text().splitlines() if log.exists() else []
    return [line for line in lines if not line.startswith(" ")]


def settled_workers(site: Serving) -> list[int]:
    """The pids of all four workers, when each takes signals: gunicorn loses one that comes sooner."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        pids = site.workers()
        if len(pids) == 4 and all(_catches(pid, signal.SIGABRT) for pid in pids):
            return sorted(pids)
        time.sleep(0.05)
    raise AssertionError(f"the workers did not boot:\n{site.printed()}")


def _catches(pid: int, signum: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signum - 1) & 1)


def assert_well_formed(answer: Answer) -> None:
    assert answer.status == 500
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text == f"500 Internal Server Error\nrequest id: {answer.headers['x-request-id']}\n"


@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent"])
def test_each_kind_of_exception_is_one_response_and_one_record_and_ends_no_worker(worker: str, tmp_path: Path) -> None:
    with faulty_site(tmp_path, worker) as site:
        before = settled_workers(site)

        answers = [site.request(f"/raise/{name}") for name in ERRORS] + [site.request("/silent")]
        good = site.request("/")

        assert settled_workers(site) == before
        output = site.printed()
    for answer in answers:
        assert_well_formed(answer)
    assert good.status == 200
    expected = [f"GET '/raise/{name}' failed with {name}" for name in ERRORS] + ["GET '/silent' failed with Assertion"]
    records = app_records(tmp_path)
    assert [sum(text in record for record in records) for text in expected] == [1] * len(expected)
    assert len(records) == len(expected)
    assert "Traceback" not in output
    outcomes = Counter(
        ('"outcome":"error"' in line.replace(" ", ""), '"status":500' in line.replace(" ", ""))
        for line in (tmp_path / "logs" / "access.log").read_text().splitlines()
        if "/raise" in line or "/silent" in line
    )
    assert outcomes == {(True, True): len(expected)}


@pytest.mark.parametrize("worker", ["sync", "gthread", pytest.param("gevent", marks=pytest.mark.soak)])
def test_a_stream_that_fails_is_cut_off_with_one_record_and_so_is_a_short_body_on_a_kept_connection(
    worker: str, tmp_path: Path
) -> None:
    with (
        faulty_site(tmp_path, worker) as site,
        closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)) as connection,
    ):
        before = settled_workers(site)

        for path in [f"/stream/{name}" for name in STREAM_ERRORS]:
            with pytest.raises(http.client.IncompleteRead):
                site.request(path)
        connection.request("GET", "/long")
        assert connection.getresponse().read() == b"five!"  # what is too much, the server cuts off
        connection.request("GET", "/short")
        with pytest.raises(http.client.IncompleteRead) as cut:
            connection.getresponse().read()

        assert cut.value.partial == b"five!"
        assert settled_workers(site) == before
        output = site.printed()
    assert len(app_records(tmp_path)) == len(STREAM_ERRORS) + 1
    assert "Traceback" not in output


@pytest.mark.parametrize("signum", [signal.SIGQUIT, signal.SIGABRT], ids=lambda signum: signum.name)
def test_what_ends_a_worker_in_the_middle_of_a_request_still_ends_it(signum: signal.Signals, tmp_path: Path) -> None:
    with faulty_site(tmp_path, "sync") as site:
        before = settled_workers(site)
        threading.Thread(target=_forgiving_get, args=(site, "/sleep")).start()
        busy = _busy_worker(before)

        os.kill(busy, signum)

        deadline = time.monotonic() + 10
        while busy in site.workers() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert busy not in site.workers()
        assert site.request("/").status == 200
    assert app_records(tmp_path) == []  # it was not the app that failed


def _forgiving_get(site: Serving, path: str) -> None:
    try:
        site.request(path)
    except (OSError, http.client.HTTPException):
        pass  # the connection ends with the worker


def _busy_worker(pids: list[int]) -> int:
    """The sync worker that sleeps in the app: the one that waits in no select() for a connection."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for pid in pids:
            if "nanosleep" in Path(f"/proc/{pid}/wchan").read_text():
                return pid
        time.sleep(0.05)
    raise AssertionError("no worker is busy")


@contextmanager
def on_waitress(folder: Path) -> Iterator[int]:
    """The port of a waitress that serves the site, in a thread."""
    config = (
        CONFIG.replace("WORKER", "sync")
        .replace("THREADS", "1")
        .replace("    logging: {file: logs/app.log, console: false}\n", "")
    )
    server = waitress.server.create_server(sites.build(folder, config, faulty=FAULTY), port=0, host="127.0.0.1")
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            wasyncore.loop(timeout=0.05, map=server._map, count=1)
        server.close()  # here: a loop that loses its sockets to another thread raises

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield server.effective_port
    finally:
        stop.set()
        thread.join(10)


@pytest.mark.usefixtures("forget")
def test_waitress_answers_and_cuts_off_alike(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with on_waitress(tmp_path) as port:
        site = Serving(tmp_path, port, process=None, output=tmp_path)  # type: ignore[arg-type]  # only its request()

        for name in ERRORS:
            assert_well_formed(site.request(f"/raise/{name}"))
        for name in STREAM_ERRORS:
            with pytest.raises(http.client.IncompleteRead):
                site.request(f"/stream/{name}")
        good = site.request("/")

    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert good.status == 200
    assert [record.name for record in errors] == ["dispatcher.guard"] * (len(ERRORS) + len(STREAM_ERRORS))
