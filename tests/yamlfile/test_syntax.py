from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.yamlfile.nodes import compose
from dispatcher.yamlfile.syntax import YAMLSyntaxError

INDENTATION = (
    "a ':' that cannot stand here; check the indentation and the line before, or put the whole value in quotes"
)
AFTER = "text after the end of a value; remove it, or put the whole value in quotes"
LIST = "the list that opens here with '[' is not closed, expected ',' or ']'"
MAPPING = "the mapping that opens here with '{' is not closed, expected ',' or '}'; text that holds braces needs quotes"
QUOTE = "the quote that opens here is never closed"
TAB = "a tab cannot indent in YAML, use spaces"
ESCAPE = "an unknown escape in double quotes; double the backslash, or use single quotes"
SIGN = "text that starts with '*' or '&' needs quotes (without them it is an alias or an anchor)"
START = "expected a value here; text that starts with this character needs quotes"
BLOCK = "after '|' or '>' the text starts on the next line, or quotes are meant"

# text with ‸ before the character that is named, what is said of it
WRONG = [
    ("a: b‸: c", INDENTATION),
    ("a\nb‸: c", INDENTATION),
    ("a: 1\n  b‸: 2", INDENTATION),
    ("a:\n  b: 1\n ‸c: 2", "this line does not fit the block that starts in line 1, check the indentation"),
    ("x: 1\n‸- c\n", "this line does not fit the block that starts in line 1, check the indentation"),
    ("- a\n‸b: c", "this line does not fit the list that starts in line 1, check the indentation"),
    ("‸: a", "a key is missing before this ':', write one"),
    ('a: "x" ‸y', AFTER),
    ("a: 'it'‸s'", AFTER),
    ("a: [1]‸]", AFTER),
    ("a: ‸[1, 2\nb: 3", LIST),
    ("a: ‸[b, c: d: e]", LIST),
    ("a: ‸{b: 1", MAPPING),
    ("a: ‸{b c", MAPPING),
    ("a: [1‸,", "the file ends here, with a '[' or '{' not closed"),
    ('a: ‸"b\nc: d\n', QUOTE),
    ("a: ‸'b\nc: d\n", QUOTE),
    ("a: ‸'b\n---\n", QUOTE),
    ("a:\n‸\t- b", TAB),
    ("‸\ta: b", TAB),
    ("a: b\n‸\tc: d", TAB),
    ('a: "‸\\d"', ESCAPE),
    ('a: "\\x‸g0"', ESCAPE),
    ("a: ‸@b", "text that starts with '@' needs quotes"),
    ("a: ‸`b`", "text that starts with '`' needs quotes"),
    ("a: ‸%b", "text that starts with '%' needs quotes"),
    ("a: ‸}", START),
    ("a: ‸,b", START),
    ("‸*.example.com/: a", SIGN),
    ("a: ‸&", SIGN),
    ("a: ‸*b", "no anchor '&b' before this alias; put a text that starts with '*' in quotes"),
    ("a: [&x 1, ‸&x 2]", "the anchor '&x' is there already, use another name"),
    ("a: &x [‸*x]", "'*x' stands inside of '&x', a value cannot contain itself"),
    ("a: ‸- b", "a list entry cannot stand here: put '- ' on a line of its own, or put the value in quotes"),
    ("a: |‸x\n  b", BLOCK),
    ("a: ‸!x!y z", "tags are not read here; text that starts with '!' needs quotes"),
    ("‸%FOO\n---\na: 1", "a line that starts with '%' is no setting; remove it"),
    ("‸%YAML 3.0\n---\na: 1", "YAML 1.2 is read here; remove this line"),
    ("a: 1\n...\n‸b: 1", "text after the end of the document; remove '...'"),
    ("a: 1\n‸---\nb: 1", "a second document starts here, a config is one document: remove the '---'"),
    ('a: "b‸\0"', "the control character U+0000 is not allowed in YAML, remove it"),
    ("a: 1 # ‸\x1b", "the control character U+001B is not allowed in YAML, remove it"),
    (
        "a: ‸? b",
        "not YAML (mapping keys are not allowed in this context); check indentation, quotes and brackets around here",
    ),
]


@pytest.mark.parametrize(("marked", "message"), [pytest.param(*row, id=row[0]) for row in WRONG])
def test_what_is_no_yaml_is_said_in_plain_words_at_its_character(marked: str, message: str) -> None:
    with pytest.raises(YAMLSyntaxError) as caught:
        compose(marked.replace("‸", ""))

    assert (caught.value.index, caught.value.what) == (marked.index("‸"), message)


@given(st.text(alphabet="ab:-?[]{},&*!|>'\"%@#\n\t \\é\x85\ufeff", max_size=30))
def test_the_place_is_always_in_the_text(text: str) -> None:
    try:
        compose(text)
    except YAMLSyntaxError as error:
        assert 0 <= error.index <= len(text)  # noqa: PT017  # text that is YAML is right too
