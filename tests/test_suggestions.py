from __future__ import annotations

import pytest

from dispatcher.suggestions import closest, suggest

NAMES = ["rate_limit", "static", "Mounts"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("rate_limt", ", did you mean 'rate_limit'?"),
        ("rate-limit", ", did you mean 'rate_limit'?"),
        ("RATE_LIMIT", ", did you mean 'rate_limit'?"),
        ("mounts", ", did you mean 'Mounts'?"),
        ("gzip", ""),
        ("", ""),
        ("rate_limit" * 10, ""),
    ],
)
def test_a_close_word_is_suggested(word: str, meant: str) -> None:
    assert closest(word, NAMES) == meant


def test_without_a_close_word_all_are_named() -> None:
    assert suggest("gzip", NAMES) == "; known are Mounts, rate_limit, static"
    assert suggest("gzip", NAMES, also="or your own") == "; known are Mounts, rate_limit, static, or your own"


def test_too_many_words_are_not_named() -> None:
    assert suggest("gzip", NAMES, many="see the manual") == "; see the manual"


def test_where_nothing_is_known_that_is_said() -> None:
    assert suggest("gzip", []) == "; none is known here"
