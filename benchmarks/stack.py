"""What the whole stack costs: a bare Flask app, the hand-wired stack of the peers, and ours, in one run.

    python -m benchmarks.stack            # in process, then under gunicorn (gthread, 4 threads)
    python -m benchmarks.stack --quick    # a few seconds, to see that it runs

The three are measured in turns, round after round, so that what the machine does meanwhile meets all alike. A figure is
the median of the rounds, and the ratio to the bare app is what counts: the machines are noisy.
"""

from __future__ import annotations

import argparse
import http.client
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

from dispatcher import create_app

WSGI = Callable[..., Iterable[bytes]]
NAMES = ("bare", "handwired", "dispatcher")
LABELS = {
    "bare": "bare Flask app",
    "handwired": "hand-wired: DispatcherMiddleware + WhiteNoise + RotatingFileHandler log + limits memory",
    "dispatcher": "dispatcher: mount + static + access_log + rate_limit (shared by all workers)",
}

HELLO = """
from flask import Flask

app = Flask(__name__, static_folder=None)


@app.get("/")
@app.get("/hello/")
def hello():
    return "hello"
"""

HANDWIRED = '''
import logging
import time
from logging.handlers import RotatingFileHandler

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from whitenoise import WhiteNoise

from hello import app as hello


class RequestLog:
    """A request log as hand-written ones are: a logging record for each request when the body is closed."""

    def __init__(self, app, file):
        self.app = app
        self.log = logging.getLogger("handwired.access")
        self.log.propagate = False
        self.log.setLevel(logging.INFO)
        handler = RotatingFileHandler(file, maxBytes=50_000_000, backupCount=10)
        handler.setFormatter(logging.Formatter("%(message)s"))
        self.log.addHandler(handler)

    def __call__(self, environ, start_response):
        start = time.perf_counter()
        status = "-"

        def keep(line, headers, exc_info=None):
            nonlocal status
            status = line[:3]
            return start_response(line, headers, exc_info)

        body = self.app(environ, keep)
        try:
            for chunk in body:
                yield chunk
        finally:
            if hasattr(body, "close"):
                body.close()
            self.log.info(
                '%s - - [%s] "%s %s %s" %s - "%s" "%s" %.6f',
                environ.get("REMOTE_ADDR", "-"), time.strftime("%d/%b/%Y:%H:%M:%S %z"),
                environ["REQUEST_METHOD"], environ.get("PATH_INFO"), environ.get("SERVER_PROTOCOL"), status,
                environ.get("HTTP_REFERER", "-"), environ.get("HTTP_USER_AGENT", "-"), time.perf_counter() - start,
            )


class Limit:
    def __init__(self, app, rate):
        self.app, self.rate = app, parse(rate)
        self.limiter = FixedWindowRateLimiter(MemoryStorage())

    def __call__(self, environ, start_response):
        if not self.limiter.hit(self.rate, environ.get("REMOTE_ADDR", "")):
            start_response("429 Too Many Requests", [("Content-Length", "0")])
            return [b""]
        return self.app(environ, start_response)


def not_found(environ, start_response):
    start_response("404 Not Found", [("Content-Length", "0")])
    return [b""]


app = DispatcherMiddleware(not_found, {"/hello": hello})
app = WhiteNoise(app, root="static", prefix="static")
app = Limit(app, "10000000/minute")
app = RequestLog(app, "handwired.log")
'''

CONFIG = """
middleware:
  - access_log: {file: dispatcher.log, max_bytes: 50MB, backups: 10}
  - rate_limit: {limits: [10000000/minute]}
  - static: {url: /static, root: static}
mounts:
  /hello: hello:app
"""


def write_site(folder: Path) -> None:
    (folder / "hello.py").write_text(HELLO)
    (folder / "handwired.py").write_text(HANDWIRED)
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "static").mkdir()
    (folder / "static" / "site.css").write_text("body { margin: 0 }\n" * 50)


# -- in process ------------------------------------------------------------------------------------------------------


def environ_for(path: str) -> dict[str, Any]:
    environ: dict[str, Any] = {
        "PATH_INFO": path,
        "REMOTE_ADDR": "192.0.2.7",
        "HTTP_USER_AGENT": "bench",
        "SCRIPT_NAME": "",
    }
    setup_testing_defaults(environ)
    environ |= {"RAW_URI": path, "QUERY_STRING": "", "SERVER_PROTOCOL": "HTTP/1.1"}
    return environ


def run_once(app: WSGI, environ: dict[str, Any]) -> None:
    body = app(environ.copy(), lambda status, headers, exc_info=None: lambda data: None)
    try:
        for _ in body:
            pass
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()


def load(name: str) -> tuple[WSGI, str]:
    if name == "dispatcher":
        return create_app("config.yaml"), "/hello/"
    module = __import__("hello" if name == "bare" else "handwired")
    return module.app, "/" if name == "bare" else "/hello/"


def in_process(rounds: int, calls: int, targets: dict[str, tuple[WSGI, str]]) -> dict[str, float]:
    """Median µs for one request of each target."""
    found: dict[str, list[float]] = {name: [] for name in targets}
    for _ in range(rounds):
        for name, (app, path) in targets.items():
            environ = environ_for(path)
            start = time.perf_counter()
            for _ in range(calls):
                run_once(app, environ)
            found[name].append((time.perf_counter() - start) / calls * 1e6)
    return {name: statistics.median(times) for name, times in found.items()}


# -- under gunicorn --------------------------------------------------------------------------------------------------


@contextmanager
def gunicorn(folder: Path, target: str, threads: int) -> Iterator[int]:
    """gunicorn with one gthread worker on a free loopback port; ended by pid."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", target, "--bind", f"127.0.0.1:{port}", "--workers", "1"]
    command += ["--threads", str(threads), "--worker-class", "gthread", "--log-level", "error", "--no-control-socket"]
    process = subprocess.Popen(command, cwd=folder, start_new_session=True)
    try:
        wait_for(port)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("gunicorn did not start")


def requests_per_second(port: int, path: str, seconds: int, connections: int) -> float:
    if shutil.which("wrk"):
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:d}s", f"http://127.0.0.1:{port}{path}"]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        if "Non-2xx" in text:
            raise SystemExit(text)
        return float(re.search(r"Requests/sec:\s+([0-9.]+)", text)[1])  # type: ignore[index]
    return python_client(port, path, seconds, connections)


def python_client(port: int, path: str, seconds: int, connections: int) -> float:
    """Where wrk is missing: threads with kept-alive connections. Slower than wrk, but alike for all three."""
    counts = [0] * connections
    deadline = time.perf_counter() + seconds

    def work(index: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        while time.perf_counter() < deadline:
            connection.request("GET", path)
            connection.getresponse().read()
            counts[index] += 1
        connection.close()

    workers = [threading.Thread(target=work, args=(index,)) for index in range(connections)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / seconds


def under_gunicorn(folder: Path, rounds: int, seconds: int, threads: int = 4, connections: int = 8) -> dict[str, float]:
    """Median requests per second of each target; all three servers run, one is asked at a time."""
    targets = {
        "bare": ("hello:app", "/"),
        "handwired": ("handwired:app", "/hello/"),
        "dispatcher": ("dispatcher:app", "/hello/"),
    }
    found: dict[str, list[float]] = {name: [] for name in targets}
    for _ in range(rounds):
        for name, (target, path) in targets.items():
            with gunicorn(folder, target, threads) as port:
                requests_per_second(port, path, 1, connections)  # warm
                found[name].append(requests_per_second(port, path, seconds, connections))
    return {name: statistics.median(rates) for name, rates in found.items()}


# -- the table -------------------------------------------------------------------------------------------------------


def table(title: str, unit: str, figures: dict[str, float]) -> None:
    print(f"\n{title}\n\n| stack | {unit} | ratio to bare |\n|---|---:|---:|")
    for name in NAMES:
        print(f"| {LABELS[name]} | {figures[name]:,.1f} | {figures[name] / figures['bare']:.2f} |")


def machine() -> str:
    client = "wrk" if shutil.which("wrk") else "a Python client"
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {client}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it runs")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_site(folder)
        os.chdir(folder)
        sys.path.insert(0, name)
        targets = {name: load(name) for name in NAMES}
        print(f"Machine: {machine()}")
        table("In process, one thread", "µs a request", in_process(3 if quick else 15, 200 if quick else 2000, targets))
        rates = under_gunicorn(folder, 1 if quick else 7, 1 if quick else 3)
        table("gunicorn, 1 gthread worker with 4 threads, 8 connections", "requests/s", rates)


if __name__ == "__main__":
    main()
