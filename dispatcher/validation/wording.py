"""What pydantic says of a value → the same in the words of a YAML file, with what to write instead."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic_core import ErrorDetails

_WHOLE, _NUMBER, _BOOL, _TEXT = "a whole number", "a number", "true or false", "text"
_LIST, _MAPPING = "a list", "a mapping"

# pydantic's error type → what was expected; ``{…}`` is filled in from the error's context.
_EXPECTED: Final[Mapping[str, str]] = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), _WHOLE),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number", "decimal_type", "decimal_parsing"), _NUMBER),
    **dict.fromkeys(("bool_type", "bool_parsing"), _BOOL),
    **dict.fromkeys(("string_type", "string_sub_type"), _TEXT),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type"), _LIST),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), _MAPPING),
    **dict.fromkeys(("dataclass_type", "dataclass_exact_type"), _MAPPING),
    **dict.fromkeys(("literal_error", "enum"), "{expected}"),
    **dict.fromkeys(("time_type", "time_parsing"), "a time of day such as 03:30"),
    **dict.fromkeys(("date_type", "date_parsing", "date_from_datetime_parsing"), "a date such as 2030-01-31"),
    **dict.fromkeys(
        ("datetime_type", "datetime_parsing", "datetime_from_date_parsing"), "a date and time such as 2030-01-31T03:30"
    ),
    **dict.fromkeys(("pattern_type", "pattern_regex"), "a regular expression"),
    **dict.fromkeys(("url_type", "url_parsing", "url_syntax_violation"), "a URL"),
    **dict.fromkeys(("ip_v4_address", "ip_v6_address", "ip_any_address"), "an IP address"),
    **dict.fromkeys(("ip_v4_network", "ip_v6_network", "ip_any_network"), "a network such as 10.0.0.0/8"),
    "none_required": "nothing",
    "path_type": "a path",
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
    "multiple_of": "a multiple of {multiple_of}",
    "string_too_short": "text of {min_length} or more characters",
    "string_too_long": "text of {max_length} or fewer characters",
    "string_pattern_mismatch": "text that matches {pattern}",
    "url_scheme": "a URL that starts with {expected_schemes}",
    "too_short": "{min_length} or more entries",
    "too_long": "{max_length} or fewer entries",
}
_TRUE_WORDS: Final = ("on", "yes", "y", "true")
_FALSE_WORDS: Final = ("off", "no", "n", "false")
_SHOWN: Final = 60  # characters of a wrong value


def expectation(detail: ErrorDetails) -> str | None:
    """What the error expected, such as ``a whole number``; None when it is of no standard type."""
    text = _EXPECTED.get(detail["type"])
    context = {name: _number(value) for name, value in detail.get("ctx", {}).items()}
    return None if text is None else text.format_map(context)


def _number(value: Any) -> Any:
    return f"{value:g}" if isinstance(value, float) else value


def choices_of(detail: ErrorDetails) -> list[str]:
    """The texts among what a literal error expected, which pydantic lists as ``'a', 'b' or 'c'``."""
    return re.findall("'([^']*)'", detail["ctx"]["expected"])


def other_wording(detail: ErrorDetails) -> str:
    """The message that a validator chose itself."""
    return detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")


def got(value: object, expected: Sequence[str] = ()) -> str:
    """The wrong value as the file spells it, and how to write it if only the quotes are wrong."""
    if isinstance(value, list | Mapping) and any("entries" in text for text in expected):
        return str(len(value))
    if isinstance(value, list):
        return _LIST + ("; write lines of 'key: value' without '- '" if _MAPPING in expected else "")
    if isinstance(value, Mapping):
        return _MAPPING + ("; write '- ' before each entry" if _LIST in expected else "")
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return ("true" if value else "false") + _quotes_wanted(expected)
    if isinstance(value, str):
        return _shorten(repr(value)) + _text_meant(value, expected)
    return _shorten(str(value)) + _quotes_wanted(expected)


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _quotes_wanted(expected: Sequence[str]) -> str:
    return "; put it in quotes" if _TEXT in expected else ""


def _text_meant(value: str, expected: Sequence[str]) -> str:
    word = value.strip().lower()
    if _BOOL in expected and word in (*_TRUE_WORDS, *_FALSE_WORDS):
        return f"; write {'true' if word in _TRUE_WORDS else 'false'}"
    if _MAPPING in expected and ":" in value:
        return "; write a space after the colon"
    if _LIST in expected and 0 < len(value) < _SHOWN:
        return f"; write [{value}]"
    if (_WHOLE in expected or _NUMBER in expected) and word.removeprefix("-").isdecimal():
        return "; write it without quotes" if str(int(word)) == word else f"; write {int(word)}"
    return ""
