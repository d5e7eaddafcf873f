"""How the options of a limit are written: rates, methods, paths, networks, keys and stores, as types for models.

The values stay texts, so that options can be compared, printed and hashed; they are read here so that what is made of
them later cannot fail.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from http import HTTPMethod, HTTPStatus
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import limits.storage
from limits import RateLimitItem
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from dispatcher import importstring
from dispatcher.limiting.opening import SHARED
from dispatcher.limiting.store import client_package
from dispatcher.shm.cells import LONGEST_SECONDS, MOST

_RATE: Final = re.compile(r"\s*[0-9]+\s*(?:/|\s*per\s*)\s*[0-9]*\s*[a-z]+\s*", re.IGNORECASE)
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_KEYS: Final = "client, header:NAME, cookie:NAME, path, global or an import string such as package.module:function"

# What a storage must be able to do for each strategy of `limits`.
_NEEDED: Final = {
    "moving-window": "acquire_entry",
    "sliding-window-counter": "acquire_sliding_window_entry",
    "fixed-window": "incr",
}


def _text(read: Callable[[str], str], *, expected: str) -> BeforeValidator:
    def check(value: object) -> str:
        if not isinstance(value, str):
            raise PydanticCustomError("text", "expected {expected}", {"expected": expected})
        return read(value)

    return BeforeValidator(check)


def _wrong(what: str) -> PydanticCustomError:
    # What a user wrote may hold braces: it must not be taken for a template.
    return PydanticCustomError("rate_limit", "{what}", {"what": what})


def parse_rate(text: str) -> RateLimitItem:
    """The limit that `text` means, in the notation of `limits`; ValueError where it means none."""
    if not _RATE.fullmatch(text):
        raise ValueError(f"couldn't parse rate limit string {text!r}")
    return limits.parse(text)


def largest_burst(limit: RateLimitItem) -> int:
    """How many hits `limit` can give back in the longest time that is counted."""
    return LONGEST_SECONDS * limit.amount // limit.get_expiry()


def _read_rate(text: str) -> str:
    try:
        limit = parse_rate(text)
    except ValueError:
        raise _wrong(f"{text!r} is not a rate, write one such as 50/second, 3000/minute or 10 per 5 minutes") from None
    if limit.amount < 1:
        raise _wrong(f"{text!r} would admit nothing, write a rate of at least 1")
    if limit.amount > MOST:
        raise _wrong(f"{text!r} is more than can be counted, write at most {MOST}")
    if limit.get_expiry() > LONGEST_SECONDS:
        raise _wrong(f"{text!r} has a window that is too long, write at most 100 years")
    if re.search(r"(?:/|per)\s*0", text, re.IGNORECASE):
        raise _wrong(f"{text!r} has a window of no length, write one such as 50/second or 10 per 5 minutes")
    return text


def _read_method(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise _wrong(f"{text!r} is not an HTTP method")
    upper = text.upper()
    known = [str(method) for method in HTTPMethod]
    if upper not in known and (close := difflib.get_close_matches(upper, known, n=1)):
        raise _wrong(f"unknown method {text!r}, did you mean {close[0]!r}?")
    return upper


def _read_glob(text: str) -> str:
    if not text.startswith(("/", "*")):
        raise _wrong(f"a path starts with a slash, write {'/' + text!r}")
    if found := _PERCENT.search(text):
        raise _wrong(f"paths are matched after decoding, write the character itself instead of {found[0]!r}")
    return text


def _read_cidr(text: str) -> str:
    try:
        return str(_folded(ip_network(text)))
    except ValueError:
        pass
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise _wrong(f"{text!r} is not a network, write one such as 10.0.0.0/8 or 2001:db8::/32") from None
    raise _wrong(f"{text!r} is an address in a network, write {str(network)!r} or the address alone")


def _folded(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """The IPv4 network where it is an IPv4-mapped one (RFC 4291 section 2.5.5.2), as clients' addresses are folded."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    return network if mapped is None or network.prefixlen < 96 else IPv4Network((mapped, network.prefixlen - 96))


def _read_by(text: str) -> str:
    kind, colon, name = text.partition(":")
    if text in ("client", "path", "global"):
        return text
    if kind in ("header", "cookie"):
        if not _TOKEN.fullmatch(name):
            raise _wrong(f"name the {kind}, as in {kind}:{'X-API-Key' if kind == 'header' else 'session'}")
        return text
    try:
        target = importstring.parse(text)
    except ValueError as error:
        raise _wrong(f"expected {_KEYS}" + (f": {error}" if colon else "")) from None
    if target.call is not None:
        raise _wrong(f"{text!r} is a call; name the function itself, without parentheses")
    return text


def _read_storage(text: str) -> str:
    scheme = urlsplit(text).scheme if "://" in text else ""
    if text in (SHARED, f"{SHARED}://"):
        return SHARED
    if scheme == SHARED:
        raise _wrong("name the file of the shared memory as table, and its size as size; write storage: shared")
    schemes = sorted(known for known in known_schemes() if "async" not in known and known != SHARED)
    if scheme not in schemes:
        raise _wrong(
            f"{text!r} is not a storage, write shared or a URI such as redis://localhost:6379; "
            f"known schemes are {', '.join(schemes)}"
        )
    package = client_package(text)
    if package and find_spec(package) is None:
        install = "wsgi-dispatcher[redis]" if package == "redis" else package
        raise _wrong(f"{scheme}:// needs the package {package!r}, install it with: pip install '{install}'")
    _check_locations(text)
    return text


def _check_locations(uri: str) -> None:
    for location in urlsplit(uri).netloc.rpartition("@")[2].split(","):
        try:
            _ = urlsplit(f"//{location}").port  # computing it checks it
        except ValueError:
            raise _wrong(f"{location!r} is not a host and a port, write them as in localhost:6379") from None


def known_schemes() -> Mapping[str, type[object]]:
    """The storages of `limits`, its own and those that others have registered, by the scheme of their URIs."""
    return limits.storage.SCHEMES  # type: ignore[attr-defined]  # public by use, though not in __all__


def check_strategy(storage: str, strategy: str) -> None:
    """PydanticCustomError where `storage`, a URI, cannot count by `strategy`."""
    storage_class = known_schemes()[urlsplit(storage).scheme]
    able = [name for name, needed in _NEEDED.items() if hasattr(storage_class, needed)]
    if strategy not in able:
        scheme = urlsplit(storage).scheme
        raise _wrong(f"{scheme}:// cannot count by {strategy}; it can by {', '.join(able)}")


def _read_status(status: int) -> int:
    if status not in {one.value for one in HTTPStatus if one >= HTTPStatus.BAD_REQUEST}:
        raise _wrong(f"{status} is not the status of an error, write one such as 429 or 503")
    return status


def _schema(*examples: str, **more: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "examples": list(examples), **more})


Rate = Annotated[
    str,
    _text(_read_rate, expected="a rate such as 50/second, 3000/minute or 10 per 5 minutes"),
    _schema("50/second", "3000/minute", "10 per 5 minutes"),
]
Method = Annotated[str, _text(_read_method, expected="an HTTP method such as POST"), _schema("POST")]
PathGlob = Annotated[str, _text(_read_glob, expected="a path such as /api/*"), _schema("/api/*", "/login")]
Cidr = Annotated[str, _text(_read_cidr, expected="a network such as 10.0.0.0/8"), _schema("10.0.0.0/8")]
By = Annotated[str, _text(_read_by, expected=_KEYS), _schema("client", "header:X-API-Key", "package.module:function")]
StorageUri = Annotated[str, _text(_read_storage, expected="shared or a URI"), _schema("shared", "redis://host:6379")]
ErrorStatus = Annotated[int, AfterValidator(_read_status)]


class Match(BaseModel):
    """Which requests a limit is for: those that fit in both respects."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    methods: tuple[Method, ...] = Field(default=(), description="Methods; GET includes HEAD. Without any, all.")
    paths: tuple[PathGlob, ...] = Field(
        default=(), description="Paths from the root of the site, * for any characters. Without any, all."
    )


class Exempt(BaseModel):
    """Which requests a limit is not for: those that fit in any respect."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cidrs: tuple[Cidr, ...] = Field(default=(), description="Networks of clients, such as 10.0.0.0/8.")
    paths: tuple[PathGlob, ...] = Field(default=(), description="Paths from the root of the site, as in match.")
