"""Turns what is known of an answered request into one line of an access log.

A format is a pure function from a `Record` to a line without its line end; `compile_format` makes one from its name or
from a template such as ``{client} "{user_agent}" {duration_ms}``.

One record is one line of printable ASCII, whatever the client sent. In ``common``, ``combined`` and templates each
other character, ``"`` and ``\\`` are written byte by byte as ``\\xNN``, as nginx does, so that the bytes can be read
back, and a simple ``"[^"]*"`` finds a quoted field; a space in a field that stands without quotes is ``\\x20``. In
``json`` texts are UTF-8 where their bytes are, with JSON's own escapes, also for U+007F to U+009F, U+2028 and U+2029.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quote
from operator import attrgetter
from string import Formatter
from typing import Final, NamedTuple

from dispatcher.suggestions import suggest

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNSAFE_IN_QUOTES: Final = re.compile(r"[^ !#-\[\]-~]")
_UNSAFE_IN_WORD: Final = re.compile(r"[^!#-\[\]-~]")
_SEPARATORS: Final = ",;|"  # where a template separates its fields by one of these, the fields may not hold it


class Record(NamedTuple):
    """One answered request: texts as the client sent them (latin-1, PEP 3333), empty where nothing is known."""

    at: float  # seconds since 1970, when the response was closed
    client: str
    user: str
    host: str
    method: str
    path: str  # with the query
    protocol: str
    status: str  # three digits
    bytes: int | None  # of the response's body; None where the server alone knows
    referer: str
    user_agent: str
    seconds: float
    mount: str
    request_id: str
    outcome: str


Format = Callable[[Record], str]


def in_quotes(value: str) -> str:
    """`value` for a place between double quotes."""
    # JSON's escaper is C and touches all that must be escaped here: what it leaves as it is needs nothing.
    if len(quote(value)) == len(value) + 2:
        return value or "-"
    return _UNSAFE_IN_QUOTES.sub(_escape, value)


def as_word(value: str) -> str:
    """`value` for a place between spaces."""
    if len(quote(value)) == len(value) + 2 and " " not in value:
        return value or "-"
    return _UNSAFE_IN_WORD.sub(_escape, value)


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    # Above latin-1 there are no bytes of the client's: such a text was set by an app.
    data = char.encode("latin-1") if char <= "\xff" else char.encode("utf-8", "surrogatepass")
    return "".join(f"\\x{byte:02X}" for byte in data)


@lru_cache(maxsize=4)
def clf_time(second: int) -> str:
    """Local time with its offset as the Common Log Format has it: ``10/Oct/2000:13:55:36 -0700``, in any locale."""
    now = time.localtime(second)
    clock = f"{now.tm_year:04d}:{now.tm_hour:02d}:{now.tm_min:02d}:{now.tm_sec:02d}"
    return f"{now.tm_mday:02d}/{_MONTHS[now.tm_mon - 1]}/{clock} {_offset(now, '')}"


def iso_time(at: float) -> str:
    """Local time with its offset, to the millisecond (RFC 3339): ``2000-10-10T13:55:36.250-07:00``."""
    day_and_clock, offset = _iso_second(int(at))
    return f"{day_and_clock}.{int(at * 1000) % 1000:03d}{offset}"


@lru_cache(maxsize=4)
def _iso_second(second: int) -> tuple[str, str]:
    now = time.localtime(second)
    return time.strftime("%Y-%m-%dT%H:%M:%S", now), _offset(now, ":")


def _offset(now: time.struct_time, colon: str) -> str:
    hours, minutes = divmod(abs(now.tm_gmtoff) // 60, 60)
    return f"{'-' if now.tm_gmtoff < 0 else '+'}{hours:02d}{colon}{minutes:02d}"


def common(record: Record) -> str:
    """Apache's ``%h %l %u %t "%r" %>s %b``; the size is 0 where there is none, as nginx writes it."""
    request = f"{as_word(record.method)} {as_word(record.path)} {as_word(record.protocol)}"
    size = "-" if record.bytes is None else record.bytes
    who = f"{as_word(record.client)} - {as_word(record.user)}"
    return f'{who} [{clf_time(int(record.at))}] "{request}" {record.status} {size}'


def combined(record: Record) -> str:
    """`common` with ``"%{Referer}i" "%{User-agent}i"``."""
    return f'{common(record)} "{in_quotes(record.referer)}" "{in_quotes(record.user_agent)}"'


def json_line(record: Record) -> str:
    """One JSON object with every field; what is not known is null."""
    size = "null" if record.bytes is None else record.bytes
    return (
        f'{{"time": "{iso_time(record.at)}", "client": {_json(record.client)}, "user": {_json(record.user)}, '
        f'"host": {_json(record.host)}, "method": {_json(record.method)}, "path": {_json(record.path)}, '
        f'"protocol": {_json(record.protocol)}, "status": {int(record.status)}, "bytes": {size}, '
        f'"referer": {_json(record.referer)}, "user_agent": {_json(record.user_agent)}, '
        f'"duration": {record.seconds:.6f}, "mount": {_json(record.mount)}, '
        f'"request_id": {_json(record.request_id)}, "outcome": "{record.outcome}"}}'
    )


def _json(value: str) -> str:
    if not value:
        return "null"
    return quote(value if value.isascii() else _decode(value))


def _decode(value: str) -> str:
    try:
        return value.encode("latin-1").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return value  # set by an app, as text


_NAMED: Final[Mapping[str, Format]] = {"common": common, "combined": combined, "json": json_line}
_A_TEMPLATE: Final = "or a template such as {client} {path}"

# Fields whose text comes from the client or an app, and fields that are ours and need no escaping.
_TEXTS: Final = ("client", "user", "host", "method", "path", "protocol", "referer", "user_agent", "mount", "request_id")
_FIELDS: Final[Mapping[str, Format]] = {
    "time": lambda record: iso_time(record.at),
    "clf_time": lambda record: clf_time(int(record.at)),
    "status": attrgetter("status"),
    "bytes": lambda record: "-" if record.bytes is None else str(record.bytes),
    "duration": lambda record: f"{record.seconds:.6f}",
    "duration_ms": lambda record: f"{record.seconds * 1000:.3f}",
    "outcome": attrgetter("outcome"),
}


def compile_format(text: str) -> Format:
    """The format that `text` names or, with ``{fields}``, is; ValueError with a way out where it is neither."""
    if text in _NAMED:
        return _NAMED[text]
    if "{" not in text:
        raise ValueError(f"unknown format {text!r}{suggest(text, _NAMED, also=_A_TEMPLATE)}")
    if not text.replace("\t", "").isprintable():
        raise ValueError("a template is one line: it may hold no control characters but tabs")
    return _template(text)


def _template(text: str) -> Format:
    layout, quoted, values = "", False, []
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{error} in the template; write {{{{ and }}}} for braces") from None
    for literal, name, spec, conversion in parts:
        quoted ^= literal.count('"') % 2 == 1
        layout += literal.replace("%", "%%")
        if name is not None:
            if spec or conversion:
                raise ValueError(f"a field is a name alone, without a conversion or a format: write {{{name}}}")
            layout += "%s"
            values.append(_field(name, quoted, [char for char in _SEPARATORS if char in text]))
    return lambda record: layout % tuple([value(record) for value in values])


def _field(name: str, quoted: bool, separators: list[str]) -> Format:
    if name in _FIELDS:
        return _FIELDS[name]
    if name not in _TEXTS:
        raise ValueError(f"unknown field {{{name}}}{suggest(name, [*_TEXTS, *_FIELDS])}")
    get = attrgetter(name)
    if quoted:
        return lambda record: in_quotes(get(record))

    def word(record: Record) -> str:
        value = as_word(get(record))
        for separator in separators:
            value = value.replace(separator, f"\\x{ord(separator):02X}")
        return value

    return word
