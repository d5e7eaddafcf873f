from __future__ import annotations

from pathlib import Path

import pytest

from dispatcher.checks import check
from tests import sites
from tests.serving import PYTHON, run

pytestmark = pytest.mark.usefixtures("forget")

APPS = """
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

def create_app(key, fallbacks=None):
    app = Flask("keyed", static_folder=None)
    app.secret_key = key
    app.config["SECRET_KEY_FALLBACKS"] = fallbacks
    return app

def wrapped(key):
    return ProxyFix(create_app(key))

shared = create_app("shared")
one, other = ProxyFix(shared), ProxyFix(shared)

def plain(environ, start_response): pass

def fails():
    raise RuntimeError("no database")
"""


def lines(folder: Path, text: str) -> list[str]:
    return [
        str(problem).splitlines()[0].split("config.yaml:")[1]
        for problem in check(sites.build(folder, text, apps_=APPS))
    ]


def test_a_clean_site_has_no_problems(tmp_path: Path) -> None:
    assert (
        lines(tmp_path, "mounts: {/: 'apps_:plain', /a: 'apps_:create_app(\"a\")', /b: 'apps_:create_app(None)'}\n")
        == []
    )


def test_what_loading_an_app_did_to_the_whole_process_is_reported(tmp_path: Path) -> None:
    (tmp_path / "harmful.py").write_text(
        "import os, signal\n"
        "os.chdir('/')\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "def app(environ, start_response): pass\n"
    )

    assert lines(tmp_path, "mounts: {/: 'harmful:app'}\n") == [
        "1:13: mounts./.app: loading 'harmful:app' changed the handler of SIGTERM, the working directory, which "
        "belongs to the whole process; it was put back"
    ]


def test_equal_secret_keys_of_two_mounts_are_reported(tmp_path: Path) -> None:
    text = """
        mounts:
          /a: apps_:create_app("same")
          /b: apps_:create_app("other")
          /c: {app: apps_:create_app, args: {key: same}}
    """

    assert lines(tmp_path, text) == [
        "5:3: mounts./c: has the same SECRET_KEY as '/a': a session cookie of one would be valid in the other; "
        "give each app a key of its own"
    ]


def test_equal_keys_among_the_fallbacks_are_reported(tmp_path: Path) -> None:
    text = """
        mounts:
          /a: apps_:create_app("new", ["old"])
          /b: apps_:create_app(b"old", [])
          /c: apps_:create_app("mine", ["older", "new"])
          /d: apps_:create_app("another")
    """

    assert lines(tmp_path, text) == [
        f"{line}:3: mounts.{key}: has a key in SECRET_KEY or SECRET_KEY_FALLBACKS that is one of '/a': a session "
        "cookie of one would be valid in the other; give each app a key of its own"
        for line, key in ((4, "/b"), (5, "/c"))
    ]


def test_the_key_of_a_wrapped_app_is_looked_at(tmp_path: Path) -> None:
    text = """
        mounts:
          /a: apps_:create_app("same")
          /b: apps_:wrapped("same")
    """

    assert lines(tmp_path, text) == [
        "4:3: mounts./b: has the same SECRET_KEY as '/a': a session cookie of one would be valid in the other; "
        "give each app a key of its own"
    ]


def test_one_flask_app_in_the_wrappers_of_two_mounts_is_reported_once(tmp_path: Path) -> None:
    text = "mounts:\n  /a: apps_:one\n  /b: apps_:other\n"

    assert lines(tmp_path, text) == [
        "3:7: mounts./b.app: the Flask app 'keyed' in it is in '/a' too, so both have the same cookies; make an app "
        "for each mount in a factory"
    ]


def test_apps_that_did_not_load_are_reported(tmp_path: Path) -> None:
    text = "mounts:\n  /: apps_:plain\n  /bad: apps_:fails\n"

    assert lines(tmp_path, text) == ["3:9: mounts./bad.app: calling 'apps_:fails' raised RuntimeError: no database"]


def test_two_django_projects_are_reported(tmp_path: Path) -> None:
    pytest.importorskip("django", reason="Django is not installed")
    project = """
        from django.conf import settings
        if not settings.configured:
            settings.configure(SECRET_KEY="x")
        from django.core.wsgi import get_wsgi_application
        application = get_wsgi_application()
    """
    sites.write(tmp_path, "mounts:\n  /one: one:application\n  /two: two:application\n", one=project, two=project)

    # In a process of its own: Django keeps its settings for as long as the process lives.
    done = run(tmp_path, PYTHON, "-m", "dispatcher", "check")

    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1,
        "config.yaml:3:9: mounts./two.app: a second Django project beside '/one': Django keeps its settings for the "
        "whole process, so both would run with those of the first; serve one of them in a site of its own",
    )
