from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from werkzeug.test import run_wsgi_app

from dispatcher import logs
from dispatcher.compose import Stack
from dispatcher.errors import ConfigError, LoadError
from dispatcher.guard import ResponseCutError
from dispatcher.sections import Logging
from dispatcher.wsgi import WSGIApplication, WSGIEnvironment, current_environ
from tests import sites

pytestmark = pytest.mark.usefixtures("forget")

LAB = """
import logging
from flask import Flask, session
from pydantic import BaseModel

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ.get("lab.trail", "").encode()]

def lists(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    return [b"li", b"st"]

def generates(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"gen"
    yield b"erated"

def writes(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"writ")
    return [b"ten"]

def raises(environ, start_response):
    raise RuntimeError("at once")

def raises_late(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"some"
    raise RuntimeError("late")

def create_app(title="none"):
    made = Flask("made", static_folder="static")
    made.title = title
    return made

def make_app():
    return lambda environ, start_response: app(environ, start_response)

def fails():
    raise RuntimeError("no database")

class Trail:
    def __init__(self, app, name="x"):
        self.app, self.name = app, name

    def __call__(self, environ, start_response):
        inner = {**environ, "lab.trail": environ.get("lab.trail", "") + self.name}
        return self.app(inner, start_response)

class Strict(Trail):
    class Options(BaseModel, extra="forbid"):
        name: str
        times: int = 1

    def __init__(self, app, *, name, times):
        super().__init__(app, name * times)

def broken(app):
    raise RuntimeError("cannot start")

number = 7
"""


def site(folder: Path, text: str) -> Stack:
    return sites.build(folder, text, lab=LAB)


def get(app: WSGIApplication, path: str) -> tuple[str, bytes]:
    environ: dict[str, Any] = {"PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": ""}
    setup_testing_defaults(environ)
    body, status, _ = run_wsgi_app(app, environ)
    text = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    return status, text


def test_the_first_middleware_in_the_file_is_the_outermost(tmp_path: Path) -> None:
    stack = site(tmp_path, 'middleware: [{"lab:Trail": {name: a}}, {"lab:Trail": {name: b}}]\nmounts: {/: "lab:app"}\n')

    assert get(stack, "/") == ("200 OK", b"ab")


def test_a_mounts_middleware_wraps_that_mount_only(tmp_path: Path) -> None:
    text = """
        middleware: [{"lab:Trail": {name: out}}]
        mounts:
          /: lab:app
          /own:
            app: lab:make_app
            middleware: [{"lab:Trail": {name: in}}]
    """
    stack = site(tmp_path, text)

    assert get(stack, "/") == ("200 OK", b"out")
    assert get(stack, "/own") == ("200 OK", b"outin")


def test_a_class_with_options_gets_them_through_its_model(tmp_path: Path) -> None:
    stack = site(tmp_path, 'middleware: [{"lab:Strict": {name: z, times: 3}}]\nmounts: {/: "lab:app"}\n')

    assert get(stack, "/") == ("200 OK", b"zzz")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        pytest.param(
            '{"lab:Strict": {name: z, tims: 3}}',
            "config.yaml:1:39: middleware.lab:Strict.tims: unknown key, did you mean 'times'?",
            id="unknown option of a model",
        ),
        pytest.param(
            '{"lab:Trail": {nam: z}}',
            "config.yaml:1:14: middleware.lab:Trail: 'lab:Trail' cannot take these options: "
            "got an unexpected keyword argument 'nam'",
            id="unknown option of a signature",
        ),
        pytest.param(
            '"lab:number"',
            "config.yaml:1:14: middleware.lab:number: 'lab:number' is not callable; name a class or a function",
            id="not callable",
        ),
        pytest.param(
            '"lab:Trial"',
            "config.yaml:1:14: middleware.lab:Trial: module 'lab' has no attribute 'Trial', did you mean 'Trail'?",
            id="no attribute",
        ),
        pytest.param(
            '"lab:broken"',
            "config.yaml:1:14: middleware.lab:broken: 'lab:broken' cannot be made: RuntimeError: cannot start",
            id="constructor raises",
        ),
        pytest.param(
            '{rate_limit: {limits: [5/second], by: "lab:nobody"}}',
            "config.yaml:1:52: middleware.rate_limit.by: 'lab:nobody': module 'lab' has no attribute 'nobody'",
            id="constructor blames an option",
        ),
    ],
)
def test_a_wrong_middleware_stops_the_start_with_its_place(tmp_path: Path, entry: str, message: str) -> None:
    with pytest.raises((ConfigError, LoadError)) as caught:
        site(tmp_path, f'middleware: [{entry}]\nmounts: {{/: "lab:app"}}\n')

    assert str(caught.value).splitlines()[0].endswith(message)


def test_every_wrong_middleware_is_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        site(
            tmp_path,
            'middleware: ["lab:number", "lab:Trial"]\nmounts: {/: {app: "lab:app", middleware: ["lab:numbr"]}}\n',
        )

    assert [problem.path for problem in caught.value.problems] == [
        "middleware.lab:number",
        "middleware.lab:Trial",
        "mounts./.middleware.lab:numbr",
    ]


def test_an_app_that_fails_answers_503_and_the_others_serve(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stack = site(tmp_path, 'mounts: {/: "lab:app", /bad: "lab:fails"}\n')

    assert get(stack, "/bad/x") == ("503 Service Unavailable", b"503 Service Unavailable\n")
    assert get(stack, "/")[0] == "200 OK"
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "mounts./bad.app: calling 'lab:fails' raised RuntimeError: no database" in caplog.text
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('strict: true\nmounts: {/: "lab:app", /bad: "lab:fails"}\n', id="strict"),
        pytest.param('mounts: {/bad: "lab:fails"}\n', id="no app at all"),
    ],
)
def test_a_failure_stops_the_start_when_strict_or_when_nothing_is_left(tmp_path: Path, text: str) -> None:
    with pytest.raises(LoadError, match=r"mounts\./bad\.app: calling 'lab:fails' raised RuntimeError: no database"):
        site(tmp_path, text)


def test_one_app_object_in_two_mounts_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(LoadError) as caught:
        site(tmp_path, 'strict: true\nmounts: {/a: "lab:app", /b: "lab:app"}\n')

    assert caught.value.problems[0].what == (
        "the same app object is mounted at '/a' already, and what an app keeps (its state, its cookies' names, "
        "its prefix) it has once; mount a factory, which makes one app for each mount"
    )


def test_a_factory_may_be_mounted_twice(tmp_path: Path) -> None:
    stack = site(tmp_path, 'mounts: {/a: "lab:create_app", /b: "lab:create_app"}\n')

    assert stack.mounts[0].app is not stack.mounts[1].app


def test_a_flask_mounts_static_folder_is_served_without_flask(tmp_path: Path) -> None:
    folder = tmp_path / "static"
    folder.mkdir()
    (folder / "a.txt").write_text("from the folder")
    (tmp_path / "shop.py").write_text(SHOP)
    stack = site(tmp_path, SHOPS)

    assert {path: get(stack, f"{path}/static/a.txt")[1] for path in ("/on", "/off", "/guarded", "/forced")} == {
        "/on": b"from the folder",
        "/off": b"seen by Flask",
        "/guarded": b"seen by Flask",
        "/forced": b"from the folder",
    }


SHOP = """
from flask import Flask

def create_app(guarded=False):
    app = Flask("shop", root_path=__file__.rsplit("/", 1)[0])

    @app.after_request
    def see(response):
        response.close()
        return app.response_class("seen by Flask")

    if guarded:
        app.before_request(lambda: None)
    return app
"""
SHOPS = """
mounts:
  /on: shop:create_app
  /off: {app: shop:create_app, static: false}
  /guarded: {app: shop:create_app, args: {guarded: true}}
  /forced: {app: shop:create_app, args: {guarded: true}, static: true}
"""


def test_the_request_is_known_to_its_thread_until_the_body_is_closed(tmp_path: Path) -> None:
    stack = site(tmp_path, 'mounts: {/m: "lab:generates"}\n')
    environ: WSGIEnvironment = {"PATH_INFO": "/m"}
    setup_testing_defaults(environ)

    body: Any = stack(environ, lambda status, headers, exc_info=None: lambda data: None)
    during = [current_environ.get() is environ for _ in body]
    body.close()

    assert during == [True, True]
    assert current_environ.get() is None


def test_the_request_is_forgotten_when_the_app_raises(tmp_path: Path) -> None:
    stack = site(tmp_path, 'mounts: {/: "lab:raises"}\n')

    with pytest.raises(RuntimeError, match="at once"):
        get(stack, "/")

    assert current_environ.get() is None


def test_a_stack_inside_a_stack_gives_the_outer_request_back(tmp_path: Path) -> None:
    inner = site(tmp_path, 'mounts: {/: "lab:lists"}\n')
    outer_environ: WSGIEnvironment = {"outer": True}
    current_environ.set(outer_environ)
    try:
        assert get(inner, "/") == ("200 OK", b"list")
        assert current_environ.get() is outer_environ
    finally:
        current_environ.set(None)


WHOLE = """
middleware:
  - request_id
  - access_log: {file: logs/access.log}
  - rate_limit: {limits: [1000/second]}
  - static: {url: /static, root: static}
mounts:
  /lists: lab:lists
  /generates: {app: "lab:generates", factory: false}
  /writes: lab:writes
  /late: lab:raises_late
"""


def whole_stack(folder: Path) -> Stack:
    (folder / "static").mkdir()
    return site(folder, WHOLE)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/lists", b"list", id="a list app"),
        pytest.param("/generates", b"generated", id="a generator app"),
        pytest.param("/writes", b"written", id="a write() app"),
        pytest.param("/nowhere", b"404 Not Found\n", id="nothing mounted"),
    ],
)
def test_the_whole_stack_keeps_wsgi(tmp_path: Path, path: str, expected: bytes) -> None:
    stack = whole_stack(tmp_path)

    _, text = get(validator(stack), path)

    assert text == expected


def test_an_app_that_raises_late_has_its_response_cut_off(tmp_path: Path) -> None:
    stack = whole_stack(tmp_path)
    environ: WSGIEnvironment = {"PATH_INFO": "/late", "QUERY_STRING": ""}
    setup_testing_defaults(environ)

    body: Iterable[bytes] = stack(environ, lambda status, headers, exc_info=None: lambda data: None)
    chunks = iter(body)

    assert next(chunks) == b"some"
    with pytest.raises(ResponseCutError):
        next(chunks)
    body.close()  # type: ignore[attr-defined]  # the stack's body has one
    assert '"GET /late HTTP/1.0" 200 4' in (tmp_path / "logs" / "access.log").read_text()


def test_an_import_that_configures_logging_silences_nobody(tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(
        "import logging.config\n"
        "logging.getLogger('noisy')\n"
        "logging.config.dictConfig({'version': 1, 'root': {'level': 'CRITICAL', 'handlers': []}})\n"
        "def app(environ, start_response): pass\n"
    )
    logs.configure(Logging())
    handler = logging.getLogger().handlers[0]
    other = logging.getLogger("somebody.else")

    site(tmp_path, 'mounts: {/: "noisy:app"}\n')

    root = logging.getLogger()
    assert handler in root.handlers
    assert root.level != logging.CRITICAL
    assert (other.disabled, logging.getLogger("noisy").disabled) == (False, False)


def test_the_env_file_reaches_the_apps_and_the_process_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_ONE", "process")
    monkeypatch.setenv("LAB_TWO", "x")
    monkeypatch.delenv("LAB_TWO")
    (tmp_path / ".env").write_text("LAB_ONE=file\nLAB_TWO=file\n")
    (tmp_path / "envy.py").write_text(
        "import os\nSEEN = (os.environ['LAB_ONE'], os.environ['LAB_TWO'])\ndef app(environ, start_response): pass\n"
    )

    site(tmp_path, 'mounts: {/: "envy:app"}\n')

    import envy  # type: ignore[import-not-found]  # written above

    assert envy.SEEN == ("process", "file")
