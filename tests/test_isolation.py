from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Blueprint, Flask, session
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import Client

from dispatcher.isolation import StaticFolder, guards_every_request, isolate, static_folders
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
    app = login_app("/café/x")

    assert app.config["APPLICATION_ROOT"] == "/caf%C3%A9/x"
    assert app.config["SESSION_COOKIE_PATH"] == "/caf%C3%A9/x"


def test_what_an_app_set_itself_is_kept() -> None:
    app = Flask("own")
    app.config.update(SESSION_COOKIE_NAME="mine", SESSION_COOKIE_PATH="/x", APPLICATION_ROOT="/y")

    isolate(app, parse_key("/a"))

    names = ("SESSION_COOKIE_NAME", "SESSION_COOKIE_PATH", "APPLICATION_ROOT")
    assert [app.config[name] for name in names] == ["mine", "/x", "/y"]


def test_remember_me_cookies_are_kept_apart_as_well() -> None:
    app: Any = Flask("remembers")
    app.login_manager = SimpleNamespace()  # what Flask-Login puts there

    isolate(app, parse_key("/a"))

    assert (app.config["REMEMBER_COOKIE_NAME"], app.config["REMEMBER_COOKIE_PATH"]) == ("remember_token.a", "/a")


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


def test_static_folders_of_an_app_and_its_blueprints_are_found(tmp_path: Path) -> None:
    app = Flask("shop", static_folder=str(tmp_path / "static"))
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = timedelta(hours=1)
    blueprint = Blueprint("admin", "admin", url_prefix="/admin", static_folder=str(tmp_path / "admin" / "static"))
    app.register_blueprint(blueprint)

    assert static_folders(app) == (
        StaticFolder("/admin/static", str(tmp_path / "admin" / "static"), 3600.0),
        StaticFolder("/static", str(tmp_path / "static"), 3600.0),
    )


def test_static_folders_whose_url_is_not_fixed_are_left_to_the_app(tmp_path: Path) -> None:
    app = Flask("shop", static_folder=None)
    blueprint = Blueprint("shop", "shop", url_prefix="/<lang>", static_folder=str(tmp_path))
    app.register_blueprint(blueprint)

    assert static_folders(app) == ()


def test_an_app_that_looks_at_each_request_is_noticed() -> None:
    open_app, guarded = Flask("open"), Flask("guarded")
    guarded.before_request(lambda: None)

    assert (guards_every_request(open_app), guards_every_request(guarded)) == (False, True)


def test_an_app_object_that_is_mounted_anew_moves_its_cookies_there() -> None:
    app = login_app("/old")
    app.config["SESSION_COOKIE_PATH"] = "/chosen"  # by the app, after it was mounted

    isolate(app, parse_key("/new"))

    assert (app.config["APPLICATION_ROOT"], app.config["SESSION_COOKIE_NAME"]) == ("/new", "session.new")
    assert app.config["SESSION_COOKIE_PATH"] == "/chosen"
