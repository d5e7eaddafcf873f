from __future__ import annotations

from pathlib import Path

import pytest

from dispatcher import catalog, changes, config
from dispatcher.config import Config, Contents

BASE = "middleware: [request_id]\nmounts:\n  /: lab:app\n  /a: {app: 'lab:app', args: {word: one}}\n"


def read(text: str, env: bytes | None = None) -> Config:
    contents = Contents(text.encode(), env)
    return config.read(Path("config.yaml"), options=catalog.OPTIONS, environ={}, contents=contents)


@pytest.mark.parametrize(
    ("text", "env", "told"),
    [
        pytest.param(BASE + "# a remark\n", None, "nothing but comments or layout", id="a comment"),
        pytest.param(BASE + "  /b: lab:app\n", None, "mounts added: /b", id="a new mount"),
        pytest.param(BASE.replace("/a:", "/b:"), None, "mounts added: /b; mounts removed: /a", id="a new prefix"),
        pytest.param(BASE.replace("one", "two"), None, "mounts changed: /a", id="other args"),
        pytest.param(BASE.replace("[request_id]", "[]"), None, "middleware changed", id="less middleware"),
        pytest.param(BASE + "logging: {level: DEBUG}\n", None, "logging changed", id="logging"),
        pytest.param(
            BASE, b"A=1\n", ".env changed (apps that are not built anew keep what they have read)", id="the .env"
        ),
        pytest.param(
            BASE + "server: {workers: 3}\n",
            None,
            "server changed (that takes a HUP, and bind: a restart)",
            id="the server's settings",
        ),
        pytest.param(
            BASE + "".join(f"  /x{number}: lab:app\n" for number in range(12)),
            None,
            "mounts added: /x0, /x1, /x2, /x3, /x4, /x5, /x6, /x7, /x8, /x9 and 2 more",
            id="more than anybody reads",
        ),
    ],
)
def test_what_has_changed_is_told_in_a_line(text: str, env: bytes | None, told: str) -> None:
    assert changes.describe(read(BASE), read(text, env)) == told
