"""Bad input, as a person meets it: one clear message with its place, exit code 1, no traceback, and no file made."""

from __future__ import annotations

import socket
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.serving import DISPATCHER, GUNICORN, GUNICORN_CONF, run

APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]

NAME = "text"
"""
SEARCHED = "looked in the folder of the config and in the installed packages"

CHECK = (*DISPATCHER, "check")
SERVE = (*DISPATCHER, "serve", "--bind", "127.0.0.1:0")
GUNICORN_APP = (*GUNICORN, "dispatcher:app", "--bind", "127.0.0.1:0")


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if "__pycache__" not in path.parts}


def fails(folder: Path, command: Sequence[str], **env: str) -> str:
    """What `command` prints to stderr when it fails as it should: code 1, no traceback, no file made."""
    before = files_of(folder)

    done = run(folder, *command, env=env)

    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert files_of(folder) == before
    return "\n".join(
        line for line in done.stderr.splitlines() if not line.startswith("[20")
    )  # not gunicorn's own lines


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "gunicorn.conf.py").write_text(GUNICORN_CONF)
    (tmp_path / "hello.py").write_text(APP)
    (tmp_path / "needy.py").write_text("import no_such_package\n")
    return tmp_path


@pytest.mark.parametrize("command", [CHECK, SERVE, GUNICORN_APP], ids=["check", "serve", "gunicorn"])
@pytest.mark.parametrize(
    ("config", "message"),
    [
        pytest.param(
            None, "config.yaml: no such file; name another with --config or DISPATCHER_CONFIG", id="missing file"
        ),
        pytest.param(
            "mounts:\n  /: hello:app\n  - x\n",
            "config.yaml:3:3: this line does not fit the block that starts in line 2, check the indentation\n"
            "      - x\n      ^",
            id="syntax error",
        ),
        pytest.param(
            "mounts:\n  /: hello:ap\n",
            "config.yaml:2:6: mounts./.app: module 'hello' has no attribute 'ap', did you mean 'app'?\n"
            "      /: hello:ap\n         ^",
            id="no attribute",
        ),
        pytest.param(
            "mounts:\n  /: hello:app\nstrict: true\nmiddleware: [acess_log]\n",
            "config.yaml:4:14: middleware.acess_log: unknown middleware, did you mean 'access_log'?\n"
            "    middleware: [acess_log]\n                 ^",
            id="unknown middleware",
        ),
    ],
)
def test_every_command_says_the_same(folder: Path, command: Sequence[str], config: str | None, message: str) -> None:
    if config is not None:
        (folder / "config.yaml").write_text(config)

    assert fails(folder, command).strip() == message


@pytest.mark.parametrize(
    ("config", "message"),
    [
        pytest.param("", "config.yaml: the file is empty; a site needs at least 'mounts:'", id="empty"),
        pytest.param("\xff", "config.yaml:1:1: not UTF-8", id="not UTF-8"),
        pytest.param("just text\n", "config.yaml:1:1: expected a mapping", id="scalar at the top"),
        pytest.param("- a\n", "config.yaml:1:1: expected a mapping", id="list at the top"),
        pytest.param("mounts:\n  /: {}\n", "config.yaml:2:3: mounts./.app: missing", id="a mount without an app"),
        pytest.param(
            "mounts: {/: 'hello:app'}\nmiddleware:\n  - rate_limit: {limits: [5/fortnight]}\n",
            "config.yaml:3:27: middleware.rate_limit.limits",
            id="a bad rate",
        ),
        pytest.param(
            "mounts: {/: 'hello:app'}\nmiddleware:\n  - static: {url: /s, root: nowhere}\n",
            "config.yaml:3:29: middleware.static.root",
            id="a missing static root",
        ),
        pytest.param(
            "mounts: {/: 'hello:app'}\nserver: {bind: '${NO_SUCH_VARIABLE}'}\n",
            "config.yaml:2:16: server.bind",
            id="a missing variable",
        ),
        pytest.param(
            "mounts: {/: 'helo:app'}\n", f"no module 'helo', did you mean 'hello'?; {SEARCHED}", id="no module"
        ),
        pytest.param(
            "mounts: {/: 'needy:app'}\n",
            "'needy' imports 'no_such_package', and there is no such module; install it or mend the import",
            id="an import that fails inside",
        ),
        pytest.param(
            "mounts: {/: 'hello:NAME'}\n",
            "mounts./.app: 'hello:NAME' is a str, neither a WSGI app nor a factory; name a callable",
            id="not callable",
        ),
    ],
)
def test_check_names_the_place(folder: Path, config: str, message: str) -> None:
    (folder / "config.yaml").write_bytes(config.encode("latin-1"))

    assert message in fails(folder, CHECK)


def test_a_folder_instead_of_the_file_is_said(folder: Path) -> None:
    (folder / "config.yaml").mkdir()

    assert fails(folder, CHECK).startswith("config.yaml: ")


@pytest.mark.parametrize("server", [(*DISPATCHER, "serve"), (*GUNICORN, "dispatcher:app")], ids=["serve", "gunicorn"])
def test_a_port_that_is_taken_is_said_with_its_place(folder: Path, server: Sequence[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = f"""
            server:
              bind: 127.0.0.1:{port}
            mounts:
              /: hello:app
        """
        (folder / "config.yaml").write_text(textwrap.dedent(config))

        printed = fails(folder, server)

    assert printed == (
        f"config.yaml:3:9: server.bind: cannot listen on 127.0.0.1:{port}: another process listens there; "
        f"stop it, or choose another port\n      bind: 127.0.0.1:{port}\n            ^"
    )
