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
from django.urls import include, path, re_path

inner = [
    path("list/", print, name="list"),
    path("<int:pk>/", print),
    re_path(r"^(?P<label>a|b)/$", print, name="labels"),
    re_path(r"^price/\\$", print, name="dollar"),
    re_path(r"^end\\Z", print, name="end"),
]
urlpatterns = [path("", print, name="start"), path("admin/", include((inner, "app"), namespace="admin"))]
application = get_wsgi_application()

class Around:
    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        return self.app(environ, start_response)

wrapped = Around(application)
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


WRAPPED = """
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

def plain(environ, start_response): pass

def create_app(name):
    app = Flask(name, static_folder=None)
    app.add_url_rule("/", "index", lambda: "")
    return app

def proxied():
    return ProxyFix(create_app("one"))

def several():
    return DispatcherMiddleware(create_app("one"), {"/two": ProxyFix(create_app("two")), "/plain": plain})
"""


def test_the_routes_of_wrapped_apps_are_listed(tmp_path: Path) -> None:
    text = "mounts: {/p: 'wrapped:proxied', /s: 'wrapped:several'}\n"

    stack = sites.build(tmp_path, text, wrapped=WRAPPED)

    assert list_routes(stack) == [
        Route("/p/", ("GET",), "index", "/p", "wrapped:proxied"),
        Route("/s/", ("GET",), "index", "/s", "wrapped:several"),
        Route("/s/two/", ("GET",), "index", "/s", "wrapped:several"),
        Route("/s/plain/<path>", ("*",), "(function)", "/s", "wrapped:several"),
    ]


RULES = """
from flask import Flask
from werkzeug.routing import Rule

def rules():
    app = Flask("rules", static_folder=None)
    app.url_map.add(Rule("/any", endpoint="any"))
    app.url_map.add(Rule("/socket", endpoint="socket", websocket=True))
    app.url_map.add(Rule("/cdn", endpoint="cdn", build_only=True))
    app.add_url_rule("/head", "head", lambda: "", methods=["HEAD"])
    return app

def hosts():
    app = Flask("hosts", static_folder=None, host_matching=True)
    app.add_url_rule("/", "one", lambda: "", host="one.example")
    app.add_url_rule("/", "other", lambda name: "", host="<name>.example")
    return app

def subdomains():
    app = Flask("subdomains", static_folder=None, subdomain_matching=True)
    app.config["SERVER_NAME"] = "example.com:8000"
    app.add_url_rule("/", "main", lambda: "")
    app.add_url_rule("/", "api", lambda: "", subdomain="api")
    return app
"""


def test_rules_that_are_not_plain_pages_are_shown_as_what_they_are(tmp_path: Path) -> None:
    text = "mounts: {/r: 'rules:rules', /h: 'rules:hosts', '*.example/': 'rules:hosts', /s: 'rules:subdomains'}\n"

    stack = sites.build(tmp_path, text, rules=RULES)

    assert [(route.path, route.methods, route.endpoint) for route in list_routes(stack)] == [
        ("/r/any", ("*",), "any"),
        ("/r/socket", ("WEBSOCKET",), "socket"),
        ("/r/head", ("HEAD", "OPTIONS"), "head"),
        ("one.example/h/", ("GET",), "one"),
        ("<name>.example/h/", ("GET",), "other"),
        ("one.example/", ("GET",), "one"),
        ("<name>.example/", ("GET",), "other"),
        ("/s/", ("GET",), "main"),
        ("api.example.com/s/", ("GET",), "api"),
    ]


@pytest.mark.parametrize("name", ["application", "wrapped"])
def test_djangos_url_patterns_are_read(tmp_path: Path, name: str) -> None:
    pytest.importorskip("django", reason="Django is not installed, so its URL patterns cannot be read")
    sites.write(tmp_path, f"mounts: {{/old: 'project:{name}'}}\n", project=DJANGO)

    # In a process of its own: Django keeps its settings for as long as the process lives.
    done = run(tmp_path, PYTHON, "-m", "dispatcher", "routes", "--sort", "path")

    assert [line.split() for line in done.stdout.splitlines()] == [
        ["path", "methods", "endpoint", "mount", "app"],
        ["/old/", "*", "start", "/old", f"project:{name}"],
        ["/old/admin/(?P<label>a|b)/", "*", "admin:labels", "/old", f"project:{name}"],
        ["/old/admin/<int:pk>/", "*", "admin:builtins.print", "/old", f"project:{name}"],
        ["/old/admin/end", "*", "admin:end", "/old", f"project:{name}"],
        ["/old/admin/list/", "*", "admin:list", "/old", f"project:{name}"],
        ["/old/admin/price/\\$", "*", "admin:dollar", "/old", f"project:{name}"],
    ]
    assert "django" not in sys.modules or done.returncode == 0
