"""The text ``package.module:attribute(call)`` → what to import, which attribute to take and how to call it.

Nothing is imported or evaluated here: arguments are literals (text, numbers, true/false/none, lists, mappings), read
from the syntax tree as `ast.literal_eval` reads them.
"""

from __future__ import annotations

import ast
import keyword
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

MAX_LENGTH: Final = 1000
Call = tuple[tuple[Any, ...], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ImportString:
    """`module` to import, `attributes` to follow from it, and the positional and keyword arguments to call with."""

    module: str
    attributes: tuple[str, ...]
    call: Call | None = None

    def __str__(self) -> str:
        target = f"{self.module}:{'.'.join(self.attributes)}"
        if self.call is None:
            return target
        arguments = [repr(value) for value in self.call[0]]
        return f"{target}({', '.join(arguments + [f'{name}={value!r}' for name, value in self.call[1].items()])})"


def parse(text: str) -> ImportString:
    """Read an import string; ValueError says what is wrong with the text and what to write instead."""
    if len(text) > MAX_LENGTH:
        raise ValueError(f"an import string has at most {MAX_LENGTH} characters, write 'package.module:attribute'")
    module, colon, target = text.strip().partition(":")
    if not module:
        raise ValueError(f"{text!r} names no module, write 'package.module:attribute'")
    _check_module(module)
    if not colon:
        raise ValueError(f"{text!r} names no attribute, write {_with_attribute(module)!r}")
    path, bracket, rest = target.partition("(")
    if not path.strip():
        raise ValueError(f"{text!r} names no attribute after the colon, write {module + ':app'!r}")
    attributes = tuple(path.strip().split("."))
    for name in attributes:
        _check_name(name, f"attribute {path.strip()!r}")
    return ImportString(module, attributes, _read_call(path + bracket + rest) if bracket else None)


def _with_attribute(module: str) -> str:
    """``package.module:app`` for a module alone; a dotted path that ends in a usual name is split before it."""
    head, dot, last = module.rpartition(".")
    if dot and last in ("app", "application", "create_app", "make_app", "wsgi_app"):
        return f"{head}:{last}"
    return f"{module}:app"


def _check_module(module: str) -> None:
    if "/" in module or "\\" in module or module.endswith(".py"):
        dotted = module.removesuffix(".py").replace("\\", "/").strip("./").replace("/", ".")
        raise ValueError(f"{module!r} is a file, write the module with dots: {dotted + ':app'!r}")
    if module.startswith("."):
        raise ValueError(f"{module!r} is relative, write the module's full name")
    for name in module.split("."):
        _check_name(name, f"module {module!r}")


def _check_name(name: str, where: str) -> None:
    if not name:
        raise ValueError(f"{where} has an empty part, write names with single dots between them")
    if keyword.iskeyword(name):
        raise ValueError(f"{where} holds {name!r}, a word that Python keeps for itself")
    if not name.isidentifier():
        raise ValueError(f"{where} holds {name!r}, which is no Python name")


def _read_call(text: str) -> Call:
    try:
        with warnings.catch_warnings(action="ignore"):  # Python warns about '\\d' in a text; that is no fault here
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(f"{text!r} is no call that Python can read, check brackets and quotes") from None
    if not isinstance(tree, ast.Call) or isinstance(tree.func, ast.Call):
        raise ValueError(f"{text!r} is more than one call, write one call and nothing after it")  # noqa: TRY004  # the text is wrong, not its type
    names = [argument.arg for argument in tree.keywords if argument.arg is not None]
    if len(names) != len(tree.keywords) or any(isinstance(argument, ast.Starred) for argument in tree.args):
        raise ValueError(f"{text!r} unpacks arguments with '*', write each of them")
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{text!r} gives {twice[0]!r} twice")
    values = tuple(_literal(argument) for argument in tree.args)
    return values, dict(zip(names, (_literal(argument.value) for argument in tree.keywords), strict=True))


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        source = ast.unparse(node)
        raise ValueError(
            f"{source!r} is no literal, arguments are quoted text, numbers, True, False, None, lists or dicts"
        ) from None
