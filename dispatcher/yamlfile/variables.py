"""`${VAR}` in a text → the variable's value, from the environment or else from the `.env` beside the config.

==================  ==========================================================================
``${VAR}``          the value; not set is an error
``${VAR:-text}``    `text` when VAR is not set or empty
``${VAR:?text}``    an error that says `text` when VAR is not set or empty
``$${``             a literal ``${``
==================  ==========================================================================

`os.environ` is only read here. What `.env` holds is in `Variables.dotenv`.
"""

from __future__ import annotations

import io
import re
from collections import ChainMap
from collections.abc import Mapping
from typing import Final

from dotenv.parser import parse_stream
from dotenv.variables import parse_variables

from dispatcher.errors import Problem, Source

MAX_EXPANDED: Final = 1_000_000  # characters; ${PATH} written 100,000 times would otherwise make gigabytes

_REFERENCE: Final = re.compile(r"\$(?P<literal>\$\{)|\$\{(?P<inside>[^}]*)\}|\$\{")
_INSIDE: Final = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::(?P<form>[-?])(?P<text>.*))?", re.DOTALL)


class _Budget:
    """How much text variables may fill in over one file."""

    def __init__(self) -> None:
        self._left = MAX_EXPANDED

    def take(self, text: str) -> str:
        self._left -= len(text)
        if self._left < 0:
            raise ValueError(f"variables fill in more than {MAX_EXPANDED:,} characters here; use fewer or shorter ones")
        return text


class Variables:
    """The variables of one reading of one config; `environ` wins over `dotenv`."""

    def __init__(self, environ: Mapping[str, str], dotenv: Mapping[str, str]) -> None:
        self.dotenv = dotenv
        self._values = {**dotenv, **environ}
        self._budget = _Budget()

    def expand(self, text: str) -> str:
        """`text` with each reference replaced; ValueError with the way out for one that has no value."""
        return _REFERENCE.sub(self._replace, text) if "${" in text else text

    def _replace(self, match: re.Match[str]) -> str:
        if match["literal"]:
            return "${"
        if match["inside"] is None:
            raise ValueError("'${' without '}'; close it, or write '$${' for a literal '${'")
        return self._budget.take(self._value(match["inside"]))

    def _value(self, inside: str) -> str:
        match = _INSIDE.fullmatch(inside)
        if match is None or "${" in inside:
            known = "known are ${NAME}, ${NAME:-default} and ${NAME:?message}; '$${' is a literal '${'"
            raise ValueError(f"{_short('${' + inside + '}')!r} is no variable: {known}")
        name, form, text = match["name"], match["form"], match["text"]
        value = self._values.get(name, "")
        if value or (form is None and name in self._values):
            return _checked(name, value)
        if form == "-":
            return text or ""
        state = "empty" if name in self._values else "not set"
        way_out = f": {_short(text)}" if text else f"; set it, or write ${{{name}:-default}}"
        raise ValueError(f"the variable {name!r} is {state}{way_out}")


def _checked(name: str, value: str) -> str:
    # os.environ holds bytes that are not UTF-8 as lone surrogates, which no file or response can be written with.
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the value of the variable {name!r} is not UTF-8; set it to text") from None
    return value


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:79] + "…"


def read_dotenv(source: Source, environ: Mapping[str, str]) -> tuple[dict[str, str], list[Problem]]:
    """The variables that a `.env` file sets, with ``${VAR}`` in its values filled in, and the lines that set none."""
    values: dict[str, str] = {}
    problems: list[Problem] = []
    known = ChainMap(dict(environ), values)
    budget = _Budget()
    position = 0
    for binding in parse_stream(io.StringIO(source.text, newline="")):
        written = binding.original.string
        start = position + len(written) - len(written.lstrip())
        if binding.error:
            problems.append(Problem("not a line of a .env file, write NAME=value", place=source.place(start)))
        elif binding.key is not None and binding.value is not None:
            try:
                atoms = parse_variables(binding.value)
                values[binding.key] = "".join(budget.take(atom.resolve(known)) for atom in atoms)
            except ValueError as error:
                return values, [*problems, Problem(str(error), place=source.place(start))]
        position += len(written)
    return values, problems
