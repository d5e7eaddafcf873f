from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.importstring import ImportString, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("app:app", ImportString("app", ("app",)), id="module and attribute"),
        pytest.param("a.b.c:x.y", ImportString("a.b.c", ("x", "y")), id="dotted module and attribute"),
        pytest.param(" a:b ", ImportString("a", ("b",)), id="spaces around it are dropped"),
        pytest.param("café:büro", ImportString("café", ("büro",)), id="names may hold any letter"),
        pytest.param("a:f()", ImportString("a", ("f",), ((), {})), id="a call without arguments"),
        pytest.param("a:K.f('x', 2)", ImportString("a", ("K", "f"), (("x", 2), {})), id="positional arguments"),
        pytest.param("a:f(debug=True)", ImportString("a", ("f",), ((), {"debug": True})), id="keyword arguments"),
        pytest.param("a:f(':', '(')", ImportString("a", ("f",), ((":", "("), {})), id="colon and bracket in a text"),
        pytest.param(
            "a:f([1, -2.5], {'k': None})", ImportString("a", ("f",), (([1, -2.5], {"k": None}), {})), id="nested"
        ),
    ],
)
def test_an_import_string_is_split_into_its_parts(text: str, expected: ImportString) -> None:
    assert parse(text) == expected


WRONG = [
    ("", "'' names no module, write 'package.module:attribute'"),
    ("todos", "'todos' names no attribute, write 'todos:app'"),
    ("apps.todos.create_app", "'apps.todos.create_app' names no attribute, write 'apps.todos:create_app'"),
    ("todos:", "'todos:' names no attribute after the colon, write 'todos:app'"),
    ("todos:()", "'todos:()' names no attribute after the colon, write 'todos:app'"),
    (":app", "':app' names no module, write 'package.module:attribute'"),
    ("apps/todos.py:app", "'apps/todos.py' is a file, write the module with dots: 'apps.todos:app'"),
    ("./todos.py", "'./todos.py' is a file, write the module with dots: 'todos:app'"),
    (".todos:app", "'.todos' is relative, write the module's full name"),
    ("a..b:app", "module 'a..b' has an empty part, write names with single dots between them"),
    ("my-app:app", "module 'my-app' holds 'my-app', which is no Python name"),
    ("a.class:app", "module 'a.class' holds 'class', a word that Python keeps for itself"),
    ("a:b-c", "attribute 'b-c' holds 'b-c', which is no Python name"),
    ("a:b.", "attribute 'b.' has an empty part, write names with single dots between them"),
    ("a:b:c", "attribute 'b:c' holds 'b:c', which is no Python name"),
    ("a:f(", "'f(' is no call that Python can read, check brackets and quotes"),
    ("a:f(x='y)", '"f(x=\'y)" is no call that Python can read, check brackets and quotes'),
    ("a:f()()", "'f()()' is more than one call, write one call and nothing after it"),
    ("a:f().g", "'f().g' is more than one call, write one call and nothing after it"),
    ("a:f(*[1])", "'f(*[1])' unpacks arguments with '*', write each of them"),
    ("a:f(**{'x': 1})", "\"f(**{'x': 1})\" unpacks arguments with '*', write each of them"),
    ("a:f(x=1, x=2)", "'f(x=1, x=2)' gives 'x' twice"),
    (
        "a:f(open('x'))",
        "\"open('x')\" is no literal, arguments are quoted text, numbers, True, False, None, lists or dicts",
    ),
    ("a:f(b)", "'b' is no literal, arguments are quoted text, numbers, True, False, None, lists or dicts"),
    ("a:f(2**99)", "'2 ** 99' is no literal, arguments are quoted text, numbers, True, False, None, lists or dicts"),
    ("a:" + "b" * 1000, "an import string has at most 1000 characters, write 'package.module:attribute'"),
    ("a:f(" + "[" * 500 + ")", "'f(" + "[" * 500 + ")' is no call that Python can read, check brackets and quotes"),
]


@pytest.mark.parametrize(("text", "message"), [pytest.param(*row, id=row[0][:20]) for row in WRONG])
def test_a_wrong_import_string_is_refused_with_a_way_out(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse(text)


LITERALS = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=20), st.lists, max_leaves=5)


@given(st.lists(LITERALS, max_size=3), st.dictionaries(st.sampled_from(["x", "y"]), LITERALS))
def test_what_is_printed_is_read_back_as_the_same(args: list[Any], kwargs: dict[str, Any]) -> None:
    written = ImportString("a.b", ("f",), (tuple(args), kwargs))

    assert len(str(written)) > 1000 or parse(str(written)) == written


def test_without_a_call_it_is_printed_as_it_was_written() -> None:
    assert str(parse("a.b:c.d")) == "a.b:c.d"


@given(st.text())
def test_any_text_is_read_or_refused_with_a_value_error(text: str) -> None:
    with suppress(ValueError):
        assert parse(text).attributes
