from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from enum import Enum
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Le, Lt, MultipleOf
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, HttpUrl, model_validator

from dispatcher.fields import Duration, Site, SitePath, Size
from dispatcher.validation.mistakes import Mistake, validate

SITE = Site(root=Path("/srv/site"), runtime=Path("/run/site"))


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Window(Strict):
    seconds: int
    name: str = Field(default="", alias="label")


class Point:
    """A class of the user's, which pydantic knows nothing of."""

    def __init__(self, text: str) -> None:
        self.text = text


def check_even(value: int) -> int:
    if value % 2:
        raise ValueError("an odd number, write an even one")
    return value


def check_short(value: str) -> str:
    if len(value) > 8:
        raise AssertionError("too long, write less")
    return value


class Options(Strict):
    whole: int = 0
    number: float = 0
    flag: bool = False
    text: str = ""
    words: tuple[str, ...] = ()
    unique: frozenset[str] = frozenset()
    table: dict[str, int] = {}
    choice: Literal["combined", "common", "json"] = "json"
    colour: Colour = Colour.RED
    window: Window | None = None
    windows: list[Window] = []
    switch: Window | bool = False
    number_or_word: int | Literal["auto"] = "auto"
    nothing: None = None
    more: Annotated[int, Gt(0)] = 1
    least: Annotated[float, Ge(0.5)] = 1
    less: Annotated[int, Lt(10)] = 1
    most: Annotated[int, Le(10)] = 1
    dozens: Annotated[int, MultipleOf(12)] = 12
    name: str = Field(default="xx", min_length=2, max_length=4, pattern="^x")
    pair: list[int] = Field(default=[1], min_length=1, max_length=2)
    at: dt.time | None = None
    day: dt.date | None = None
    moment: dt.datetime | None = None
    pattern: re.Pattern[str] | None = None
    url: HttpUrl | None = None
    address: IPv4Address | None = None
    network: IPv4Network | None = None
    path: Path | None = None
    size: Size = 0
    duration: Duration = 0
    file: SitePath | None = None
    even: Annotated[int, AfterValidator(check_even)] = 0
    short: Annotated[str, AfterValidator(check_short)] = ""
    point: Annotated[Point, BeforeValidator(Point)] | None = None
    key_of_three: dict[Annotated[str, Field(min_length=3)], int] = {}


@pytest.mark.parametrize(
    ("written", "name", "meant"),
    [
        ({"whole": 5}, "whole", 5),
        ({"number": 5}, "number", 5.0),
        ({"words": ["a", "b"]}, "words", ("a", "b")),
        ({"unique": ["a", "a"]}, "unique", frozenset({"a"})),
        ({"window": {"seconds": 1, "label": "x"}}, "window", Window(seconds=1, label="x")),
        ({"switch": True}, "switch", True),
        ({"switch": {"seconds": 1}}, "switch", Window(seconds=1)),
        ({"number_or_word": "auto"}, "number_or_word", "auto"),
        ({"colour": "green"}, "colour", Colour.GREEN),
        ({"at": "03:30"}, "at", dt.time(3, 30)),
        ({"day": "2030-01-31"}, "day", dt.date(2030, 1, 31)),
        ({"network": "10.0.0.0/8"}, "network", IPv4Network("10.0.0.0/8")),
        ({"path": "a/b"}, "path", Path("a/b")),
        ({"file": "a/b"}, "file", Path("/srv/site/a/b")),
        ({"size": "1KB"}, "size", 1000),
    ],
)
def test_data_is_read_into_the_model(written: Mapping[str, Any], name: str, meant: object) -> None:
    found, mistakes = validate(Options, written, site=SITE)

    assert mistakes == []
    assert found is not None
    assert getattr(found, name) == meant


def test_a_type_that_json_does_not_know_is_read_all_the_same() -> None:
    found, mistakes = validate(Options, {"point": "here"}, site=SITE)

    assert mistakes == []
    assert found is not None
    assert found.point is not None
    assert found.point.text == "here"


CHOICES = "expected 'combined', 'common' or 'json'"
WRONG = [
    ("whole", "x", "expected a whole number, got 'x'"),
    ("whole", "5", "expected a whole number, got '5'; write it without quotes"),
    ("whole", "007", "expected a whole number, got '007'; write 7"),
    ("whole", 1.5, "expected a whole number, got 1.5"),
    ("whole", 1.0, "expected a whole number, got 1.0"),
    ("whole", True, "expected a whole number, got true"),
    ("whole", None, "expected a whole number, got nothing"),
    ("whole", [], "expected a whole number, got a list"),
    ("whole", {}, "expected a whole number, got a mapping"),
    ("whole", "x" * 100, "expected a whole number, got '" + "x" * 58 + "…"),
    ("number", "1.5", "expected a number, got '1.5'"),
    ("number", False, "expected a number, got false"),
    ("flag", "no", "expected true or false, got 'no'; write false"),
    ("flag", "On", "expected true or false, got 'On'; write true"),
    ("flag", "maybe", "expected true or false, got 'maybe'"),
    ("flag", 1, "expected true or false, got 1"),
    ("text", 80, "expected text, got 80; put it in quotes"),
    ("text", True, "expected text, got true; put it in quotes"),
    ("window", "seconds:5", "expected a mapping, got 'seconds:5'; write a space after the colon"),
    ("words", "a", "expected a list, got 'a'; write [a]"),
    ("words", "", "expected a list, got ''"),
    ("words", {"a": 1}, "expected a list, got a mapping; write '- ' before each entry"),
    ("table", [1], "expected a mapping, got a list; write lines of 'key: value' without '- '"),
    ("choice", "yaml", f"{CHOICES}, got 'yaml'"),
    ("choice", "combind", f"{CHOICES}, got 'combind', did you mean 'combined'?"),
    ("choice", 5, f"{CHOICES}, got 5"),
    ("colour", "blue", "expected 'red' or 'green', got 'blue'"),
    ("window", 5, "expected a mapping, got 5"),
    ("switch", 5, "expected a mapping or true or false, got 5"),
    ("switch", "on", "expected true or false, got 'on'; write true"),
    ("number_or_word", "many", "expected a whole number or 'auto', got 'many'"),
    ("nothing", 1, "expected nothing, got 1"),
    ("more", 0, "expected more than 0, got 0"),
    ("least", 0.25, "expected 0.5 or more, got 0.25"),
    ("less", 10, "expected less than 10, got 10"),
    ("most", 11, "expected 10 or less, got 11"),
    ("dozens", 7, "expected a multiple of 12, got 7"),
    ("name", "x", "expected text of 2 or more characters, got 'x'"),
    ("name", "xxxxx", "expected text of 4 or fewer characters, got 'xxxxx'"),
    ("name", "yy", "expected text that matches ^x, got 'yy'"),
    ("pair", [], "expected 1 or more entries, got 0"),
    ("pair", [1, 2, 3], "expected 2 or fewer entries, got 3"),
    ("at", "25:00", "expected a time of day such as 03:30, got '25:00'"),
    ("at", 3, "expected a time of day such as 03:30, got 3"),
    ("day", "tomorrow", "expected a date such as 2030-01-31, got 'tomorrow'"),
    ("moment", "now", "expected a date and time such as 2030-01-31T03:30, got 'now'"),
    ("pattern", "(", "expected a regular expression, got '('"),
    ("url", "here", "expected a URL, got 'here'"),
    ("url", "ftp://x", "expected a URL that starts with 'http' or 'https', got 'ftp://x'"),
    ("address", "localhost", "expected an IP address, got 'localhost'"),
    ("network", "10.0.0.1/8", "expected a network such as 10.0.0.0/8, got '10.0.0.1/8'"),
    ("path", 5, "expected a path, got 5"),
    ("size", "5XB", "expected a size such as 50MB, 64KiB or a number of bytes"),
    ("duration", "5 weeks", "expected a duration such as 250ms, 10s, 5m, 1h or a number of seconds"),
    ("file", 5, "expected a path such as logs/app.log"),
    ("even", 5, "an odd number, write an even one"),
    ("short", "x" * 9, "too long, write less"),
]


@pytest.mark.parametrize(
    ("name", "value", "what"), [pytest.param(*row, id=f"{row[0]}-{row[1]!r:.20}") for row in WRONG]
)
def test_a_wrong_value_is_said_in_the_words_of_the_file(name: str, value: object, what: str) -> None:
    assert validate(Options, {name: value}, site=SITE) == (None, [Mistake((name,), what)])


@pytest.mark.parametrize(
    ("written", "mistake"),
    [
        pytest.param({"tex": ""}, Mistake(("tex",), "unknown key, did you mean 'text'?", key=True), id="misspelled"),
        pytest.param(
            {"Number-Or-Word": 1},
            Mistake(("Number-Or-Word",), "unknown key, did you mean 'number_or_word'?", key=True),
            id="another notation",
        ),
        pytest.param(
            {"window": {"seconds": 1, "lable": 2}},
            Mistake(("window", "lable"), "unknown key, did you mean 'label'?", key=True),
            id="misspelled in a nested model",
        ),
        pytest.param(
            {"windows": [{"seconds": 1}, {"seconds": 1, "colour": 2}]},
            Mistake(("windows", 1, "colour"), "unknown key; known are label, seconds", key=True),
            id="unknown in a list of models",
        ),
        pytest.param(
            {"window": {}}, Mistake(("window", "seconds"), "missing, write 'seconds: …'", key=True), id="missing"
        ),
        pytest.param(
            {"switch": {"seconds": "x"}},
            Mistake(("switch", "seconds"), "expected a whole number, got 'x'"),
            id="the alternative that got furthest was meant",
        ),
        pytest.param(
            {"words": ["a", 5]},
            Mistake(("words", 1), "expected text, got 5; put it in quotes"),
            id="an entry of a list",
        ),
        pytest.param(
            {"pair": ["x"]}, Mistake(("pair", 0), "expected a whole number, got 'x'"), id="a wrong entry is not missing"
        ),
        pytest.param(
            {"table": {"a": "x"}}, Mistake(("table", "a"), "expected a whole number, got 'x'"), id="in a mapping"
        ),
        pytest.param(
            {"key_of_three": {"ab": 1}},
            Mistake(
                ("key_of_three", "ab"), "this key is wrong: expected text of 3 or more characters, got 'ab'", key=True
            ),
            id="a wrong key",
        ),
    ],
)
def test_a_mistake_has_the_path_of_what_is_wrong(written: Mapping[str, Any], mistake: Mistake) -> None:
    assert validate(Options, written, site=SITE) == (None, [mistake])


def test_all_mistakes_are_found_at_once() -> None:
    _, mistakes = validate(Options, {"whole": "x", "flag": "no", "words": 5, "nope": 1, "more": 0}, site=SITE)

    assert sorted(mistake.path for mistake in mistakes) == [("flag",), ("more",), ("nope",), ("whole",), ("words",)]


class Empty(Strict):
    pass


def test_a_model_without_fields_knows_no_key() -> None:
    assert validate(Empty, {"a": 1}, site=SITE) == (
        None,
        [Mistake(("a",), "unknown key; none is known here", key=True)],
    )


class Pair(Strict):
    low: int = 0
    high: int = 9

    @model_validator(mode="after")
    def _in_order(self) -> Pair:
        if self.low > self.high:
            raise ValueError("'low' is above 'high', swap them")
        return self


def test_a_mistake_of_the_whole_has_the_path_of_the_whole() -> None:
    assert validate(Pair, {"low": 10}, site=SITE) == (None, [Mistake((), "'low' is above 'high', swap them")])


def test_thousands_of_mistakes_are_not_all_looked_into() -> None:
    _, mistakes = validate(Options, {f"key{number}": 1 for number in range(5000)}, site=SITE)

    assert len(mistakes) == 200
