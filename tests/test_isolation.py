from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, session
from flask.sessions import SecureCookieSessionInterface, SessionInterface, SessionMixin
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client
from werkzeug.wrappers import Response

from dispatcher.isolation import isolate
from dispatcher.mounts import MountKey, MountTable, parse_key

COOKIE_NAME_CHARACTERS = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def login_app(key: str) -> Flask:
    """An app whose `/login` and `/logout` change the session, and whose `/` says who is logged in."""
    app = Flask(key.replace("/", "_") or "root")
    app.secret_key = "the same everywhere"

    @app.get("/login/<name>")
    def login(name: str) -> str:
        session["user"] = name
        return name

    @app.get("/logout")
    def logout() -> str:
        session.clear()
        return "out"

    @app.get("/who")
    def who() -> str:
        return str(session.get("user", "nobody"))

    isolate(app, parse_key(key))
    return app


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("/", "/a", id="the root and a mount"),
        pytest.param("/a", "/a/b", id="a mount and one below it"),
        pytest.param("/a", "/b", id="two mounts side by side"),
        pytest.param("/a.b", "/a/b", id="a dot and a slash"),
    ],
)
def test_a_login_in_one_mount_is_not_seen_overwritten_or_ended_by_another(one: str, other: str) -> None:
    client = Client(MountTable(mounts={key: login_app(key) for key in (one, other)}))
    first, second = (key.removesuffix("/") for key in (one, other))

    client.get(f"{first}/login/ann")
    assert client.get(f"{second}/who").text == "nobody"

    client.get(f"{second}/login/bob")
    assert (client.get(f"{first}/who").text, client.get(f"{second}/who").text) == ("ann", "bob")

    client.get(f"{second}/logout")
    assert (client.get(f"{first}/who").text, client.get(f"{second}/who").text) == ("ann", "nobody")


def test_a_mounted_app_knows_its_root() -> None:
    assert login_app("/café/x").config["APPLICATION_ROOT"] == "/caf%C3%A9/x"


def test_the_app_at_the_root_keeps_the_cookie_name_that_people_expect() -> None:
    assert login_app("/").config["SESSION_COOKIE_NAME"] == "session"


@pytest.mark.parametrize(
    ("key", "outer", "path"),
    [
        pytest.param("/", "", "/", id="at the root"),
        pytest.param("/p", "", "/p", id="below a prefix"),
        pytest.param("/p", "/portal", "/portal/p", id="the site below a prefix"),
        pytest.param("/", "/portal", "/portal", id="at the root of a site below a prefix"),
        pytest.param("/café x", "", "/caf%C3%A9%20x", id="spelt as browsers do"),
        pytest.param("/a+b", "", "/a+b", id="no more escapes than browsers make"),
    ],
)
def test_the_session_cookie_has_the_path_that_the_client_sees(key: str, outer: str, path: str) -> None:
    client = Client(MountTable(mounts={key: login_app(key)}))

    login = client.get(f"{key.rstrip('/')}/login/ann", environ_overrides={"SCRIPT_NAME": outer})
    logout = client.get(
        f"{key.rstrip('/')}/logout",
        headers={"Cookie": login.headers["Set-Cookie"].partition(";")[0]},
        environ_overrides={"SCRIPT_NAME": outer},
    )

    assert [cookie_path(response) for response in (login, logout)] == [path, path]


def cookie_path(response: Response) -> str:
    attributes = response.headers["Set-Cookie"].split("; ")
    return next(text.removeprefix("Path=") for text in attributes if text.startswith("Path="))


def test_a_login_lasts_where_the_site_stands_below_a_prefix() -> None:
    site = ProxyFix(MountTable(mounts={"/p": login_app("/p")}), x_prefix=1)
    client = Client(DispatcherMiddleware(MountTable(), {"/portal": site}))
    proxied = {"X-Forwarded-Prefix": "/portal"}

    client.get("/portal/p/login/ann", headers=proxied)

    assert client.get("/portal/p/who", headers=proxied).text == "ann"


class ServerSide(SessionInterface):
    """Keeps the sessions in `store`, as Flask-Session does."""

    def __init__(self) -> None:
        self.store: dict[str, Any] = {}

    def open_session(self, app: Flask, request: Any) -> SessionMixin:
        kept = self.store.get(request.cookies.get(self.get_cookie_name(app)), {})
        return SecureCookieSessionInterface.session_class(kept)

    def save_session(self, app: Flask, session: SessionMixin, response: Any) -> None:
        self.store["id"] = dict(session)
        response.set_cookie(self.get_cookie_name(app), "id", path=self.get_cookie_path(app))


def test_an_extensions_session_interface_is_kept_and_gets_the_path_as_well() -> None:
    app = login_app("/p")
    kept = app.session_interface = ServerSide()
    isolate(app, parse_key("/p"))
    client = Client(MountTable(mounts={"/p": app}))

    login = client.get("/p/login/ann", environ_overrides={"SCRIPT_NAME": "/portal"})

    assert cookie_path(login) == "/portal/p"
    assert kept.store == {"id": {"user": "ann"}}
    assert isinstance(app.session_interface, ServerSide)


def test_a_session_interface_that_apps_share_is_not_touched() -> None:
    isolate(Flask("one"), parse_key("/a"))

    assert "get_cookie_path" not in vars(Flask.session_interface)
    assert Flask("two").session_interface is Flask.session_interface


def test_a_session_interface_with_a_path_of_its_own_is_kept() -> None:
    class Elsewhere(SecureCookieSessionInterface):
        def get_cookie_path(self, app: Flask) -> str:
            return "/elsewhere"

    app = login_app("/p")
    interface = app.session_interface = Elsewhere()

    isolate(app, parse_key("/p"))

    assert app.session_interface is interface


def test_isolating_an_app_again_changes_nothing() -> None:
    app = login_app("/p")
    before = app.session_interface, dict(app.config)

    isolate(app, parse_key("/p"))

    assert (app.session_interface, dict(app.config)) == before


def test_an_app_that_moves_to_another_mount_gets_the_names_of_that() -> None:
    app = login_app("/p")

    isolate(app, parse_key("/q"))

    assert (app.config["SESSION_COOKIE_NAME"], app.config["APPLICATION_ROOT"]) == ("session.q", "/q")


def test_outside_a_request_the_cookies_path_is_the_mounts() -> None:
    app = login_app("/p")

    assert app.session_interface.get_cookie_path(app) == "/p"


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(ProxyFix, id="in a middleware"),
        pytest.param(lambda app: app.wsgi_app, id="as a bound method"),
    ],
)
def test_an_app_that_is_wrapped_in_something_is_isolated_too(wrap: Callable[[Flask], Any]) -> None:
    app = Flask("wrapped")

    isolate(wrap(app), parse_key("/a"))

    assert app.config["SESSION_COOKIE_NAME"] == "session.a"


def test_each_app_of_a_dispatcher_is_isolated_below_its_own_prefix() -> None:
    outer, inner = Flask("outer"), Flask("inner")

    isolate(DispatcherMiddleware(outer, {"/in": inner}), parse_key("/a"))

    assert (outer.config["SESSION_COOKIE_NAME"], inner.config["SESSION_COOKIE_NAME"]) == ("session.a", "session.a.in")
    assert inner.config["APPLICATION_ROOT"] == "/a/in"


def test_what_an_app_set_itself_is_kept() -> None:
    app = Flask("own")
    app.config.update(SESSION_COOKIE_NAME="mine", SESSION_COOKIE_PATH="/x", APPLICATION_ROOT="/y")

    isolate(app, parse_key("/a"))

    names = ("SESSION_COOKIE_NAME", "SESSION_COOKIE_PATH", "APPLICATION_ROOT")
    assert [app.config[name] for name in names] == ["mine", "/x", "/y"]
    with app.test_request_context():
        assert app.session_interface.get_cookie_path(app) == "/x"


def test_remember_me_cookies_are_kept_apart_by_name() -> None:
    app: Any = Flask("remembers")
    app.login_manager = SimpleNamespace()  # what Flask-Login puts there

    isolate(app, parse_key("/a"))

    assert app.config["REMEMBER_COOKIE_NAME"] == "remember_token.a"
    assert "REMEMBER_COOKIE_PATH" not in app.config


prefixes = st.lists(st.text("ab./%~é;= ", min_size=1, max_size=4), max_size=3).map(
    lambda parts: "".join("/" + p for p in parts)
)
keys = st.builds(MountKey, st.sampled_from(["", "example.com", "*.example.com"]), prefixes)


@given(keys, keys)
def test_two_mounts_never_share_a_cookie_name(one: MountKey, other: MountKey) -> None:
    names = []
    for key in (one, other):
        app = Flask("any")
        isolate(app, key)
        names.append(app.config["SESSION_COOKIE_NAME"])

    assert (names[0] == names[1]) == (str(one) == str(other))
    assert set("".join(names)) <= COOKIE_NAME_CHARACTERS


def test_an_app_object_that_is_mounted_anew_moves_its_cookies_there() -> None:
    app = login_app("/old")
    app.config["SESSION_COOKIE_PATH"] = "/chosen"  # by the app, after it was mounted

    isolate(app, parse_key("/new"))

    assert (app.config["APPLICATION_ROOT"], app.config["SESSION_COOKIE_NAME"]) == ("/new", "session.new")
    assert app.config["SESSION_COOKIE_PATH"] == "/chosen"
