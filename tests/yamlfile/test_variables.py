from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.errors import Source
from dispatcher.yamlfile.variables import MAX_EXPANDED, Variables, read_dotenv

ENVIRON = {"A": "one", "B_2": "two", "EMPTY": "", "TRICKY": "${A}: [x]", "BYTES": "\udcff"}
KNOWN = "known are ${NAME}, ${NAME:-default} and ${NAME:?message}; '$${' is a literal '${'"


def expand(text: str) -> str:
    return Variables(ENVIRON, {"A": "from .env", "C": "three"}).expand(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        pytest.param("plain", "plain", id="no variable"),
        pytest.param("${A}", "one", id="the environment wins"),
        pytest.param("${C}", "three", id="the .env file gives what the environment does not"),
        pytest.param("<${A}-${B_2}>", "<one-two>", id="several in a text"),
        pytest.param("${EMPTY}", "", id="empty is a value"),
        pytest.param("${NOT_SET:-x y}", "x y", id="a default"),
        pytest.param("${EMPTY:-x}", "x", id="a default for an empty one"),
        pytest.param("${NOT_SET:-}", "", id="an empty default"),
        pytest.param("${NOT_SET:-a:-b\n}", "a:-b\n", id="a default with signs and lines"),
        pytest.param("${A:-x}", "one", id="a default that is not needed"),
        pytest.param("${A:?x}", "one", id="a message that is not needed"),
        pytest.param("$${A}", "${A}", id="a doubled sign is literal"),
        pytest.param("$$${A}", "$${A}", id="a sign before a literal"),
        pytest.param("$A $ $$ {A}", "$A $ $$ {A}", id="signs alone are text"),
        pytest.param("${TRICKY}", "${A}: [x]", id="a value is not read again"),
    ],
)
def test_variables_are_filled_in(text: str, meant: str) -> None:
    assert expand(text) == meant


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${NOT_SET}", "the variable 'NOT_SET' is not set; set it, or write ${NOT_SET:-default}"),
        ("${EMPTY:?}", "the variable 'EMPTY' is empty; set it, or write ${EMPTY:-default}"),
        ("${NOT_SET:?ask Ada}", "the variable 'NOT_SET' is not set: ask Ada"),
        ("${EMPTY:?ask Ada}", "the variable 'EMPTY' is empty: ask Ada"),
        ("x ${A", "'${' without '}'; close it, or write '$${' for a literal '${'"),
        ("${}", f"'${{}}' is no variable: {KNOWN}"),
        ("${1A}", f"'${{1A}}' is no variable: {KNOWN}"),
        ("${A-x}", f"'${{A-x}}' is no variable: {KNOWN}"),
        ("${A:+x}", f"'${{A:+x}}' is no variable: {KNOWN}"),
        ("${ A }", f"'${{ A }}' is no variable: {KNOWN}"),
        ("${NOT_SET:-${A}}", f"'${{NOT_SET:-${{A}}' is no variable: {KNOWN}"),
        ("${" + "é" * 100 + "}", "'${" + "é" * 77 + f"…' is no variable: {KNOWN}"),
        ("${BYTES}", "the value of the variable 'BYTES' is not UTF-8; set it to text"),
    ],
)
def test_what_cannot_be_filled_in_is_refused_with_a_way_out(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole text is compared
        expand(text)

    assert str(caught.value) == message


def test_one_file_fills_in_only_so_much_text() -> None:
    variables = Variables({"BIG": "x" * (MAX_EXPANDED // 2)}, {})
    variables.expand("${BIG}")
    variables.expand("${BIG}")

    with pytest.raises(
        ValueError, match=r"^variables fill in more than 1,000,000 characters here; use fewer or shorter ones$"
    ):
        variables.expand("${BIG}")


@given(st.text(alphabet="${}:-?A\n "))
def test_a_text_with_doubled_signs_stays_as_it_is(text: str) -> None:
    assert expand(text.replace("${", "$${")) == text


@pytest.mark.parametrize(
    ("text", "values"),
    [
        pytest.param("", {}, id="nothing"),
        pytest.param("# a\n\nA=1\n  export B = 2 # b\n", {"A": "1", "B": "2"}, id="comments and export"),
        pytest.param("A='x # y'\nB=\"x\\ny\"\n", {"A": "x # y", "B": "x\ny"}, id="quotes"),
        pytest.param("A=\nB\n", {"A": ""}, id="a name alone sets nothing"),
        pytest.param("A=1\r\nB=2", {"A": "1", "B": "2"}, id="lines of Windows"),
        pytest.param(
            "A=${HOME}/x\nB=${A}/y\nC=${NO:-z}\n", {"A": "/root/x", "B": "/root/x/y", "C": "z"}, id="variables"
        ),
        pytest.param("HOME=/tmp\nA=${HOME}\n", {"HOME": "/tmp", "A": "/root"}, id="the environment wins there too"),
    ],
)
def test_a_dotenv_file_is_read(text: str, values: dict[str, str]) -> None:
    assert read_dotenv(Source(".env", text), {"HOME": "/root"}) == (values, [])


def test_each_wrong_line_of_a_dotenv_file_is_a_problem() -> None:
    values, problems = read_dotenv(Source(".env", "A=1\n\n  'B=2\nC=3\n=4\n"), {})

    assert values == {"A": "1", "C": "3"}
    assert [str(problem) for problem in problems] == [
        ".env:3:3: not a line of a .env file, write NAME=value\n      'B=2\n      ^",
        ".env:5:1: not a line of a .env file, write NAME=value\n    =4\n    ^",
    ]


def test_a_dotenv_file_that_doubles_itself_ends() -> None:
    lines = ["A0=xxxxxxxxxx", *(f"A{number}=${{A{number - 1}}}${{A{number - 1}}}" for number in range(1, 60))]

    values, problems = read_dotenv(Source(".env", "\n".join(lines)), {})

    assert len(values) < 20
    assert [problem.what for problem in problems] == [
        "variables fill in more than 1,000,000 characters here; use fewer or shorter ones"
    ]
