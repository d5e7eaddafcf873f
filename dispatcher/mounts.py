"""The mount table: which app answers this host and path.

`MountTable` is werkzeug's `DispatcherMiddleware`, called the same way, with what that leaves open settled:

- A mount takes whole segments: ``/todos`` answers ``/todos`` and ``/todos/1``, never ``/todosx``.
- The longest prefix wins, whatever the order of the mounts. A host wins over no host, as in Go's ``ServeMux``: first
  the mounts of that very host, then those of the longest ``*.`` host that fits it, then those without a host.
- The app gets an `environ` of its own, shifted as PEP 3333 asks; the caller's stays what the client asked for, and
  learns only the key of the mount, as ``environ["dispatcher.mount"]``.
- ``/`` is the default mount, ``/a/`` is ``/a``, and ``/café`` matches although `PATH_INFO` is Latin-1.
- The time for a match is linear in the path: no more segments are looked at than the deepest mount has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from werkzeug.middleware.dispatcher import DispatcherMiddleware

from dispatcher.wsgi import MOUNT, StartResponse, WSGIApplication, WSGIEnvironment, respond

_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_IPV6: Final = re.compile(r"\[[0-9a-f:.]+\]")
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}")


@dataclass(frozen=True, slots=True, order=True)
class MountKey:
    """A mount's key as normalised: `host` (``""`` for every host) and `prefix` (``""`` for the default mount)."""

    host: str
    prefix: str

    def __str__(self) -> str:
        return self.host + (self.prefix or "/")

    @property
    def wsgi_prefix(self) -> str:
        """The prefix as it stands in `PATH_INFO`: UTF-8 bytes read as Latin-1 (PEP 3333, "Unicode Issues")."""
        return self.prefix.encode().decode("latin-1")


def parse_key(text: str) -> MountKey:
    """The key that ``/prefix`` or ``host/prefix`` spells; ValueError says why another text could never match."""
    host, slash, rest = text.partition("/")
    if not slash:
        looks_like_host = "." in host or host == "localhost"
        example = f"{host}/" if looks_like_host else f"/{host}"
        what = "a host is followed by a slash" if looks_like_host else "a prefix starts with a slash"
        raise ValueError(f"{what}, write {example!r}")
    if rest.startswith("/") and host.endswith(":"):
        raise ValueError(f"a key has no scheme, write {rest.lstrip('/')!r}")
    return MountKey(_parse_host(host), _parse_prefix(slash + rest))


def _parse_prefix(text: str) -> str:
    prefix = text.removesuffix("/")
    segments = prefix.split("/")[1:]
    if "" in segments:
        raise ValueError("an empty segment ('//') never matches, write one slash")
    if "." in segments or ".." in segments:
        raise ValueError("clients resolve '.' and '..' before they ask, so this never matches; write the plain path")
    if found := _PERCENT.search(prefix):
        raise ValueError(f"paths are matched after decoding, write the character itself instead of {found[0]!r}")
    for char, why in {
        "?": "a query is no part of the path",
        "#": "a fragment never reaches the server",
        "*": "a mount answers everything below its prefix already",
        "<": "a prefix is fixed text, variables belong into the app's routes",
    }.items():
        if char in prefix:
            raise ValueError(f"{why}, leave out {prefix[prefix.index(char) :]!r}")
    if not prefix.isprintable():
        raise ValueError("a prefix has only printable characters")
    return prefix


def _parse_host(text: str) -> str:
    host = text.lower().removesuffix(".")
    if not host or _IPV6.fullmatch(host):
        return host
    if host == "*":
        raise ValueError("every host is meant when none is named, leave out '*'")
    if ":" in host:
        raise ValueError(f"the port is not looked at, write {host.partition(':')[0] + '/'!r}")
    labels = host.removeprefix("*.")
    try:
        labels = labels.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError(f"{text!r} is not a host name") from None
    if not all(_LABEL.fullmatch(label) for label in labels.split(".")):
        raise ValueError(f"{text!r} is not a host name; '*' stands only in front, as in '*.example.com/'")
    return f"*.{labels}" if host.startswith("*.") else labels


def request_host(environ: WSGIEnvironment) -> str:
    """The host that the client asked for, lower case, without port and final dot."""
    host: str = (environ.get("HTTP_HOST") or environ.get("SERVER_NAME") or "").lower()
    name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    return name.removesuffix(".")


class Match(NamedTuple):
    """The mount that answers: its `key` as text, the `prefix` it takes off `PATH_INFO`, and its `app`."""

    key: str
    prefix: str
    app: WSGIApplication


class _Prefixes:
    """The mounts of one host."""

    __slots__ = ("_matches", "_parts")

    def __init__(self, matches: Iterable[Match]) -> None:
        self._matches = {match.prefix: match for match in matches}
        self._parts = 1 + max((prefix.count("/") for prefix in self._matches), default=0)

    def match(self, path: str) -> Match | None:
        # At most as many cuts as the deepest mount has segments: what follows them is never looked at.
        parts = path.split("/", self._parts)[: self._parts]
        while len(parts) > 1:
            if found := self._matches.get("/".join(parts)):
                return found
            parts.pop()
        return self._matches.get("")


class MountTable(DispatcherMiddleware):
    """Answers with the app that is mounted at the request's host and path, else with `app`.

    `mounts` maps keys (``/prefix`` or ``host/prefix``) to apps; ValueError for a key that could never match, and for
    two keys that mean the same mount.
    """

    def __init__(self, app: WSGIApplication | None = None, mounts: Mapping[str, WSGIApplication] | None = None) -> None:
        keys: dict[MountKey, str] = {}
        by_host: dict[str, list[Match]] = {}
        normalised: dict[str, WSGIApplication] = {}
        for text, mounted in (mounts or {}).items():
            key = parse_key(text)
            if key in keys:
                raise ValueError(f"{keys[key]!r} and {text!r} are the same mount")
            keys[key] = text
            normalised[str(key)] = mounted
            by_host.setdefault(key.host, []).append(Match(str(key), key.wsgi_prefix, mounted))
        super().__init__(app or not_found, normalised)
        tables = {host: _Prefixes(matches) for host, matches in by_host.items()}
        self._any_host = tables.pop("", _Prefixes(()))
        suffixes = sorted((host for host in tables if host.startswith("*.")), key=len, reverse=True)
        self._wildcards = tuple((suffix[1:], tables.pop(suffix)) for suffix in suffixes)
        self._hosts = tables
        self._has_hosts = bool(self._hosts or self._wildcards)

    def match(self, environ: WSGIEnvironment) -> Match | None:
        """The mount that answers this request, or None where the default app does."""
        path = environ.get("PATH_INFO", "")
        if self._has_hosts:
            for prefixes in self._host_tables(request_host(environ)):
                if found := prefixes.match(path):
                    return found
        return self._any_host.match(path)

    def _host_tables(self, host: str) -> Iterable[_Prefixes]:
        if exact := self._hosts.get(host):
            yield exact
        for suffix, prefixes in self._wildcards:
            if host.endswith(suffix) and len(host) > len(suffix):
                yield prefixes

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        found = self.match(environ)
        if found is None:
            return self.app(environ, start_response)
        environ[MOUNT] = found.key
        inner = environ.copy()
        if found.prefix:
            inner["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + found.prefix
            inner["PATH_INFO"] = environ.get("PATH_INFO", "")[len(found.prefix) :]
        return found.app(inner, start_response)


def not_found(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The answer where nothing is mounted: 404, and not a word of what is mounted elsewhere."""
    return respond(environ, start_response, 404)
