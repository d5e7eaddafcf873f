from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import KNOWN_SETTINGS

from dispatcher.serversettings import environment, find_obstacles, identity, read_server
from dispatcher.validation.mistakes import Mistake

ROOT = Path("/srv/site")


@pytest.mark.parametrize(
    ("name", "written", "meant"),
    [
        ("workers", 4, 4),
        ("timeout", 0, 0),
        ("preload_app", True, True),
        ("worker_class", "gthread", "gthread"),
        ("umask", 0o22, 0o22),
        ("user", 1000, 1000),
        ("bind", "0.0.0.0:80", "0.0.0.0:80"),
        ("bind", ":8000", ":8000"),
        ("bind", "unix:run/a.sock", "unix:/srv/site/run/a.sock"),
        ("bind", ["localhost:80", "unix:a.sock"], ["localhost:80", "unix:/srv/site/a.sock"]),
        ("bind", "fd://3", "fd://3"),
        ("pidfile", "run/pid", "/srv/site/run/pid"),
        ("pidfile", "/run/pid", "/run/pid"),
        ("errorlog", "-", "-"),
        ("errorlog", "logs/error.log", "/srv/site/logs/error.log"),
        ("chdir", "/", "/"),
        ("raw_env", ["A=1"], ["A=1"]),
        ("logconfig_dict", {"version": 1}, {"version": 1}),
        ("forwarded_allow_ips", "10.0.0.0/8,::1", "10.0.0.0/8,::1"),
        ("secure_scheme_headers", {"X-FORWARDED-PROTO": "https"}, {"X-FORWARDED-PROTO": "https"}),
    ],
)
def test_a_setting_is_taken_with_its_paths_made_absolute(name: str, written: Any, meant: Any) -> None:
    assert read_server({name: written}, root=ROOT) == ({name: meant}, [])


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("workers", None, "no value; write one, or remove the line to keep gunicorn's own"),
        ("workers", 2.0, "expected a whole number, got 2.0"),
        ("workers", -1, "expected 0 or more, got -1"),
        ("umask", "0027", "expected a whole number, got '0027'; an octal number is written 0o27"),
        ("preload_app", "true", "expected true or false, got 'true'; write true"),
        ("preload_app", 1, "expected true or false, got 1"),
        ("worker_class", ["sync"], "expected text, got a list"),
        ("raw_env", {"A": 1}, "expected text or a list of texts, got a mapping"),
        ("secure_scheme_headers", "https", "gunicorn does not take it: Value is not a dictionary: https"),
        ("statsd_host", "a:b", "gunicorn does not take it: Value must be one of ('host:port', 'unix://PATH')"),
        ("chdir", "nowhere", "gunicorn does not take it: can't chdir to '/srv/site/nowhere'"),
        ("bind", "host:", "'host:' is no address; write one such as 127.0.0.1:8000 or unix:run/site.sock"),
        ("bind", "http://a:80", "'http://a:80' is no address; write one such as 127.0.0.1:8000 or unix:run/site.sock"),
        ("bind", [":80", ":65536"], "the port of ':65536' is out of range; write one up to 65535"),
        ("worker_class", "gevnt", "no worker class, did you mean 'gevent'?"),
        ("worker_class", "asgi", "this class of workers serves ASGI apps, and a site is a WSGI app; write gthread"),
        ("raw_env", ["A=1", "B"], "expected NAME=value, got 'B'"),
        ("raw_env", "=1", "expected NAME=value, got '=1'"),
        ("pidfile", "~nobody-at-all/pid", "no home folder is known for '~nobody-at-all', write the whole path"),
    ],
)
def test_a_wrong_value_is_refused_with_a_way_out(name: str, value: Any, what: str) -> None:
    assert read_server({name: value}, root=ROOT)[1] == [Mistake((name,), what)]


HOOKS = [setting.name for setting in KNOWN_SETTINGS if "Hooks" in setting.section]


@pytest.mark.parametrize("name", HOOKS)
def test_no_hook_is_imported(name: str) -> None:
    what = "a hook is code and cannot stand in YAML, write it into gunicorn.conf.py"

    assert read_server({name: "no_such_module.hook"}, root=ROOT)[1] == [Mistake((name,), what, key=True)]


@pytest.mark.parametrize("setting", KNOWN_SETTINGS, ids=lambda setting: setting.name)
def test_what_gunicorn_has_by_default_can_be_written_or_has_a_reason(setting: Any) -> None:
    settings, mistakes = read_server({setting.name: setting.default}, root=ROOT)

    assert mistakes == [] or mistakes[0].key or setting.default is None or callable(setting.default)
    assert mistakes or list(settings) == [setting.name]


def test_all_mistakes_are_found_at_once() -> None:
    _, mistakes = read_server({"worker": 1, "workers": "x", "bind": 80}, root=ROOT)

    assert [mistake.path for mistake in mistakes] == [("worker",), ("workers",), ("bind",)]


@pytest.mark.parametrize(
    ("name", "written", "what"),
    [
        ("certfile", "no.pem", "there is no file {root}/no.pem"),
        ("keyfile", "file/no.pem", "there is no file {root}/file/no.pem"),
        ("logconfig", "no.ini", "there is no file {root}/no.ini"),
        ("pidfile", "no/pid", "there is no folder {root}/no; make it, because gunicorn does not"),
        ("errorlog", "file/log", "there is no folder {root}/file; make it, because gunicorn does not"),
        ("accesslog", "folder", "{root}/folder is a folder, name a file in it"),
        ("bind", "unix:no/x.sock", "there is no folder {root}/no; make it, because gunicorn does not"),
        ("tmp_upload_dir", "no", "there is no folder {root}/no; make it"),
        ("worker_class", "no_such_package.Worker", "no class can be loaded from 'no_such_package.Worker': "
         "ModuleNotFoundError: No module named 'no_such_package'"),
        ("worker_class", "gunicorn.util.NoWorker", "no class can be loaded from 'gunicorn.util.NoWorker': "
         "module 'gunicorn.util' has no attribute 'NoWorker'"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_found_before_the_start(tmp_path: Path, name: str, written: str, what: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    settings, mistakes = read_server({name: written}, root=tmp_path)

    assert mistakes == []
    assert find_obstacles(settings) == [Mistake((name,), what.format(root=tmp_path))]


def test_the_package_of_a_worker_class_has_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    assert find_obstacles({"worker_class": "tornado"}) == [
        Mistake(("worker_class",), "'tornado' needs the package 'tornado', install it")
    ]


def test_a_socket_in_a_list_has_its_own_place(tmp_path: Path) -> None:
    long = f"unix:{tmp_path}/{'x' * 100}"

    assert find_obstacles({"bind": [":80", long]}) == [
        Mistake(
            ("bind", 1),
            f"the path of a socket has at most 107 bytes, and {long.removeprefix('unix:')} has {len(long) - 5}",
        )
    ]


def test_a_server_that_can_start_has_no_obstacles(tmp_path: Path) -> None:
    (tmp_path / "key.pem").touch()
    written = {
        "bind": ["unix:x.sock", "127.0.0.1:80"],
        "certfile": "key.pem",
        "errorlog": "-",
        "pidfile": "pid",
        "tmp_upload_dir": ".",
        "worker_class": "gthread",
        "logger_class": "gunicorn.glogging.Logger",
    }
    settings, mistakes = read_server(written, root=tmp_path)

    assert (mistakes, find_obstacles(settings)) == ([], [])


@pytest.mark.parametrize(
    ("raw", "meant"),
    [
        pytest.param({"raw_env": ["A=1", "B=x=y", "C="]}, {"A": "1", "B": "x=y", "C": ""}, id="a list"),
        pytest.param({"raw_env": "A=1"}, {"A": "1"}, id="one"),
        pytest.param({}, {}, id="none"),
    ],
)
def test_the_environment_of_workers_is_read(raw: dict[str, Any], meant: dict[str, str]) -> None:
    assert environment(raw) == meant


@pytest.mark.parametrize(
    ("settings", "meant"),
    [
        pytest.param({"user": "root", "group": "root"}, (0, 0, False), id="by name"),
        pytest.param({"user": 12, "group": 13, "initgroups": True}, (12, 13, True), id="by number"),
        pytest.param({}, (os.geteuid(), os.getegid(), False), id="this process's"),
    ],
)
def test_the_identity_of_workers_is_read(settings: dict[str, Any], meant: tuple[int, int, bool]) -> None:
    assert identity(settings) == meant
