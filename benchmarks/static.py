"""Prints what a static file costs in process: `static`, WhiteNoise and a Flask view, in µs, interleaved.

    python benchmarks/static.py

Each answer is made, its body closed unread (that is the server's work), 3,000 times a round; medians of 15 rounds. The
file has 11 bytes, gzip is its sibling; `miss` asks for a path of the app, which answers an empty 404.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment
from wsgiref.util import FileWrapper

from flask import Flask, send_from_directory
from flask.typing import ResponseReturnValue
from werkzeug.test import create_environ
from whitenoise import WhiteNoise  # type: ignore[import-untyped]  # it ships no py.typed

from dispatcher.middleware.static import Static

ROUNDS = 15
REQUESTS = 3000
FLASK_REQUESTS = 300


def nothing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("404 Not Found", [("Content-Length", "0")])
    return []


def flask_app(root: Path) -> WSGIApplication:
    app = Flask(__name__, static_folder=None)

    @app.get("/static/<path:name>")
    def files(name: str) -> ResponseReturnValue:
        return send_from_directory(root, name)

    return app


def answer(app: WSGIApplication, environ: WSGIEnvironment) -> tuple[str, dict[str, str]]:
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: object = None, /
    ) -> Callable[[bytes], object]:
        started.append((status, headers))
        return len

    close(app(environ, start_response))
    ((status, headers),) = started
    return status, dict(headers)


def close(body: Iterable[bytes]) -> None:
    if hasattr(body, "close"):
        body.close()


def ignore(status: str, headers: object, exc_info: object = None, /) -> Callable[[bytes], object]:
    return len


def microseconds(app: WSGIApplication, environ: WSGIEnvironment, requests: int) -> float:
    begin = time.perf_counter()
    for _ in range(requests):
        close(app(dict(environ), ignore))
    return (time.perf_counter() - begin) / requests * 1e6


def request(path: str, **headers: str) -> WSGIEnvironment:
    environ = create_environ(path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    environ["wsgi.file_wrapper"] = FileWrapper
    return environ


def cases(app: WSGIApplication) -> dict[str, WSGIEnvironment]:
    _, headers = answer(app, request("/static/a.txt"))
    return {
        "hit": request("/static/a.txt"),
        "hit, gzip": request("/static/a.css", Accept_Encoding="gzip, deflate, br"),
        "304 by ETag": request("/static/a.txt", If_None_Match=headers["ETag"]),
        "304 by date": request("/static/a.txt", If_Modified_Since=headers["Last-Modified"]),
        "range": request("/static/a.txt", Range="bytes=2-4"),
        "miss below /static": request("/static/nope.txt"),
        "miss": request("/elsewhere"),
    }


def measure(apps: dict[str, WSGIApplication]) -> dict[str, dict[str, float]]:
    """Medians in µs by case and app; the rounds of the apps are interleaved, so that noise meets all of them."""
    requests = {name: cases(app) for name, app in apps.items()}
    medians: dict[str, dict[str, float]] = {}
    for case in requests["static"]:
        rounds: dict[str, list[float]] = {name: [] for name in apps}
        for _ in range(ROUNDS):
            for name, app in apps.items():
                count = FLASK_REQUESTS if name == "Flask view" else REQUESTS
                rounds[name].append(microseconds(app, requests[name][case], count))
        medians[case] = {name: statistics.median(times) for name, times in rounds.items()}
    return medians


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "a.txt").write_text("hello world")
        (root / "a.css").write_text("a{}" * 100)
        (root / "a.css.gz").write_bytes(b"x" * 50)
        apps: dict[str, WSGIApplication] = {
            "static": Static(nothing, root=root),
            "WhiteNoise": WhiteNoise(nothing, root=root, prefix="/static"),
            "Flask view": flask_app(root),
        }
        print(
            f"{'µs a request':20}{'static':>10}{'WhiteNoise':>12}{'Flask view':>12}{'/ WhiteNoise':>14}{'/ Flask':>9}"
        )
        for case, times in measure(apps).items():
            ours, whitenoise, view = times.values()
            ratios = f"{ours / whitenoise:14.2f}{ours / view:9.2f}"
            print(f"{case:20}{ours:10.2f}{whitenoise:12.2f}{view:12.2f}{ratios}")


if __name__ == "__main__":
    main()
