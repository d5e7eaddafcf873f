"""What can be wrong, and where: every error this package raises by itself is one of these.

Two leaves, told apart by whose fault it is: `ConfigError` (the file is wrong) and `LoadError` (what the file
names is wrong). Both carry `Problem`s, because all problems are reported at once.
"""

from __future__ import annotations

import bisect
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_BEFORE, _AFTER = 80, 40  # of a long line only so many characters around the caret are shown


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: `file` as the user named it, `line` and `column` from 1, and that line's text."""

    file: str
    line: int
    column: int
    source: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def caret(self) -> str:
        """The source line with a caret under the column, however wide the characters before it are."""
        if not self.source:
            return ""
        start = max(0, self.column - 1 - _BEFORE)
        shown = self.source[start : self.column - 1 + _AFTER]
        lead = "".join(_blank(char) for char in shown[: self.column - 1 - start])
        return f"    {_printable(shown)}\n    {lead}^"


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
        self._starts = [0, *(found.end() for found in _LINE_END.finditer(text))]

    def place(self, index: int) -> Place:
        """The place of the character at `index`, counted from 0."""
        line = bisect.bisect_right(self._starts, index) - 1
        start = self._starts[line]
        end = self._starts[line + 1] if line + 1 < len(self._starts) else len(self.text)
        return Place(self.file, line + 1, index - start + 1, self.text[start:end].rstrip("\r\n"))


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: `what`, with its way out, at `path` (``mounts./todos.app``) and `place`."""

    what: str
    path: str = ""
    place: Place | None = None

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
