"""What can be wrong, and where: every error this package raises by itself is one of these.

Two leaves, told apart by whose fault it is: `ConfigError` (the file is wrong) and `LoadError` (what the file
names is wrong). Both carry `Problem`s, because all problems are reported at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


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
        """The source line with a caret under the column; tabs keep their width, so that the caret stays aligned."""
        if not self.source:
            return ""
        lead = "".join("\t" if char == "\t" else " " for char in self.source[: self.column - 1])
        return f"    {self.source}\n    {lead}^"


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
