"""Hides secrets in a URL before it is logged: the values of parameters with telling names, and user:password@.

Which names tell is a list of globs (`SECRET_NAMES`), compared without regard to case, ``-`` and ``_``, with the whole
name and with each part and word of it: ``x-api-key``, ``auth_code``, ``user[password]`` and ``%70assword`` are found.
A name may follow any of ``? & ; #``, also percent-encoded to any depth, as in ``?next=%2Freset%3Ftoken%3D1``. Servers
differ in what ends a value, so a hidden one goes up to the next ``&``: where it is in doubt more is hidden, never less.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import translate
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_plus

HIDDEN: Final = "[redacted]"

SECRET_NAMES: Final = (
    *("*password*", "*passwd*", "*passphrase*", "*passcode*", "*pwd*", "pass", "pw", "pin", "otp"),
    *("*token*", "*secret*", "*credential*", "*signature*", "sig", "hmac", "jwt", "code"),
    *("*apikey*", "*accesskey*", "*privatekey*", "key", "auth", "authorization"),
    *("session", "*sessionid*", "*sessid*", "sid", "ticket", "assertion", "*samlresponse*", "*verifier"),
)

# Every part below can match a given character in one way only, so that both searches are linear in the URL.
_SEPARATOR: Final = r"(?:[?&;#]|%(?:25)*(?:3F|26|3B|23))"
_EQUALS: Final = r"(?:=|%(?:25)*3D)"
_NAME: Final = re.compile(
    rf"{_SEPARATOR}((?:[^?&;#=%]|%(?!(?:25)*(?:3F|26|3B|23|3D)))++){_EQUALS}",
    re.IGNORECASE,
)
_USERINFO: Final = re.compile(
    r"((?:^|:|%(?:25)*3A)(?:/|%(?:25)*2F){2})(?:[^/?#%]|%(?!(?:25)*(?:2F|3F|23)))+(@|%(?:25)*40)",
    re.IGNORECASE,
)
_BETWEEN_PARTS: Final = re.compile(r"\W+")
_BETWEEN_WORDS: Final = re.compile(r"[\W_]+")


class Redactor:
    """Called with a URL or a path with its query, returns it with its secrets replaced by `HIDDEN`.

    `names` are globs added to `SECRET_NAMES`; one that starts with ``!`` is an exception to all others, so that
    ``!code`` leaves ``code`` readable and ``!*`` every parameter.
    """

    __slots__ = ("_is_secret",)

    def __init__(self, names: Iterable[str] = ()) -> None:
        names = list(names)
        secret = _any_of([*SECRET_NAMES, *(name for name in names if not name.startswith("!"))])
        plain = _any_of(name[1:] for name in names if name.startswith("!"))

        @lru_cache(maxsize=256)  # names of at most a request line or header each, as clients choose them
        def is_secret(name: str) -> bool:
            parts = _parts(name)
            return not plain(parts[0]) and any(secret(part) and not plain(part) for part in parts)

        self._is_secret: Callable[[str], bool] = is_secret

    def __call__(self, url: str) -> str:
        if "=" not in url and "%" not in url and "@" not in url:
            return url
        if "@" in url or "40" in url:
            url = _USERINFO.sub(rf"\1{HIDDEN}\2", url)
        return self._without_values(url) if any(map(self._is_secret, _NAME.findall(url))) else url

    def _without_values(self, url: str) -> str:
        shown: list[str] = []
        position = 0
        for match in _NAME.finditer(url):
            if match.start() < position or not self._is_secret(match[1]):
                continue
            shown += url[position : match.end()], HIDDEN
            position = url.find("&", match.end())
            if position < 0:
                break
        else:
            shown.append(url[position:])
        return "".join(shown)


def _any_of(globs: Iterable[str]) -> Callable[[str], object]:
    """A test for texts in the form of `_fold` that any of `globs` matches."""
    return re.compile("|".join(translate(_fold(glob)) for glob in globs) or r"(?!)").match


def _fold(text: str) -> str:
    return text.lower().replace("_", "").replace("-", "")


def _parts(name: str) -> list[str]:
    """What is compared of a parameter's `name`: itself without punctuation, each of its parts, and their words."""
    for _ in range(3):  # once as every server does, and twice more for a URL in a URL in a URL
        if "%" not in name and "+" not in name:
            break
        name = unquote_plus(name)
    parts = _BETWEEN_PARTS.split(_fold(name))
    return ["".join(parts), *parts, *_BETWEEN_WORDS.split(name.lower())]
