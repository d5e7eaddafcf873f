"""What a hit is counted under: the client's address, a header, a cookie, the path, or what a function says.

A key is a text and never means "unlimited": where there is nothing to tell clients apart by (a unix socket, a missing
header), the key is ``""``, one that all such requests share.
"""

from __future__ import annotations

import logging
import pkgutil
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from dispatcher.errors import LoadError, Problem
from dispatcher.limiting.addresses import KNOWN_CLIENTS, client_key
from dispatcher.limiting.matching import plain_path, routed_path
from dispatcher.wsgi import WSGIEnvironment

Key = Callable[[WSGIEnvironment], str]

SHARED_KEY: Final = ""

_log: Final = logging.getLogger("dispatcher.rate_limit")


def key_function(by: str, *, ipv6_prefix: int = 64) -> Key:
    """The function that finds the key `by` asks for; LoadError where it names a function that cannot be imported."""
    kind, _, name = by.partition(":")
    if kind == "header":
        return _by_header(name)
    if kind == "cookie":
        return _by_cookie(name)
    if kind == "client":
        return _by_client(ipv6_prefix)
    if by == "path":
        return lambda environ: plain_path(routed_path(environ))
    if by == "global":
        return lambda _environ: SHARED_KEY
    return _by_function(by)


def _by_client(ipv6_prefix: int) -> Key:
    @lru_cache(maxsize=KNOWN_CLIENTS)
    def known(remote_addr: str) -> str:
        return client_key(remote_addr, ipv6_prefix)

    return lambda environ: known(environ.get("REMOTE_ADDR") or "")


def _by_header(name: str) -> Key:
    upper = name.upper().replace("-", "_")
    # RFC 3875 section 4.1: these two have no HTTP_ in front.
    variable = upper if upper in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{upper}"
    return lambda environ: str(environ.get(variable, SHARED_KEY)).strip()


def _by_cookie(name: str) -> Key:
    # Of two cookies with one name the first counts, as in werkzeug and so in Flask: the one that the app acts on.
    find = re.compile(rf"(?:^|;)\s*{re.escape(name)}\s*=\s*([^;]*)").search

    def key(environ: WSGIEnvironment) -> str:
        found = find(environ.get("HTTP_COOKIE") or "")
        return found[1].strip().strip('"') if found else SHARED_KEY

    return key


def _by_function(text: str) -> Key:
    function = _load(text)
    first = iter((True,))  # next() hands it out once, to one thread

    def key(environ: WSGIEnvironment) -> str:
        try:
            return _checked(function(environ))
        except Exception:  # noqa: BLE001 - anybody's code: whatever it raises must not become a 500
            if next(first, False):
                _log.exception("%s failed; such requests count under one shared key (said once)", text)
            return SHARED_KEY

    return key


def _checked(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"expected a str, not {type(key).__name__}")
    return key


def _load(text: str) -> Callable[[WSGIEnvironment], object]:
    try:
        found = pkgutil.resolve_name(text)
    except AttributeError as error:
        raise LoadError(Problem(f"{text!r}: {error}", "by")) from error
    except Exception as error:  # an import runs anybody's code
        what = f"{text!r} cannot be imported: {type(error).__name__}: {error}"
        raise LoadError(Problem(what, "by")) from error
    if not callable(found):
        raise LoadError(Problem(f"{text!r} is not callable; name a function that takes the environ", "by"))
    return found  # type: ignore[no-any-return]  # callable() is all that can be known
