from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dispatcher.routes import Route, list_routes
from tests import sites
from tests.serving import PYTHON, run

pytestmark = pytest.mark.usefixtures("forget")

APPS = """
from flask import Flask

def create_app():
    app = Flask("shop", static_folder=None)
    app.add_url_rule("/", "index", lambda: "")
    app.add_url_rule("/items/<int:number>", "item", lambda number: "", methods=["GET", "DELETE"])
    app.add_url_rule("/ping", "ping", lambda: "", methods=["OPTIONS"])
    return app

def plain(environ, start_response): pass

def fails():
    raise RuntimeError("no database")
"""

DJANGO = """
import django
from django.conf import settings

settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="x")
django.setup()

from django.core.wsgi import get_wsgi_application
from django.urls import include, path

inner = [path("list/", print, name="list"), path("<int:pk>/", print)]
urlpatterns = [path("", print, name="start"), path("admin/", include((inner, "app"), namespace="admin"))]
application = get_wsgi_application()
"""


def test_every_route_of_every_mount_is_listed_with_its_full_path(tmp_path: Path) -> None:
    text = """
        mounts:
          /: shops:plain
          /shop: shops:create_app
          "*.example.com/s": shops:create_app
          /bad: shops:fails
    """

    stack = sites.build(tmp_path, text, shops=APPS)

    assert list_routes(stack) == [
        Route("/<path>", ("*",), "(function)", "/", "shops:plain"),
        Route("/shop/", ("GET",), "index", "/shop", "shops:create_app"),
        Route("/shop/items/<int:number>", ("DELETE", "GET"), "item", "/shop", "shops:create_app"),
        Route("/shop/ping", ("OPTIONS",), "ping", "/shop", "shops:create_app"),
        Route("*.example.com/s/", ("GET",), "index", "*.example.com/s", "shops:create_app"),
        Route("*.example.com/s/items/<int:number>", ("DELETE", "GET"), "item", "*.example.com/s", "shops:create_app"),
        Route("*.example.com/s/ping", ("OPTIONS",), "ping", "*.example.com/s", "shops:create_app"),
        Route("/bad/<path>", ("*",), "(not loaded: answers 503)", "/bad", "shops:fails"),
    ]


def test_djangos_url_patterns_are_read(tmp_path: Path) -> None:
    pytest.importorskip("django", reason="Django is not installed, so its URL patterns cannot be read")
    sites.write(tmp_path, "mounts: {/old: 'project:application'}\n", project=DJANGO)

    # In a process of its own: Django keeps its settings for as long as the process lives.
    done = run(tmp_path, PYTHON, "-m", "dispatcher", "routes", "--sort", "path")

    assert [line.split() for line in done.stdout.splitlines()] == [
        ["path", "methods", "endpoint", "mount", "app"],
        ["/old/", "*", "start", "/old", "project:application"],
        ["/old/admin/<int:pk>/", "*", "admin:builtins.print", "/old", "project:application"],
        ["/old/admin/list/", "*", "admin:list", "/old", "project:application"],
    ]
    assert "django" not in sys.modules or done.returncode == 0
