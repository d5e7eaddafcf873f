from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.arbiter import Arbiter

import dispatcher
from dispatcher import server
from dispatcher.errors import ConfigError
from tests import sites
from tests.serving import DISPATCHER, GUNICORN, run, serving, wait_until, write_site

pytestmark = pytest.mark.usefixtures("forget")

HELLO = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]
"""


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `gunicorn_settings` sets in the environment is taken back."""
    monkeypatch.setenv("DISPATCHER_CONFIG", "")


@pytest.mark.parametrize(
    ("environ", "file"),
    [({}, "config.yaml"), ({"DISPATCHER_CONFIG": ""}, "config.yaml"), ({"DISPATCHER_CONFIG": "/x.yaml"}, "/x.yaml")],
)
def test_the_config_is_named_by_the_environment_or_lies_here(environ: dict[str, str], file: str) -> None:
    assert server.config_file(environ) == Path(file)


def test_settings_are_gunicorns_own_names_and_the_folder_of_the_config(tmp_path: Path, environ: None) -> None:
    file = sites.write(tmp_path, "server: {workers: 3, bind: '127.0.0.1:9'}\nmounts: {/: 'hello:app'}\n")

    settings = server.gunicorn_settings(file)

    hooks = [name for name, value in settings.items() if callable(value)]
    assert {"on_starting", "post_worker_init", "on_exit"} <= set(hooks)
    assert {name: value for name, value in settings.items() if name not in hooks} == {
        "wsgi_app": "dispatcher:app",
        "control_socket_disable": True,
        "chdir": str(tmp_path),
        "workers": 3,
        "bind": "127.0.0.1:9",
    }
    assert os.environ["DISPATCHER_CONFIG"] == str(file)


def test_a_wrong_config_ends_the_process_with_its_problems(
    tmp_path: Path, environ: None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = sites.write(tmp_path, "mounts: {}\nmidleware: []\n")

    with pytest.raises(SystemExit) as caught:
        server.gunicorn_settings(file)

    assert caught.value.code == 1
    assert "midleware: unknown key, did you mean 'middleware'?" in capsys.readouterr().err


def called_by_gunicorn(function: Callable[[], object]) -> object:
    """Call it as code of gunicorn's master module does."""
    namespace: dict[str, Any] = {"__name__": Arbiter.__module__}
    exec("def call(function): return function()", namespace)
    return namespace["call"](function)


def test_a_worker_that_cannot_load_ends_with_the_code_that_stops_the_master(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        called_by_gunicorn(lambda: server.load_stack(tmp_path / "config.yaml"))

    assert caught.value.code == 3
    assert "no such file" in capsys.readouterr().err


def test_elsewhere_the_error_is_raised(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DISPATCHER_CONFIG", str(tmp_path / "config.yaml"))

    with pytest.raises(ConfigError, match="no such file"):
        hasattr(dispatcher, "app")


def test_an_obstacle_ends_the_start_with_its_place(
    tmp_path: Path, environ: None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = sites.write(tmp_path, "server: {keyfile: no.pem}\nmounts: {}\n")

    with pytest.raises(SystemExit) as caught:
        server.gunicorn_settings(file)

    assert caught.value.code == 1
    assert f"config.yaml:1:19: server.keyfile: there is no file {tmp_path}/no.pem" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        pytest.param((*DISPATCHER, "serve"), id="dispatcher serve"),
        pytest.param((*GUNICORN, "dispatcher:app"), id="gunicorn dispatcher:app"),
        pytest.param(GUNICORN, id="gunicorn alone"),
    ],
)
def test_every_way_to_start_serves_the_same(tmp_path: Path, command: tuple[str, ...]) -> None:
    write_site(tmp_path, "server: {workers: 2}\nmounts: {/: 'hello:app'}\n", hello=HELLO)

    with serving(tmp_path, command=command) as site:
        assert site.request("/").text == "hello"
        wait_until(lambda: len(site.workers()) == 2)
        assert len(site.workers()) == 2


def test_gunicorn_without_its_conf_file_serves_too(tmp_path: Path) -> None:
    write_site(tmp_path, "mounts: {/: 'hello:app'}\n", hello=HELLO)
    (tmp_path / "gunicorn.conf.py").unlink()

    with serving(tmp_path) as site:
        assert site.request("/").text == "hello"


def test_a_site_is_served_from_another_folder(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    config = "middleware: [{access_log: {file: logs/a.log}}]\nmounts: {/: 'hello:app'}\n"
    file = write_site(tmp_path, config, hello=HELLO) / "config.yaml"

    with serving(elsewhere, command=(*DISPATCHER, "serve", "--config", str(file))) as site:
        assert site.request("/").text == "hello"
        wait_until((tmp_path / "logs" / "a.log").exists)

    assert (tmp_path / "logs" / "a.log").read_text().count("GET / ") >= 1


def test_a_mount_that_cannot_load_is_said_once_at_the_start(tmp_path: Path) -> None:
    config = "server: {workers: 2}\nmounts: {/: 'hello:app', /bad: 'hello:ap'}\n"

    with serving(write_site(tmp_path, config, hello=HELLO)) as site:
        assert (site.request("/").status, site.request("/bad").status) == (200, 503)

    assert site.printed().count("(this mount answers 503, the others serve)") == 1


@pytest.mark.parametrize(
    ("log", "in_log"),
    [
        pytest.param("logging: {console: true}", 0, id="the console alone"),
        pytest.param("logging: {file: app.log}", 1, id="a file and the console"),
        pytest.param("logging: {file: app.log, console: false}", 1, id="a file alone"),
    ],
)
def test_wherever_the_log_goes_the_terminal_has_it_once(tmp_path: Path, log: str, in_log: int) -> None:
    config = f"server: {{workers: 2}}\n{log}\nmounts: {{/: 'hello:app', /bad: 'bad:app'}}\n"
    file = tmp_path / "app.log"

    with serving(write_site(tmp_path, config, hello=HELLO, bad="1 / 0")) as site:
        wait_until(lambda: len(site.workers()) == 2 and (not in_log or file.exists()))
        wait_until(lambda: "mounts./bad.app" in site.printed())
        said = site.printed()

    assert said.count("mounts./bad.app: importing 'bad' raised ZeroDivisionError") == 1
    assert "Traceback" in said or in_log
    assert (file.read_text().count("Traceback") if file.exists() else 0) == in_log


def test_a_stop_for_a_wrong_app_leaves_no_pidfile(tmp_path: Path) -> None:
    write_site(tmp_path, "server: {pidfile: site.pid, bind: '127.0.0.1:0'}\nmounts: {/: 'hello:ap'}\n", hello=HELLO)

    done = run(tmp_path, *GUNICORN, "dispatcher:app")

    assert done.returncode == 1
    assert "module 'hello' has no attribute 'ap'" in done.stderr
    assert not (tmp_path / "site.pid").exists()


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        pytest.param(("127.0.0.1", 0), None, id="free"),
        pytest.param(("203.0.113.9", 80), "this machine has no such address", id="not of this machine"),
        pytest.param(("127.0.0.1", 99999), "a port is at most 65535", id="no port"),
        pytest.param(("no such host", 80), "no such host (Name or service not known)", id="no host"),
    ],
)
def test_what_cannot_be_listened_on_is_said(address: tuple[str, int], reason: str | None) -> None:
    assert server._cannot_bind(address) == reason


@pytest.mark.parametrize(
    ("own", "wanted", "may"),
    [
        pytest.param((1000, 1000), (1000, 1000), True, id="itself"),
        pytest.param((1000, 1000), (1001, 1000), False, id="another user"),
        pytest.param((1000, 1000), (1000, 1001), False, id="another group"),
        pytest.param((0, 0), (1000, 1000), True, id="root may"),
    ],
)
def test_only_root_may_have_workers_of_another_user(
    monkeypatch: pytest.MonkeyPatch, own: tuple[int, int], wanted: tuple[int, int], may: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: own[0])
    monkeypatch.setattr(os, "getegid", lambda: own[1])
    arbiter: Any = SimpleNamespace(cfg=SimpleNamespace(uid=wanted[0], gid=wanted[1]))
    what = (
        "dispatcher: only root can have workers of another user or group; start it as root, or without these settings"
    )

    assert server._wrong_user(arbiter) == (None if may else what)
