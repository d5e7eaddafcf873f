"""A file that a person wrote → its text, or one clear problem; the file is read once, never made or changed."""

from __future__ import annotations

import codecs
import stat
from pathlib import Path
from typing import Final

from dispatcher.errors import ConfigError, Place, Problem, Source

MAX_BYTES: Final = 1_000_000

_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_source(file: str | Path) -> Source:
    """The text of a file of at most 1 MB in UTF-8; ConfigError says why there is none."""
    return decode(file, read_bytes(file))


def decode(file: str | Path, data: bytes) -> Source:
    """What was read from `file` as text; ConfigError when it is not UTF-8."""
    if data.startswith(_UTF16) or b"\0" in data[:2]:
        raise _unreadable(file, "not UTF-8 but UTF-16, save the file as UTF-8")
    try:
        return Source(str(file), data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode()  # without the byte order mark: `object` is what follows it
        place = Source(str(file), before + "\ufffd").place(len(before))
        what = f"not UTF-8 (the byte 0x{error.object[error.start]:02X}), save the file as UTF-8"
        raise ConfigError(Problem(what, place=place)) from None


def read_bytes(file: str | Path) -> bytes:
    """The bytes of an ordinary file of at most 1 MB; ConfigError says why there are none."""
    try:
        path = Path(file)
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise _unreadable(file, "this is a folder, name the file in it")
        if not stat.S_ISREG(mode):
            raise _unreadable(file, "this is not an ordinary file, name one that can be read again")
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _unreadable(file, "no such file; name another with --config or DISPATCHER_CONFIG") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise _unreadable(file, f"cannot be read: {why}") from None
    if len(data) > MAX_BYTES:
        raise _unreadable(file, f"larger than {MAX_BYTES:,} bytes, which no config is")
    return data


def _unreadable(file: str | Path, what: str) -> ConfigError:
    return ConfigError(Problem(what, place=Place(str(file), 0, 0)))
