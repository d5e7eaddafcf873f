"""The routes of every mounted app: pure functions over a `Stack`.

Flask apps tell their routes by their URL map, Django projects by their URL patterns where those are installed and can
be read, also where they are wrapped in something; any other WSGI app is one row, because all that is known of it is
that it answers below its prefix.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from flask import Flask
from werkzeug.routing import Rule

from dispatcher.compose import MountedApp, Stack
from dispatcher.innerapps import inner_apps, is_django

_ALL: Final = ("*",)
_IMPLIED: Final = frozenset({"HEAD", "OPTIONS"})  # Flask answers these beside others


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
        return
    for inner in inner_apps(one.app):
        if isinstance(inner.app, Flask):
            yield from _of_flask(one, inner.prefix, inner.app)
        elif is_django(inner.app):
            yield from _of_django(one, inner.prefix)
        else:
            yield _row(one, f"{inner.prefix}/<path>", _ALL, f"({type(inner.app).__name__})")


def _row(one: MountedApp, path: str, methods: Iterable[str], endpoint: str, host: str = "") -> Route:
    mount_host, slash, prefix = one.mount.key.removesuffix("/").partition("/")
    full = f"{host or mount_host}{slash}{prefix}{path}"
    return Route(full, tuple(methods), endpoint, one.mount.key, one.mount.app)


def _of_flask(one: MountedApp, prefix: str, app: Flask) -> Iterator[Route]:
    for rule in app.url_map.iter_rules():
        if not rule.build_only:  # such a rule makes URLs, and answers none
            yield _row(one, prefix + rule.rule, _methods(rule), rule.endpoint, _host(app, rule))


def _methods(rule: Rule) -> Iterable[str]:
    if rule.websocket:
        return ("WEBSOCKET",)
    if rule.methods is None:
        return _ALL
    return sorted(rule.methods - _IMPLIED or rule.methods)


def _host(app: Flask, rule: Rule) -> str:
    """The host that alone `rule` answers for, with its variables; empty for every host."""
    if app.url_map.host_matching:
        return rule.host or ""
    server = (app.config["SERVER_NAME"] or "").partition(":")[0]
    return f"{rule.subdomain}.{server}" if rule.subdomain and server else ""


def _of_django(one: MountedApp, prefix: str) -> Iterator[Route]:
    from django.urls import get_resolver  # here and not above: Django is no dependency, and is loaded by now

    try:
        patterns = get_resolver().url_patterns
    except Exception as error:  # noqa: BLE001  # the project's own URLconf is run by this
        yield _row(one, f"{prefix}/<path>", _ALL, f"(URL patterns cannot be read: {type(error).__name__}: {error})")
        return
    for path, name in _walk_django(patterns, f"{prefix}/", ""):
        yield _row(one, path, _ALL, name)


def _walk_django(patterns: Iterable[Any], prefix: str, namespace: str) -> Iterator[tuple[str, str]]:
    for entry in patterns:
        path = prefix + _text(entry.pattern)
        if hasattr(entry, "url_patterns"):
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            yield from _walk_django(entry.url_patterns, path, inner)
        else:
            yield path, namespace + (entry.name or getattr(entry, "lookup_str", ""))


def _text(pattern: Any) -> str:
    """The text of a Django `pattern`; of a regular expression without the anchors, which stand amid the full path."""
    text = str(pattern)
    if type(pattern).__name__ != "RegexPattern":
        return text
    text = text.removeprefix("^").removesuffix(r"\Z")
    return text if text.endswith(r"\$") else text.removesuffix("$")
