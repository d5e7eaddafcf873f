from __future__ import annotations

from typing import Any

import pytest

from dispatcher.errors import ConfigError, Source
from dispatcher.yamlfile.document import Document, show_path


def document(text: str) -> Document:
    return Document(Source("f", text))


@pytest.mark.parametrize(
    ("text", "data"),
    [
        pytest.param("a: 1\nb: [x, 2.5, true, null]", {"a": 1, "b": ["x", 2.5, True, None]}, id="every kind"),
        pytest.param("a:\nb: ''\nc: ~", {"a": None, "b": "", "c": None}, id="nothing and empty text"),
        pytest.param("a: '1'\nb: \"true\"\nc: |\n  1\n", {"a": "1", "b": "true", "c": "1\n"}, id="quotes mean text"),
        pytest.param("on: no\nyes: off\ny: n", {"on": "no", "yes": "off", "y": "n"}, id="words of YAML 1.1"),
        pytest.param("a: &x [1]\nb: *x\nc: *x", {"a": [1], "b": [1], "c": [1]}, id="aliases"),
        pytest.param("&k a: 1\nb: *k", {"a": 1, "b": "a"}, id="an anchor on a key"),
        pytest.param(
            "a: &x {p: 1, q: 1}\nb: {<<: *x, q: 2}", {"a": {"p": 1, "q": 1}, "b": {"p": 1, "q": 2}}, id="merge"
        ),
        pytest.param("b: {q: 2, <<: {p: 1, q: 1}}", {"b": {"p": 1, "q": 2}}, id="a merge after the keys"),
        pytest.param("b: {<<: [{p: 1}, {p: 2, q: 2}]}", {"b": {"p": 1, "q": 2}}, id="of merged ones the first wins"),
        pytest.param(
            "a: &a {p: 1}\nb: &b {<<: *a}\nc: {<<: *b}", {"a": {"p": 1}, "b": {"p": 1}, "c": {"p": 1}}, id="chain"
        ),
        pytest.param("'<<': {p: 1}", {"<<": {"p": 1}}, id="a merge key in quotes is a key"),
        pytest.param("%YAML 1.2\n---\na: 1\n...\n", {"a": 1}, id="directive and end"),
        pytest.param("a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}, id="lines of Windows"),
        pytest.param('{"a": {"b": [1, "\\u00e9"]}}', {"a": {"b": [1, "é"]}}, id="JSON"),
    ],
)
def test_yaml_is_read_as_plain_data(text: str, data: dict[str, Any]) -> None:
    found = document(text)

    assert found.data == data
    assert found.problems == ()


def test_what_an_alias_stands_for_is_not_shared() -> None:
    data = document("a: &x [1]\nb: *x").data

    data["a"].append(2)

    assert data["b"] == [1]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        pytest.param("a: 1\na: 2", ["f:2:1: a: the same key as in line 1; keep one of them"], id="a key twice"),
        pytest.param(
            'a: 1\n"a": 2', ["f:2:1: a: the same key as in line 1; keep one of them"], id="twice, once in quotes"
        ),
        pytest.param(
            "a: {<<: {x: 1}, <<: {y: 1}}",
            ["f:1:17: a.<<: the same key as in line 1; keep one of them"],
            id="two merges",
        ),
        pytest.param(
            "1: a", ["f:1:1: a key is text, and '1' means a number; put it in quotes"], id="a number as a key"
        ),
        pytest.param("?\n: a", ["f:1:2: a key is text, and '' means nothing; put it in quotes"], id="nothing as a key"),
        pytest.param(
            "a: {.inf: 1}",
            ["f:1:5: a: '.inf' is no finite number; write a number, or put it in quotes if text is meant"],
            id="no number as a key",
        ),
        pytest.param(
            "a: &x [.nan]\nb: *x",
            ["f:1:8: a[1]: '.nan' is no finite number; write a number, or put it in quotes if text is meant"],
            id="an alias does not repeat a problem",
        ),
        pytest.param(
            "a: !x {1: 2}\nb: [!!str 1]",
            [
                "f:1:4: a: tags are not read here; remove it, or put text that starts with '!' in quotes",
                "f:1:8: a: a key is text, and '1' means a number; put it in quotes",
                "f:2:5: b[1]: tags are not read here; remove it, or put text that starts with '!' in quotes",
            ],
            id="several at once",
        ),
        pytest.param(
            "!!str a: 1",
            ["f:1:1: a key is text; put text that starts with '[', '{' or '!' in quotes"],
            id="a tag on a key",
        ),
        pytest.param(
            "a: {<<: [{}, 1]}",
            ["f:1:9: a: '<<' takes a mapping or a list of mappings, such as '<<: *defaults'"],
            id="a merge of a number",
        ),
    ],
)
def test_what_is_yaml_but_no_plain_data_is_a_problem(text: str, problems: list[str]) -> None:
    assert [str(problem).splitlines()[0] for problem in document(text).problems] == problems


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f: the file is empty; a site needs at least 'mounts:'"),
        (" \n\n", "f: the file is empty; a site needs at least 'mounts:'"),
        ("# a\n# b\n", "f: the file holds only comments; a site needs at least 'mounts:'"),
        ("---\n...\n", "f: the file holds only comments; a site needs at least 'mounts:'"),
        ("- a", "f:1:1: expected a mapping with keys such as 'mounts:', got a list\n    - a\n    ^"),
        ("\n 5", "f:2:2: expected a mapping with keys such as 'mounts:', got text\n     5\n     ^"),
        ("''", "f:1:1: expected a mapping with keys such as 'mounts:', got text\n    ''\n    ^"),
    ],
)
def test_a_file_without_a_mapping_is_no_document(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        document(text)

    assert str(caught.value) == message


TEXT = """\
a:
  b: [x, {c: 1}]
  d:
base: &base
  e: 1
f:
  <<: *base
  g: 2
"""


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        pytest.param((), (1, 1), (1, 1), id="the file"),
        pytest.param(("a",), (2, 3), (1, 1), id="a mapping"),
        pytest.param(("a", "b"), (2, 6), (2, 3), id="a list"),
        pytest.param(("a", "b", 0), (2, 7), (2, 7), id="an entry of a list"),
        pytest.param(("a", "b", 1, "c"), (2, 14), (2, 11), id="a key in a list"),
        pytest.param(("a", "d"), (3, 3), (3, 3), id="nothing stands at its key"),
        pytest.param(("f", "e"), (5, 6), (5, 3), id="what is merged stands where it is written"),
        pytest.param(("a", "z"), (1, 1), (1, 1), id="what is missing stands at the key it is missing from"),
        pytest.param(("a", "b", 9), (2, 3), (2, 3), id="an entry that is missing"),
        pytest.param(("a", "b", 0, "app"), (2, 7), (2, 7), id="a part of a text is the text"),
        pytest.param(("z",), (1, 1), (1, 1), id="missing from the file"),
    ],
)
def test_every_value_and_key_has_its_place(
    path: tuple[str | int, ...], value: tuple[int, int], key: tuple[int, int]
) -> None:
    found = document(TEXT)

    places = [found.place(path), found.place(path, key=True)]

    assert [(place.line, place.column) for place in places] == [value, key]


def test_places_count_characters_and_not_bytes() -> None:
    assert document("ä: {日: 'ö', b: 2}").place(("ä", "b")).column == 16


def test_each_scalar_is_expanded_before_its_type_is_read() -> None:
    found = Document(Source("f", "a: N\nb: 'N'\nN: [N]\n"), expand=lambda text: text.replace("N", "5"))

    assert found.data == {"a": 5, "b": "5"}
    assert [problem.what for problem in found.problems] == ["a key is text, and 'N' means a number; put it in quotes"]


DATA = {
    "middleware": ["request_id", {"rate_limit": {"limits": ["x"]}}, "rate_limit", 5],
    "mounts": {"/a.b": {"middleware": [{"static": None}]}},
    "list": [[1]],
}


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ((), ""),
        (("mounts", "/a.b"), "mounts./a.b"),
        (("middleware", 0), "middleware.request_id"),
        (("middleware", 1, "rate_limit", "limits", 0), "middleware.rate_limit[1].limits[1]"),
        (("middleware", 2), "middleware.rate_limit[2]"),
        (("middleware", 3), "middleware[4]"),
        (("mounts", "/a.b", "middleware", 0, "static", "root"), "mounts./a.b.middleware.static.root"),
        (("list", 0, 0), "list[1][1]"),
        (("list", 7, "x"), "list[8].x"),
    ],
)
def test_a_path_is_shown_by_names(path: tuple[str | int, ...], shown: str) -> None:
    assert show_path(DATA, path) == shown
