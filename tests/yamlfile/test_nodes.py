from __future__ import annotations

import pytest

from dispatcher.yamlfile.nodes import MAX_DEPTH, MAX_NODES, ListNode, MapNode, Node, ScalarNode, compose
from dispatcher.yamlfile.syntax import YAMLSyntaxError

TOO_DEEP = f"more than {MAX_DEPTH} levels deep, with what aliases stand for; nest less"
TOO_MANY = "more than 20,000 values, with what aliases stand for; make the file smaller"


def plain(node: Node | None) -> object:
    """The tree as lists and texts; mappings as lists of pairs."""
    match node:
        case ScalarNode():
            return node.text
        case ListNode():
            return [plain(item) for item in node.items]
        case MapNode():
            return [(plain(key), plain(value)) for key, value in node.pairs()]
    return None


def test_a_text_becomes_a_tree_as_written() -> None:
    root = compose("a: &x [1, '2']\na: *x\n<<: {b: }\n")

    assert plain(root) == [("a", ["1", "2"]), ("a", ["1", "2"]), ("<<", [("b", "")])]


def test_nothing_has_no_tree() -> None:
    assert compose("# only a comment\n") is None


def test_only_text_without_quotes_is_plain() -> None:
    root = compose("[a, 'b', \"c\", !x d]")

    assert isinstance(root, ListNode)
    assert [(item.text, item.plain, item.tag) for item in root.items if isinstance(item, ScalarNode)] == [
        ("a", True, None),
        ("b", False, None),
        ("c", False, None),
        ("d", False, "!x"),
    ]


def test_a_node_weighs_what_its_aliases_stand_for() -> None:
    root = compose("- &a [1, 2]\n- [*a, *a]\n")

    assert isinstance(root, ListNode)
    assert [item.weight for item in root.items] == [3, 7]
    assert (root.weight, root.height) == (11, 3)


def list_of(count: int) -> str:
    return "[" + ",".join("1" * count) + "]"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * MAX_DEPTH + "]" * MAX_DEPTH, id="levels"),
        pytest.param("- &a " + "[" * 20 + "]" * 20 + "\n- " + "[" * 29 + "*a" + "]" * 29, id="levels by an alias"),
        pytest.param(list_of(MAX_NODES - 1), id="values"),
        pytest.param(f"- &a {list_of(9_998)}\n- *a\n- 1\n", id="values by an alias"),
    ],
)
def test_what_reaches_a_limit_is_read(text: str) -> None:
    assert compose(text) is not None


@pytest.mark.parametrize(
    ("text", "index", "message"),
    [
        pytest.param("[" * 51 + "]" * 51, 50, TOO_DEEP, id="levels"),
        pytest.param(
            "- &a " + "[" * 20 + "]" * 20 + "\n- " + "[" * 30 + "*a" + "]" * 30, 78, TOO_DEEP, id="by an alias"
        ),
        pytest.param(list_of(MAX_NODES), 2 * MAX_NODES - 1, TOO_MANY, id="values"),
        pytest.param(f"- &a {list_of(9_998)}\n- *a\n- 1\n- 1\n", 20_014, TOO_MANY, id="values by an alias"),
    ],
)
def test_what_is_beyond_a_limit_is_refused_at_its_place(text: str, index: int, message: str) -> None:
    with pytest.raises(YAMLSyntaxError) as caught:
        compose(text)

    assert (caught.value.index, caught.value.what) == (index, message)
