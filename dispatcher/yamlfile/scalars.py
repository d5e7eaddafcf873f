"""A plain scalar's text → its value by the core schema of YAML 1.2 (section 10.3), and no other reading.

So `on`, `no`, `010`, `10:30` and `2024-01-01` stay text.
"""

from __future__ import annotations

import math
import re
from typing import Final

Scalar = str | int | float | bool | None

_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DECIMAL: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)", re.ASCII)
_OCTAL: Final = re.compile(r"0o[0-7]+")
_HEX: Final = re.compile(r"0x[0-9a-fA-F]+")
# The core schema's float also covers 010; here it needs a point or an exponent, so that 010 stays text.
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MAX: Final = 2**63  # beyond 64 bits JSON readers, C code and time_t disagree about what a number is


def resolve(text: str) -> Scalar:
    """What `text` means without quotes; ValueError for a number that is none or too large to mean anything."""
    if text in _WORDS:
        return _WORDS[text]
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text!r} is no finite number; write a number, or put it in quotes if text is meant")
    for pattern, base in ((_DECIMAL, 10), (_OCTAL, 8), (_HEX, 16)):
        if pattern.fullmatch(text):
            return _whole_number(text, base)
    if _FLOAT.fullmatch(text):
        return _number(text)
    return text


def _whole_number(text: str, base: int) -> int:
    # 64 bits in octal are 22 digits; int() of a megabyte of digits would take seconds or fail by itself.
    number = int(text, 0 if base != 10 else 10) if len(text) <= 30 else _MAX
    if not -_MAX <= number < _MAX:
        raise ValueError(
            "this number does not fit into 64 bits; write a smaller one, or put it in quotes if text is meant"
        )
    return number


def _number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("this number is too large; write a smaller one, or put it in quotes if text is meant")
    return number
