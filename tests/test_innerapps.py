from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from flask import Flask, current_app
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.profiler import ProfilerMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from dispatcher.innerapps import InnerApp, flask_apps, inner_apps
from dispatcher.mounts import MountTable
from dispatcher.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def plain(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b"plain"]


class Gateway:
    """Not callable itself: its method is the WSGI app."""

    def __init__(self, application: WSGIApplication) -> None:
        self.application = application

    def handle(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.application(environ, start_response)


def logged(app: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return app(environ, start_response)


def decorated(app: Flask) -> WSGIApplication:
    @functools.wraps(app.wsgi_app)
    def around(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return app(environ, start_response)

    return around


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda app: app, id="itself"),
        pytest.param(ProxyFix, id=".app"),
        pytest.param(lambda app: SimpleNamespace(wsgi_app=app), id=".wsgi_app"),
        pytest.param(lambda app: SimpleNamespace(application=app), id=".application, as WhiteNoise has it"),
        pytest.param(ProfilerMiddleware, id="._app"),
        pytest.param(lambda app: app.wsgi_app, id="a bound method of the app"),
        pytest.param(lambda app: Gateway(app).handle, id="a bound method of what is around it"),
        pytest.param(lambda app: functools.partial(logged, app), id="a partial's argument"),
        pytest.param(lambda app: functools.partial(app.wsgi_app), id="a partial's function"),
        pytest.param(decorated, id="functools.wraps"),
        pytest.param(lambda app: ProxyFix(ProxyFix(Gateway(app).handle)), id="several"),
    ],
)
def test_a_flask_app_is_found_in_what_is_around_it(wrap: Callable[[Flask], Any]) -> None:
    app = Flask("inside")

    assert inner_apps(wrap(app)) == [InnerApp("", app)]


def test_every_app_of_a_dispatcher_is_found_at_its_prefix() -> None:
    one, two, three = Flask("one"), Flask("two"), Flask("three")
    app = DispatcherMiddleware(
        one, {"/two/": ProxyFix(two), "/plain": plain, "/x": DispatcherMiddleware(plain, {"/y": three})}
    )

    assert inner_apps(ProxyFix(app)) == [
        InnerApp("", one),
        InnerApp("/two", two),
        InnerApp("/plain", plain),
        InnerApp("/x", plain),
        InnerApp("/x/y", three),
    ]
    assert list(flask_apps(app)) == [("", one), ("/two", two), ("/x/y", three)]


def test_a_mount_table_is_a_dispatcher_whose_keys_may_have_hosts() -> None:
    app = Flask("hosted")

    assert list(flask_apps(MountTable(plain, {"example.com/h": app}))) == [("/h", app)]


def test_apps_put_beside_a_flask_app_are_found() -> None:
    app, other = Flask("outer"), Flask("other")
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/other": other})  # type: ignore[method-assign]

    assert inner_apps(app) == [InnerApp("", app), InnerApp("/other", other)]


def in_a_closure(app: Flask) -> WSGIApplication:
    def around(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return app(environ, start_response)

    return around


def raising() -> Any:
    class Raises:
        @property
        def app(self) -> None:
            raise RuntimeError("not now")

    return Raises()


def circular() -> Any:
    one, two = SimpleNamespace(), SimpleNamespace()
    one.app, two.app = two, one
    return one


@pytest.mark.parametrize(
    "app",
    [
        pytest.param(plain, id="a function"),
        pytest.param(in_a_closure(Flask("hidden")), id="a closure"),
        pytest.param(raising(), id="a property that raises"),
        pytest.param(circular(), id="a circle"),
        pytest.param(MagicMock(), id="attributes without end"),
        pytest.param(current_app, id="a proxy without a request"),
    ],
)
def test_what_holds_no_known_app_stands_for_itself(app: Any) -> None:
    (found,) = inner_apps(app)

    assert (found.prefix, found.app is app) == ("", True)
