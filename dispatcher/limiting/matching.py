"""Which requests a limit is for: by method, path and client, so that no request can be spelled around it.

A path is looked at as the mounts see it: decoded, from the root of the site, whatever `SCRIPT_NAME` a peer claims.
Where it has several `spellings` (doubled slashes, dot segments, an absolute-form target), a limit is for it if any of
them matches, and it is exempt only if all of them do.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from dispatcher.limiting.addresses import belongs_to
from dispatcher.wsgi import MOUNT, WSGIEnvironment

Test = Callable[[WSGIEnvironment], bool]

_SLASHES: Final = re.compile("/{2,}")
_ABSOLUTE_FORM: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*")


def routed_path(environ: WSGIEnvironment) -> str:
    """The path by which the request was routed here: the prefix of the mount, if in one, and `PATH_INFO`.

    `SCRIPT_NAME` is left out: a peer that gunicorn trusts may set it by a header, and the mounts do not look at it.
    """
    mount = environ.get(MOUNT)
    path: str = environ.get("PATH_INFO") or ""
    return path if mount is None else _prefix(mount) + path


@lru_cache(maxsize=1024)
def _prefix(mount: str) -> str:
    # The key is "/prefix" or "host/prefix" in Unicode, PATH_INFO holds UTF-8 read as Latin-1 (PEP 3333).
    rest = mount.partition("/")[2]
    return f"/{rest}".encode().decode("latin-1") if rest else ""


def spellings(path: str) -> tuple[str, ...]:
    """`path` without its final slash, and where they differ: with single slashes, and with dot segments resolved."""
    if path.startswith("/") and "//" not in path and "/." not in path:
        return (_open_end(path),)
    single = _SLASHES.sub("/", "/" + _ABSOLUTE_FORM.sub("", path, count=1))
    return tuple(dict.fromkeys(map(_open_end, (path, single, posixpath.normpath(single)))))


def plain_path(path: str) -> str:
    """The last of the `spellings`: one text for all paths that mean the same."""
    return spellings(path)[-1]


def _open_end(path: str) -> str:
    return path.rstrip("/") or "/"


def glob_pattern(globs: Iterable[str]) -> re.Pattern[str]:
    """One pattern for all `globs`: ``*`` stands for any text, slashes too; ``/api/*`` is also ``/api`` itself."""
    forms: list[str] = []
    for glob in globs:
        form = _open_end(glob).encode().decode("latin-1")
        forms.append(form)
        if form.endswith("/*"):
            forms.append(_open_end(form[:-1]))
    return re.compile("|".join(map(fnmatch.translate, forms)))


def wanted(methods: Iterable[str] = (), paths: Iterable[str] = ()) -> Test | None:
    """Whether a limit is for a request, by its method and its path; None where it is for every request."""
    tests = [test for test in (_by_method(frozenset(methods)), _by_path(tuple(paths), any)) if test]
    if len(tests) < 2:
        return tests[0] if tests else None
    return lambda environ: all(test(environ) for test in tests)


def exempt(cidrs: Iterable[str] = (), paths: Iterable[str] = ()) -> Test | None:
    """Whether a request is exempt, by its client or its path; None where none is."""
    tests = [test for test in (_by_client(tuple(cidrs)), _by_path(tuple(paths), all)) if test]
    if len(tests) < 2:
        return tests[0] if tests else None
    return lambda environ: any(test(environ) for test in tests)


def _by_method(methods: frozenset[str]) -> Test | None:
    if not methods:
        return None
    # Upper case, as werkzeug reads the method. A view for GET answers HEAD too, with the same work.
    upper = {method.upper() for method in methods}
    if "GET" in upper:
        upper.add("HEAD")
    return lambda environ: environ["REQUEST_METHOD"].upper() in upper


def _by_path(globs: tuple[str, ...], quantifier: Callable[[Iterable[object]], bool]) -> Test | None:
    if not globs:
        return None
    match = glob_pattern(globs).match
    return lambda environ: quantifier(map(match, spellings(routed_path(environ))))


def _by_client(cidrs: tuple[str, ...]) -> Test | None:
    if not cidrs:
        return None
    belongs = belongs_to(cidrs)
    return lambda environ: belongs(environ.get("REMOTE_ADDR") or "")
