"""Keeps the Flask apps of one site out of each other's cookies.

Two Flask apps behind one host share the cookie ``session`` on path ``/``: a login in one ends the login in the other,
and with equal secret keys it even counts there. So each mounted app gets a cookie name and path of its own, unless it
chose them itself. The path alone would not do: a cookie of ``/`` is sent to ``/a`` as well, and one of ``/a`` to
``/a/b``; of two cookies of one name the app would read either.
"""

from __future__ import annotations

import copy
from typing import Final
from urllib.parse import quote

from flask import Flask, has_request_context, request
from flask.sessions import SessionInterface

from dispatcher.innerapps import flask_apps
from dispatcher.mounts import MountKey

_FLASK_DEFAULTS: Final = {"APPLICATION_ROOT": "/", "SESSION_COOKIE_NAME": "session"}
_GIVEN: Final = "dispatcher.isolation"


def isolate(app: object, key: MountKey) -> None:
    """Give each Flask app inside `app` its root and its cookies' name and path for the mount `key`, where it did not
    set its own."""
    for below, flask_app in flask_apps(app):
        _isolate(flask_app, MountKey(key.host, key.prefix + below))


def _isolate(app: Flask, key: MountKey) -> None:
    suffix = _cookie_suffix(key)
    own = {"APPLICATION_ROOT": _quote_path(key.prefix) or "/", "SESSION_COOKIE_NAME": f"session{suffix}"}
    if hasattr(app, "login_manager"):  # Flask-Login's "remember me" has one name for every app
        own["REMEMBER_COOKIE_NAME"] = f"remember_token{suffix}"
    given: dict[str, str] = app.extensions.setdefault(_GIVEN, {})  # by an earlier mount of the same object
    for name, value in own.items():
        if app.config.get(name) in (_FLASK_DEFAULTS.get(name), given.get(name)):
            app.config[name] = given[name] = value
    _bind_cookie_path(app)


def _bind_cookie_path(app: Flask) -> None:
    """Make the session cookie's path that of the mount as the client sees it, below a proxy's prefix too.

    The app gets a session interface of its own for that: Flask's is one object for all apps. One that an extension put
    there is kept, with all that it refers to, as a shallow copy.
    """
    interface = app.session_interface
    if getattr(interface.get_cookie_path, "__func__", None) is SessionInterface.get_cookie_path:
        own = copy.copy(interface)
        vars(own)["get_cookie_path"] = _cookie_path
        app.session_interface = own


def _cookie_path(app: Flask) -> str:
    root = _quote_path(request.script_root) or "/" if has_request_context() else app.config["APPLICATION_ROOT"]
    return app.config["SESSION_COOKIE_PATH"] or root


def _quote_path(path: str) -> str:
    """`path` as browsers ask for it: a cookie's path is compared as text, so ``%2B`` would never match ``+``."""
    return quote(path, safe="/!$&'()*+,:=@")


def _cookie_suffix(key: MountKey) -> str:
    """``/a/b`` → ``.a.b``: a different one for each mount, of characters that RFC 6265 allows in a cookie's name."""

    def token(text: str) -> str:
        return quote(text, safe="").replace(".", "%2E").replace("~", "%7E")

    return (f".{token(key.host)}." if key.host else "") + token(key.prefix).replace("%2F", ".")
