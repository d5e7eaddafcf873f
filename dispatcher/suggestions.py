"""The word that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

_LONGEST: Final = 60  # characters; no name is longer, and comparing takes time by the square


def closest(word: str, known: Iterable[str]) -> str:
    """``, did you mean 'x'?``, or nothing; case and ``-`` for ``_`` are no difference."""
    folded = {_fold(name): name for name in known}
    close = difflib.get_close_matches(_fold(word), folded, n=1) if len(word) <= _LONGEST else []
    return f", did you mean {folded[close[0]]!r}?" if close else ""


def suggest(word: str, known: Iterable[str], *, also: str = "", many: str = "") -> str:
    """As `closest`, or else the words that are known and what `also` could be written, or `many` in their place."""
    names = sorted(known)
    if meant := closest(word, names):
        return meant
    listed = many or (f"known are {', '.join(names)}" if names else "none is known here")
    return "; " + ", ".join(part for part in (listed, also) if part)


def _fold(word: str) -> str:
    return word.lower().replace("-", "_")
