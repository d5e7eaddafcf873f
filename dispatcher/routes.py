"""The routes of every mounted app: pure functions over a `Stack`.

Flask apps tell their routes by their URL map, Django projects by their URL patterns where those are installed and can
be read; any other WSGI app is one row, because all that is known of it is that it answers below its prefix.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from flask import Flask

from dispatcher.compose import MountedApp, Stack

_ALL: Final = ("*",)


@dataclass(frozen=True, slots=True)
class Route:
    """One route: the full `path` with the mount's prefix, its `methods` (``("*",)`` where the app alone knows), the
    `endpoint`, the `mount` it belongs to and the import string of its `app`."""

    path: str
    methods: tuple[str, ...]
    endpoint: str
    mount: str
    app: str


def list_routes(stack: Stack) -> list[Route]:
    """Every route of every mount, in the order of the file and of each app."""
    return [route for one in stack.mounts for route in _of_mount(one)]


def _of_mount(one: MountedApp) -> Iterator[Route]:
    if one.app is None:
        yield _row(one, "/<path>", _ALL, "(not loaded: answers 503)")
    elif isinstance(one.app, Flask):
        yield from _of_flask(one, one.app)
    elif _is_django(one.app):
        yield from _of_django(one)
    else:
        yield _row(one, "/<path>", _ALL, f"({type(one.app).__name__})")


def _row(one: MountedApp, path: str, methods: Iterable[str], endpoint: str) -> Route:
    return Route(one.mount.key.removesuffix("/") + path, tuple(methods), endpoint, one.mount.key, one.mount.app)


def _of_flask(one: MountedApp, app: Flask) -> Iterator[Route]:
    for rule in app.url_map.iter_rules():
        methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        yield _row(one, rule.rule, methods or ("OPTIONS",), rule.endpoint)


def _is_django(app: object) -> bool:
    handlers = sys.modules.get("django.core.handlers.wsgi")  # not imported for this: a Django app has done so
    return handlers is not None and isinstance(app, handlers.WSGIHandler)


def _of_django(one: MountedApp) -> Iterator[Route]:
    from django.urls import get_resolver  # here and not above: Django is no dependency, and is loaded by now

    try:
        patterns = get_resolver().url_patterns
    except Exception as error:  # noqa: BLE001  # the project's own URLconf is run by this
        yield _row(one, "/<path>", _ALL, f"(URL patterns cannot be read: {type(error).__name__}: {error})")
        return
    for path, name in _walk_django(patterns, "/", ""):
        yield _row(one, path, _ALL, name)


def _walk_django(patterns: Iterable[Any], prefix: str, namespace: str) -> Iterator[tuple[str, str]]:
    for entry in patterns:
        path = prefix + str(entry.pattern)
        if hasattr(entry, "url_patterns"):
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            yield from _walk_django(entry.url_patterns, path, inner)
        else:
            yield path, namespace + (entry.name or getattr(entry, "lookup_str", ""))
