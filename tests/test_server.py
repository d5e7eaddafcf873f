from __future__ import annotations

import os
from pathlib import Path

import pytest

from dispatcher import server
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


def test_a_worker_that_cannot_load_ends_with_the_code_that_stops_the_master(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        server.load_stack(tmp_path / "config.yaml")

    assert caught.value.code == 3
    assert "no such file" in capsys.readouterr().err


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
        pytest.param(("no such host", 80), "no such host (Name or service not known)", id="no host"),
    ],
)
def test_what_cannot_be_listened_on_is_said(address: tuple[str, int], reason: str | None) -> None:
    assert server._cannot_bind(address) == reason
