from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import KNOWN_SETTINGS

from dispatcher.serversettings import read_server
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
