from __future__ import annotations

import json
import socket
import sys
import tempfile
from pathlib import Path

import pytest

from dispatcher import cli, runtime
from dispatcher.version import __version__
from tests import sites
from tests.serving import DISPATCHER, run

pytestmark = pytest.mark.usefixtures("forget")

APPS = """
from flask import Flask

def create_app():
    app = Flask("shop", static_folder=None)
    app.add_url_rule("/b", "first", lambda: "")
    app.add_url_rule("/a", "second", lambda: "", methods=["POST"])
    return app

def plain(environ, start_response): pass
"""
CONFIG = "mounts: {/: 'shop_apps:plain', /shop: 'shop_apps:create_app'}\n"


def dispatcher(monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    """Run the command line in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["dispatcher", *args])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPATCHER_CONFIG", raising=False)
    sites.write(tmp_path, CONFIG, shop_apps=APPS)
    return tmp_path


def test_check_says_that_all_is_well(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dispatcher(monkeypatch, "check") == 0
    assert capsys.readouterr().out == "config.yaml: ok, 2 mounts\n"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        pytest.param("import os\nos._exit(0)\n", "ended the process with exit code 0", id="exits"),
        pytest.param("import time\ntime.sleep(600)\n", "took longer than load_timeout (0.3s)", id="hangs"),
    ],
)
def test_check_tells_of_an_app_that_would_end_it_and_of_what_else_is_wrong(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: str, reason: str
) -> None:
    mounts = "{/bad: {app: 'bad:app', load_timeout: 300ms}, /x: 'shop_apps:nothing', /: 'shop_apps:plain'}"
    sites.write(site, f"mounts: {mounts}\n", bad=code)

    assert dispatcher(monkeypatch, "check") == 1

    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"mounts./bad.app: loading 'bad:app' {reason}" in printed.err
    assert "module 'shop_apps' has no attribute 'nothing'" in printed.err


def test_check_tells_of_middleware_that_would_end_it(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sites.write(site, "middleware: ['bad_around:Around']\n" + CONFIG, bad_around="import os\nos._exit(0)\n")

    assert dispatcher(monkeypatch, "check") == 1
    assert "preparing the middleware ended the process with exit code 0" in capsys.readouterr().err


def test_routes_are_a_table(site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatcher(monkeypatch, "routes") == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["path", "methods", "endpoint", "mount", "app"],
        ["/<path>", "*", "(function)", "/", "shop_apps:plain"],
        ["/shop/b", "GET", "first", "/shop", "shop_apps:create_app"],
        ["/shop/a", "POST", "second", "/shop", "shop_apps:create_app"],
    ]


@pytest.mark.parametrize(
    ("args", "paths"),
    [
        pytest.param(["--mount", "/shop"], ["/shop/b", "/shop/a"], id="one mount"),
        pytest.param(["--mount", "/shop/"], ["/shop/b", "/shop/a"], id="as it may be written"),
        pytest.param(["--mount", "/"], ["/<path>"], id="the default mount"),
        pytest.param(["--sort", "path"], ["/<path>", "/shop/a", "/shop/b"], id="by path"),
        pytest.param(["--sort", "methods"], ["/<path>", "/shop/b", "/shop/a"], id="by methods"),
        pytest.param(["--sort", "endpoint"], ["/<path>", "/shop/b", "/shop/a"], id="by endpoint"),
    ],
)
def test_routes_are_chosen_and_sorted(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], args: list[str], paths: list[str]
) -> None:
    assert dispatcher(monkeypatch, "routes", "--json", *args) == 0
    assert [route["path"] for route in json.loads(capsys.readouterr().out)] == paths


def test_an_unknown_mount_is_an_error_of_the_command_line(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dispatcher(monkeypatch, "routes", "--mount", "/shops") == 2
    assert "Invalid value for '--mount': no mount '/shops'; there are /, /shop" in capsys.readouterr().err


def test_routes_of_a_site_with_a_failed_mount_are_listed_and_the_code_is_1(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (site / "config.yaml").write_text("mounts: {/: 'shop_apps:plain', /x: 'shop_apps:nothing'}\n")

    assert dispatcher(monkeypatch, "routes") == 1

    captured = capsys.readouterr()
    assert "(not loaded: answers 503)" in captured.out
    assert "module 'shop_apps' has no attribute 'nothing'" in captured.err


def test_a_config_elsewhere_is_named_by_option_or_environment(
    site: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))

    assert dispatcher(monkeypatch, "check", "--config", str(site / "config.yaml")) == 0
    assert dispatcher(monkeypatch, "check") == 1
    monkeypatch.setenv("DISPATCHER_CONFIG", str(site / "config.yaml"))
    assert dispatcher(monkeypatch, "check") == 0


@pytest.mark.parametrize("command", ["check", "routes"])
def test_nothing_is_left_behind(
    site: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, command: str
) -> None:
    temporary = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    (site / "config.yaml").write_text(f"middleware: [{{rate_limit: {{limits: [5/second]}}}}]\n{CONFIG}")

    assert dispatcher(monkeypatch, command) == 0

    assert not runtime.site_folder(site / "config.yaml").exists()
    assert list(temporary.iterdir()) == []


def test_what_apps_print_is_kept_out_of_the_output(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (site / "loud_app.py").write_text("print('loud')\n" + APPS)
    (site / "config.yaml").write_text("mounts: {/: 'loud_app:plain'}\n")

    assert dispatcher(monkeypatch, "routes", "--json") == 0

    captured = capsys.readouterr()
    assert [route["path"] for route in json.loads(captured.out)] == ["/<path>"]
    assert captured.err == "loud\n"


def test_apps_find_the_environment_that_workers_have(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLI_NEEDED", "from the shell")
    (site / "needy_app.py").write_text("import os\nassert os.environ['CLI_NEEDED'] == 'yes'\n" + APPS)
    (site / "config.yaml").write_text(
        "server: {raw_env: ['CLI_NEEDED=yes']}\nmounts: {/: 'needy_app:plain'}\n",
    )

    assert dispatcher(monkeypatch, "check") == 0
    assert capsys.readouterr().out == "config.yaml: ok, 1 mount\n"


def test_check_says_what_would_stop_the_start_with_the_rest(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (site / "config.yaml").write_text("mounts: {/: 'shop_apps:nothing'}\nserver: {certfile: no.pem}\n")

    assert dispatcher(monkeypatch, "check") == 1

    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith(" ")]
    assert lines == [
        "config.yaml:1:13: mounts./.app: module 'shop_apps' has no attribute 'nothing'",
        f"config.yaml:2:20: server.certfile: there is no file {site}/no.pem",
    ]


@pytest.mark.parametrize(
    ("bind", "what"),
    [
        pytest.param(
            "127.0.0.1:99999", "the port of '127.0.0.1:99999' is out of range; write one up to 65535", id="far"
        ),
        pytest.param("8093", "a port stands after its host, write 127.0.0.1:8093", id="a port alone"),
        pytest.param("unix:no/x", "there is no folder {site}/no; make it, because gunicorn does not", id="no folder"),
    ],
)
def test_an_address_that_cannot_be_is_an_error_of_the_command_line(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], bind: str, what: str
) -> None:
    assert dispatcher(monkeypatch, "serve", "--bind", bind) == 2
    assert f"Error: Invalid value for '--bind': {what.format(site=site)}\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("written", "args", "said"),
    [
        pytest.param("127.0.0.1:1", ("--bind", "127.0.0.1:{port}"), "dispatcher: ", id="on the command line"),
        pytest.param("[127.0.0.1:0, 127.0.0.1:{port}]", (), "config.yaml:1:30: server.bind[2]: ", id="in the file"),
    ],
)
def test_an_address_that_is_taken_is_said_where_it_stands(
    site: Path, written: str, args: tuple[str, ...], said: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (site / "config.yaml").write_text(f"server: {{bind: {written.format(port=port)}}}\n{CONFIG}")

        done = run(site, *DISPATCHER, "serve", *(arg.format(port=port) for arg in args))

    what = f"cannot listen on 127.0.0.1:{port}: another process listens there; stop it, or choose another port"
    assert done.returncode == 1
    assert said + what in done.stderr.splitlines()


def test_the_version_is_printed(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dispatcher(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"dispatcher, version {__version__}\n"


def test_importing_the_package_reads_no_file(tmp_path: Path) -> None:
    code = "import sys, dispatcher; print(sorted(name for name in sys.modules if name.startswith('dispatcher')))"

    done = run(tmp_path, sys.executable, "-c", code)  # no config.yaml here

    assert done.stdout == "['dispatcher', 'dispatcher.version']\n"


def test_the_module_runs_as_the_command(tmp_path: Path) -> None:
    assert run(tmp_path, *DISPATCHER, "--version").stdout == f"dispatcher, version {__version__}\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.9, "59s"), (60, "1m 0s"), (3_725, "1h 2m"), (86_400, "1d 0h"), (200_000, "2d 7h")],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert cli._duration(seconds) == text


@pytest.mark.parametrize("command", [("status",), ("status", "--json"), ("reload",)], ids=" ".join)
def test_a_site_that_nobody_serves_is_said_so(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    assert dispatcher(monkeypatch, *command) == 3
    assert capsys.readouterr().err == f"{site / 'config.yaml'}: no server of this user serves it\n"
