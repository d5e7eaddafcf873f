"""The kinds of value that YAML options share: sizes, durations and paths, as types for pydantic models.

A relative path is resolved against the folder of the config file, which comes in as the validation context
``{"site": Site}``; so a middleware's options need to know nothing else of the config.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

_BYTES: Final = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_SECONDS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_MAX_BYTES: Final = 2**63
_MAX_SECONDS: Final = 10**9  # 31 years; the clocks of the system take no timeout of more than a few hundred
_NUMBER_AND_UNIT: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")


@dataclass(frozen=True, slots=True)
class Site:
    """The place a config belongs to: `root`, the folder of the config file, and `runtime`, the folder that the
    site's processes share (made on first use, not by reading a config)."""

    root: Path
    runtime: Path


def read_size(value: object) -> int:
    """Bytes from ``50MB`` (10⁶), ``50MiB`` (2²⁰), ``64KB`` or a whole number; ValueError with the notation if not."""
    number, unit = _split(value)
    size = number * _BYTES.get(unit.upper(), math.nan)
    if not (size < _MAX_BYTES and size == int(size)):
        raise PydanticCustomError("size", "expected a size such as 50MB, 64KiB or a number of bytes")
    return int(size)


def read_duration(value: object) -> float:
    """Seconds from ``250ms``, ``10s``, ``5m``, ``1h``, ``2d`` or a plain number."""
    number, unit = _split(value)
    seconds = number * _SECONDS.get(unit, math.nan)
    if not seconds < _MAX_SECONDS:
        raise PydanticCustomError("duration", "expected a duration such as 250ms, 10s, 5m, 1h or a number of seconds")
    return seconds


def _split(value: object) -> tuple[float, str]:
    """Number and unit; what is neither gives NaN, which no comparison holds for."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan, ""
    match = _NUMBER_AND_UNIT.fullmatch(str(value).strip())
    return (float(match[1]), match[2]) if match else (math.nan, "")


def _site_path(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise PydanticCustomError("path", "expected a path such as logs/app.log")
    site: Site | None = (info.context or {}).get("site")
    try:
        return below(site.root if site else Path(), value)
    except ValueError as error:
        raise PydanticCustomError("path", "{what}", {"what": str(error)}) from None


def below(root: Path, path: str | Path) -> Path:
    """`path` as it stands in the config, starting at `root` if it is relative; ``~`` is the user's home folder."""
    try:
        return root / Path(path).expanduser()
    except RuntimeError:
        raise ValueError(f"no home folder is known for {Path(path).parts[0]!r}, write the whole path") from None


_SIZE_SCHEMA: Final[dict[str, Any]] = {"type": ["string", "integer"], "examples": ["50MB", "64KiB", 1000000]}
_DURATION_SCHEMA: Final[dict[str, Any]] = {"type": ["string", "number"], "examples": ["250ms", "10s", "5m", 1.5]}

Size = Annotated[int, BeforeValidator(read_size), WithJsonSchema(_SIZE_SCHEMA)]
Duration = Annotated[float, BeforeValidator(read_duration), WithJsonSchema(_DURATION_SCHEMA)]
SitePath = Annotated[Path, PlainValidator(_site_path), WithJsonSchema({"type": "string"})]
