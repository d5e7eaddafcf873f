"""What libyaml says of a text that is no YAML → the same in plain words, at the character that is to be changed."""

from __future__ import annotations

from typing import Final

import yaml


class YAMLSyntaxError(ValueError):
    """The text is not YAML that is read here: `what`, with its way out, at the character `index`."""

    def __init__(self, index: int, what: str) -> None:
        super().__init__(what)
        self.index = index
        self.what = what


_ESCAPE: Final = ("an unknown escape in double quotes; double the backslash, or use single quotes", False)
_TAB: Final = ("a tab cannot indent in YAML, use spaces", False)

# libyaml's words → ours, and whether the place is where the construct began ("{line}" is the line of its beginning).
_WORDS: Final[dict[str, tuple[str, bool]]] = {
    "mapping values are not allowed in this context": (
        "a ':' that cannot stand here; check the indentation and the line before, or put the whole value in quotes",
        False,
    ),
    "found unexpected end of stream": ("the quote that opens here is never closed", True),
    "found unexpected document indicator": ("the quote that opens here is never closed", True),
    "found unknown escape character": _ESCAPE,
    "did not find expected hexdecimal number": _ESCAPE,
    "found invalid Unicode character escape code": _ESCAPE,
    "found a tab character that violates indentation": _TAB,
    "found a tab character where an indentation space is expected": _TAB,
    "found incompatible YAML document": ("YAML 1.2 is read here; remove this line", False),
    "did not find expected '-' indicator": (
        "this line does not fit the list that starts in line {line}, check the indentation",
        False,
    ),
    "did not find expected ',' or ']'": ("the list that opens here with '[' is not closed, expected ',' or ']'", True),
    "did not find expected ',' or '}'": (
        "the mapping that opens here with '{' is not closed, expected ',' or '}'; text that holds braces needs quotes",
        True,
    ),
    "did not find expected node content": (
        "expected a value here; text that starts with this character needs quotes",
        False,
    ),
    "found undefined tag handle": ("tags are not read here; text that starts with '!' needs quotes", False),
    "found unknown directive name": ("a line that starts with '%' is no setting; remove it", True),
    "did not find expected <document start>": ("text after the end of the document; remove '...'", False),
    "block sequence entries are not allowed in this context": (
        "a list entry cannot stand here: put '- ' on a line of its own, or put the value in quotes",
        False,
    ),
    "did not find expected alphabetic or numeric character": (
        "text that starts with '*' or '&' needs quotes (without them it is an alias or an anchor)",
        True,
    ),
    "could not find expected ':'": ("this line has no ': ' after its key, or a quote in it is not closed", True),
    "did not find expected comment or line break": (
        "after '|' or '>' the text starts on the next line, or quotes are meant",
        False,
    ),
}
_OTHER: Final = "not YAML ({words}); check indentation, quotes and brackets around here"


def explain(error: yaml.YAMLError, text: str) -> YAMLSyntaxError:
    """The error of the scanner or parser, in plain words."""
    words = str(getattr(error, "problem", None) or error)
    here = _index(getattr(error, "problem_mark", None), 0)
    began = _index(getattr(error, "context_mark", None), here)
    if words == "found character that cannot start any token":
        return YAMLSyntaxError(here, _bad_start(text[here : here + 1]))
    if here >= len(text.rstrip()) and words == "did not find expected node content":
        return YAMLSyntaxError(max(0, len(text.rstrip()) - 1), "the file ends here, with a '[' or '{' not closed")
    if words == "did not find expected key":
        return YAMLSyntaxError(here, _no_key(text, here, began))
    what, at_beginning = _WORDS.get(words, (_OTHER, False))
    what = what.replace("{words}", words).replace("{line}", str(_line(text, began)))
    return YAMLSyntaxError(min(began if at_beginning else here, len(text)), what)


def _index(mark: yaml.Mark | None, default: int) -> int:
    return default if mark is None else mark.index


def _line(text: str, index: int) -> int:
    return text.count("\n", 0, index) + 1


def _bad_start(char: str) -> str:
    if char == "\t":
        return _TAB[0]
    return f"text that starts with {char!r} needs quotes"


def _no_key(text: str, here: int, began: int) -> str:
    if text.startswith(":", here):
        return "a key is missing before this ':', write one"
    before = text[text.rfind("\n", 0, here) + 1 : here]
    if before.strip():
        return "text after the end of a value; remove it, or put the whole value in quotes"
    return f"this line does not fit the block that starts in line {_line(text, began)}, check the indentation"
