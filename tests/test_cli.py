from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from dispatcher import cli
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
