"""What can be wrong, and where: every error this package raises by itself is one of these.

Two leaves, told apart by whose fault it is: `ConfigError` (the file is wrong) and `LoadError` (what the file
names is wrong). Both carry `Problem`s, because all problems are reported at once.
"""

from __future__ import annotations

import bisect
import re
import unicodedata
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_PASSWORD: Final = re.compile(r"(://[^\s/:@]{0,100}:)([^\s@]{1,200})@")  # in a URL
_LONGEST: Final = 1000  # characters of a message
_WIDEST: Final = 160  # characters; of a longer line only what is around the caret is shown


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: `file` as the user named it, `line` and `column` from 1, and that line's text.

    Line 0 is the file as a whole.
    """

    file: str
    line: int
    column: int
    source: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    def caret(self) -> str:
        """The source line with a caret under the column, however wide the characters before it are."""
        if not self.source:
            return ""
        start = max(0, self.column - 1 - _WIDEST // 2) if len(self.source) > _WIDEST else 0
        around = max(0, start - 2 * _WIDEST)  # a password that is shown in part is masked as a whole
        shown = _mask(self.source[around : start + 3 * _WIDEST])[start - around :][:_WIDEST]
        lead = "".join(_blank(char) for char in shown[: self.column - 1 - start])
        return f"    {_printable(shown)}\n    {lead}^"


def _cut(text: str) -> str:
    text = _mask(text[: 2 * _LONGEST])
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text)


def _mask(text: str) -> str:
    # Messages end up in logs; a password keeps its length, so that a caret below it stays in its place.
    return _PASSWORD.sub(lambda found: f"{found[1]}{'*' * len(found[2])}@", text)


def _printable(text: str) -> str:
    # A terminal sequence in a config must not move the cursor of whoever reads the message.
    return "".join(char if char.isprintable() or char == "\t" else "\ufffd" for char in text)


def _blank(char: str) -> str:
    if char == "\t":
        return "\t"
    if unicodedata.combining(char):
        return ""
    return "  " if unicodedata.east_asian_width(char) in "WF" else " "


class Source:
    """The text of a file, and the place of each character in it; lines end with CR, LF or both, as in an editor."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self._starts = array("L", [0])
        self._starts.extend(found.end() for found in _LINE_END.finditer(text))
        self._lines: dict[int, str] = {}  # so that the places of one long line share its text

    def place(self, index: int) -> Place:
        """The place of the character at `index`, counted from 0."""
        line = bisect.bisect_right(self._starts, index) - 1
        start = self._starts[line]
        if line not in self._lines:
            end = self._starts[line + 1] if line + 1 < len(self._starts) else len(self.text)
            self._lines[line] = self.text[start:end].rstrip("\r\n")
        return Place(self.file, line + 1, index - start + 1, self._lines[line])


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: `what`, with its way out, at `path` (``mounts./todos.app``) and `place`."""

    what: str
    path: str = ""
    place: Place | None = None

    def __post_init__(self) -> None:
        # A key or value of a megabyte is quoted in part.
        object.__setattr__(self, "what", _cut(self.what))
        object.__setattr__(self, "path", _cut(self.path).replace("\n", "\\n"))

    def __str__(self) -> str:
        head = ": ".join(part for part in (str(self.place or ""), self.path, self.what) if part)
        caret = self.place.caret() if self.place else ""
        return f"{head}\n{caret}" if caret else head


class DispatcherError(Exception):
    """Something is wrong that the user can put right; `problems` holds at least one problem."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__(*self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class ConfigError(DispatcherError):
    """The config file is wrong."""


class LoadError(DispatcherError):
    """What the config file names cannot be loaded; an app's own exception is the `__cause__`."""
