"""Keeps the Flask apps of one site out of each other's cookies, and finds the static folders they bring.

Two Flask apps behind one host share the cookie ``session`` on path ``/``: a login in one ends the login in the other,
and with equal secret keys it even counts there. So each mounted app gets a cookie name and path of its own, unless it
chose them itself. The path alone would not do: a cookie of ``/`` is sent to ``/a`` as well, and one of ``/a`` to
``/a/b``; of two cookies of one name the app would read either.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import quote

from flask import Flask
from werkzeug.routing import Rule

from dispatcher.mounts import MountKey

_FLASK_DEFAULTS: Final = {"APPLICATION_ROOT": "/", "SESSION_COOKIE_PATH": None, "SESSION_COOKIE_NAME": "session"}
_GIVEN: Final = "dispatcher.isolation"


def isolate(app: Flask, key: MountKey) -> None:
    """Give `app` its root and its cookies' name and path for the mount `key`, where it did not set its own."""
    root = quote(key.prefix) or "/"
    suffix = _cookie_suffix(key)
    own = {"APPLICATION_ROOT": root, "SESSION_COOKIE_PATH": root, "SESSION_COOKIE_NAME": f"session{suffix}"}
    if hasattr(app, "login_manager"):  # Flask-Login's "remember me": one name and the path "/" for every app
        own |= {"REMEMBER_COOKIE_NAME": f"remember_token{suffix}", "REMEMBER_COOKIE_PATH": root}
    given: dict[str, str] = app.extensions.setdefault(_GIVEN, {})  # by an earlier mount of the same object
    for name, value in own.items():
        if app.config.get(name) in (_FLASK_DEFAULTS.get(name), given.get(name)):
            app.config[name] = given[name] = value


def _cookie_suffix(key: MountKey) -> str:
    """``/a/b`` → ``.a.b``: a different one for each mount, of characters that RFC 6265 allows in a cookie's name."""

    def token(text: str) -> str:
        return quote(text, safe="").replace(".", "%2E").replace("~", "%7E")

    return (f".{token(key.host)}." if key.host else "") + token(key.prefix).replace("%2F", ".")


@dataclass(frozen=True, slots=True)
class StaticFolder:
    """A static folder of a Flask app: its URL below the mount, the folder, and the seconds it may be cached (None:
    ask each time, as Flask does)."""

    url: str
    folder: str
    max_age: float | None


def static_folders(app: Flask) -> tuple[StaticFolder, ...]:
    """The static folders of `app` and of its blueprints that have a fixed URL, longest URL first."""
    found = {}
    for rule in app.url_map.iter_rules():
        folder = _folder(app, rule)
        url = _fixed_url(rule)
        if folder and url:
            found[url] = StaticFolder(url, folder, _max_age(app))
    return tuple(found[url] for url in sorted(found, key=len, reverse=True))


def guards_every_request(app: Flask) -> bool:
    """Whether the app looks at each request before it answers: a login check there would guard its static files too."""
    return bool(app.before_request_funcs.get(None))


def _folder(app: Flask, rule: Rule) -> str | None:
    name, _, last = rule.endpoint.rpartition(".")
    if last != "static":
        return None
    owner = app.blueprints.get(name) if name else app
    return owner.static_folder if owner is not None and owner.has_static_folder else None


def _fixed_url(rule: Rule) -> str | None:
    head, found, tail = rule.rule.partition("/<path:filename>")
    return head if found and not tail and head and "<" not in head and not rule.host and not rule.subdomain else None


def _max_age(app: Flask) -> float | None:
    value = app.config.get("SEND_FILE_MAX_AGE_DEFAULT")
    return value.total_seconds() if isinstance(value, timedelta) else value
