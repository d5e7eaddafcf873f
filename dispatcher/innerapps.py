"""Finds the Flask and Django apps that answer inside a mounted app, through whatever is wrapped around them.

An app wrapped in code (``ProxyFix(app)``) is no `Flask` any more, but its cookies, keys and routes are still those of
the Flask app inside. Seen through are objects that keep what they wrap under one of the usual names (`app`,
`wsgi_app`, `application`, …), bound methods (``flask_app.wsgi_app``), `functools.partial`, `functools.wraps`, and
werkzeug's `DispatcherMiddleware` with all its mounts. A function that has an app in its closure is not: it may have it
for something else than to answer with it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

_WRAPPED_AS: Final = ("app", "wsgi_app", "application", "_app", "wsgi", "__wrapped__", "__self__")
_MOST_OBJECTS: Final = 200  # an object may make up its attributes, and each of theirs, without end


@dataclass(frozen=True, slots=True)
class InnerApp:
    """An `app` that answers inside a mounted one, at `prefix` below it (``""``: at the mount's own prefix)."""

    prefix: str
    app: object


def inner_apps(app: object) -> list[InnerApp]:
    """The Flask and Django apps inside `app`, and what else a `DispatcherMiddleware` has; `app` itself if none is."""
    found = list(_known(app, "", {})) or [InnerApp("", app)]
    return list({(one.prefix, id(one.app)): one for one in found}.values())


def flask_apps(app: object) -> Iterator[tuple[str, Flask]]:
    """The Flask apps inside `app`, each after its prefix below it."""
    for one in inner_apps(app):
        if isinstance(one.app, Flask):
            yield one.prefix, one.app


def is_django(app: object) -> bool:
    """Whether `app` is a Django project's handler."""
    handlers = sys.modules.get("django.core.handlers.wsgi")  # not imported for this: a Django app has done so
    return handlers is not None and isinstance(app, handlers.WSGIHandler)


def _known(app: object, prefix: str, seen: dict[int, object]) -> Iterator[InnerApp]:
    """What is known inside `app`. An app met again is told again, but not entered: a circle ends there."""
    is_flask = isinstance(app, Flask)
    if is_flask or is_django(app):
        yield InnerApp(prefix, app)
    if id(app) in seen or len(seen) >= _MOST_OBJECTS:
        return
    seen[id(app)] = app  # kept alive, so that no other object gets its id
    if is_flask:  # `app.wsgi_app = DispatcherMiddleware(app.wsgi_app, …)` puts others beside it
        yield from _known(vars(app).get("wsgi_app"), prefix, seen)
    elif isinstance(app, DispatcherMiddleware):
        yield from _mounted(app, prefix, seen)
    else:
        yield from _wrapped(app, prefix, seen)


def _mounted(table: DispatcherMiddleware, prefix: str, seen: dict[int, object]) -> Iterator[InnerApp]:
    mounts = {prefix + f"/{key.partition('/')[2]}".rstrip("/"): app for key, app in table.mounts.items()}
    for below, app in [(prefix, table.app), *mounts.items()]:
        yield from list(_known(app, below, seen)) or [InnerApp(below, app)]


def _wrapped(app: object, prefix: str, seen: dict[int, object]) -> Iterator[InnerApp]:
    """What is known inside the first thing that `app` is wrapped around and that holds anything known."""
    if isinstance(app, functools.partial):
        inside = [app.func, *app.args, *app.keywords.values()]
    else:
        inside = [_attribute(app, name) for name in _WRAPPED_AS]
    for inner in inside:
        if found := list(_known(inner, prefix, seen)):
            yield from found
            return


def _attribute(app: object, name: str) -> object:
    try:
        return getattr(app, name, None)
    except Exception:  # noqa: BLE001  # a property or proxy of the app's, which may need a request to be there
        return None
