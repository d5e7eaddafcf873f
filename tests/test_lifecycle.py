from __future__ import annotations

import logging
from pathlib import Path

import pytest

from dispatcher import lifecycle
from dispatcher.compose import Stack
from tests import sites

pytestmark = pytest.mark.usefixtures("forget")

LAB = """
import time
CALLS = []

def create_app():
    def app(environ, start_response):
        CALLS.append({name: environ[name] for name in (
            "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "HTTP_USER_AGENT", "HTTP_HOST", "lab.trail")})
        start_response("503 Service Unavailable" if "bad" in environ["PATH_INFO"] else "200 OK", [])
        yield b"text"
        CALLS.append("read to the end")
    return app

def trail(app):
    return lambda environ, start_response: app({**environ, "lab.trail": "mount"}, start_response)

def opens(app):
    CALLS.append(("opens", app))

def closes(app):
    CALLS.append(("closes", app))

def fails(app):
    raise SystemExit("no pool")

def hangs(app):
    time.sleep(5)

number = 7
"""


def site(folder: Path, options: str) -> Stack:
    text = f"mounts: {{'shop.example/a': {{app: 'lab:create_app', middleware: ['lab:trail'], {options}}}}}\n"
    return sites.build(folder, text, lab=LAB)


def calls() -> list[object]:
    import lab  # type: ignore[import-not-found]  # written by site()

    found: list[object] = lab.CALLS
    return found


def test_the_hooks_are_called_with_the_app(tmp_path: Path) -> None:
    stack = site(tmp_path, "on_start: 'lab:opens', on_stop: 'lab:closes'")
    (one,) = stack.mounts

    lifecycle.start(stack, one)
    lifecycle.stop(stack, one)

    assert calls() == [("opens", one.app), ("closes", one.app)]


def test_a_warm_path_is_requested_once_through_the_mounts_middleware(tmp_path: Path) -> None:
    stack = site(tmp_path, "warm: '/päge?x=1'")

    lifecycle.start(stack, stack.mounts[0])

    assert calls() == [
        {
            "SCRIPT_NAME": "/a",
            "PATH_INFO": "/päge".encode().decode("latin-1"),
            "QUERY_STRING": "x=1",
            "HTTP_USER_AGENT": "dispatcher-warm",
            "HTTP_HOST": "shop.example",
            "lab.trail": "mount",
        },
        "read to the end",
    ]


def test_a_warm_request_that_fails_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stack = site(tmp_path, "warm: /bad")

    lifecycle.start(stack, stack.mounts[0])

    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "mounts.shop.example/a: warm: /bad answered 503 Service Unavailable")
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param("on_start: 'lab:fails'", "mounts.shop.example/a: on_start failed", id="it raises"),
        pytest.param(
            "on_start: 'lab:hangs', load_timeout: 50ms",
            "mounts.shop.example/a: on_start has not ended after load_timeout (0.05s); it is not waited for",
            id="it hangs",
        ),
    ],
)
def test_a_hook_that_fails_is_logged_and_disables_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, options: str, message: str
) -> None:
    stack = site(tmp_path, f"{options}, warm: /ok")

    lifecycle.start(stack, stack.mounts[0])

    assert message in [record.getMessage() for record in caplog.records]
    assert "read to the end" in calls()


@pytest.mark.parametrize(
    ("hook", "problem"),
    [
        pytest.param(
            "lab:opened", "on_start: module 'lab' has no attribute 'opened', did you mean 'opens'?", id="no attribute"
        ),
        pytest.param(
            "lab:number", "on_start: 'lab:number' is not callable; name a function that takes the app", id="no function"
        ),
    ],
)
def test_a_hook_that_is_not_there_disables_the_mount(tmp_path: Path, hook: str, problem: str) -> None:
    text = f"mounts: {{/: {{app: 'lab:create_app', on_start: '{hook}'}}, /b: 'lab:create_app'}}\n"
    stack = sites.build(tmp_path, text, lab=LAB)

    assert stack.mounts[0].state == "disabled"
    assert f"mounts./.{problem}" in str(stack.mounts[0].error)
