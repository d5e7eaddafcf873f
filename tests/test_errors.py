from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.errors import ConfigError, DispatcherError, LoadError, Place, Problem, Source


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        pytest.param(Problem("x"), "x", id="neither place nor path"),
        pytest.param(Problem("x", "a.b"), "a.b: x", id="a path"),
        pytest.param(Problem("x", "a.b", Place("f", 2, 3)), "f:2:3: a.b: x", id="a place without its line"),
        pytest.param(Problem("x", place=Place("f", 0, 0)), "f: x", id="the file as a whole"),
        pytest.param(
            Problem("x", "a", Place("f", 2, 3, "a: b")), "f:2:3: a: x\n    a: b\n      ^", id="a line and a caret"
        ),
        pytest.param(
            Problem("\x1b[2J", "a\nb"), "a\\nb: \\x1b[2J", id="what would move a terminal's cursor is escaped"
        ),
        pytest.param(Problem("got 'redis://:secret@h'"), "got 'redis://:******@h'", id="a password in a URL is masked"),
        pytest.param(Problem("x" * 2000), "x" * 999 + "…", id="a long text is cut"),
    ],
)
def test_a_problem_prints_as_place_path_and_what(problem: Problem, text: str) -> None:
    assert str(problem) == text


@pytest.mark.parametrize(
    ("line", "column", "shown"),
    [
        pytest.param("a: b", 4, "    a: b\n       ^", id="plain"),
        pytest.param("\ta: b", 5, "    \ta: b\n    \t   ^", id="a tab keeps its width"),
        pytest.param("日本: b", 5, "    日本: b\n          ^", id="wide characters count twice"),
        pytest.param("e\u0301: b", 5, "    e\u0301: b\n       ^", id="an accent of its own counts nothing"),
        pytest.param("a: \x1b", 4, "    a: \ufffd\n       ^", id="a control character is not printed"),
        pytest.param("x" * 300 + "y", 301, "    " + "x" * 80 + "y\n    " + " " * 80 + "^", id="the end of a long line"),
        pytest.param("a: x://u:pass@h", 4, "    a: x://u:****@h\n       ^", id="a password in a URL"),
        pytest.param("y" * 300, 1, "    " + "y" * 160 + "\n    ^", id="the beginning of a long line"),
    ],
)
def test_the_caret_stands_under_the_column(line: str, column: int, shown: str) -> None:
    assert Place("f", 1, column, line).caret() == shown


def test_a_place_of_no_line_has_no_caret() -> None:
    assert Place("f", 3, 1).caret() == ""


@pytest.mark.parametrize(
    ("text", "index", "place"),
    [
        pytest.param("", 0, Place("f", 1, 1, ""), id="of an empty file"),
        pytest.param("ab\ncd\n", 4, Place("f", 2, 2, "cd"), id="LF"),
        pytest.param("ab\r\ncd\r\n", 5, Place("f", 2, 2, "cd"), id="CR and LF"),
        pytest.param("ab\rcd", 4, Place("f", 2, 2, "cd"), id="CR"),
        pytest.param("ab\u2028cd", 4, Place("f", 1, 5, "ab\u2028cd"), id="what no editor takes for a line end"),
        pytest.param("ab\n", 3, Place("f", 2, 1, ""), id="the end"),
    ],
)
def test_a_source_knows_the_place_of_each_character(text: str, index: int, place: Place) -> None:
    assert Source("f", text).place(index) == place


@given(st.text(alphabet="a\r\n\t é日"), st.data())
def test_line_and_column_lead_back_to_the_character(text: str, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(text)))

    place = Source("f", text).place(index)

    before = text[:index].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    between = text[index - 1 : index + 1] == "\r\n"  # LF of a pair is the end of the line that CR is on
    assert (place.line, place.column) == (len(before) - between, len(before[-1]) + 1 if not between else place.column)


def test_an_error_prints_all_its_problems() -> None:
    error = ConfigError([Problem("x", "a"), Problem("y", "b")])

    assert str(error) == "a: x\nb: y"
    assert error.problems == (Problem("x", "a"), Problem("y", "b"))


def test_one_problem_needs_no_list() -> None:
    assert LoadError(Problem("x")).problems == (Problem("x"),)


def test_both_errors_are_caught_as_one() -> None:
    assert issubclass(ConfigError, DispatcherError)
    assert issubclass(LoadError, DispatcherError)
