from __future__ import annotations

import logging
from typing import Any

import pytest
from pydantic import ValidationError

from dispatcher.sections import Logging, Reload


def test_the_defaults_of_logging_are_those_of_the_docs() -> None:
    assert Logging().model_dump() == {
        "level": "INFO",
        "file": None,
        "max_bytes": 50_000_000,
        "backups": 10,
        "when": None,
        "at": None,
        "compress": None,
        "console": True,
        "format": None,
    }
    assert Reload().watch == 0.5


@pytest.mark.parametrize("level", ["debug", "Info", "WARNING", "error", "critical"])
def test_a_level_is_written_in_any_case(level: str) -> None:
    assert Logging.model_validate({"level": level}).level == level.upper()


@pytest.mark.parametrize(
    "text",
    [
        "%(message)s",
        "%(asctime)s %(levelname)-8s %(mount)s %(request_id)s %(name)s: %(message)s",
        "%(lineno)04d 100%% %(msecs).3f",
    ],
)
def test_a_format_that_logging_can_fill_in_is_taken(text: str) -> None:
    assert Logging.model_validate({"format": text}).format == text


NO_FORMAT = "no format of log records, write one such as '%(levelname)s %(message)s'"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", NO_FORMAT),
        ("message", NO_FORMAT),
        ("{message}", NO_FORMAT),
        ("$message", NO_FORMAT),
        ("%(message)", NO_FORMAT),
        ("%(message)s %d", NO_FORMAT),
        ("%(message)s 100%", NO_FORMAT),
        ("%(mesage)s", "a record has no field 'mesage', did you mean 'message'?"),
        ("%(message)s %(path)s", "a record has no field 'path', did you mean 'pathname'?"),
    ],
)
def test_a_format_that_would_fail_for_each_record_is_refused(text: str, what: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Logging.model_validate({"format": text})

    assert caught.value.errors()[0]["msg"] == what


def test_an_unknown_field_far_from_any_lists_those_of_a_record() -> None:
    with pytest.raises(
        ValidationError, match="a record has no field 'colour'; known are args, asctime, created, exc_info"
    ):
        Logging.model_validate({"format": "%(colour)s"})


def test_a_format_is_checked_as_the_formatter_reads_it() -> None:
    record = logging.makeLogRecord({"mount": "/a", "request_id": "1", "msg": "hello"})
    text = Logging.model_validate({"format": "%(mount)s %(message)s"}).format

    assert logging.Formatter(text).format(record) == "/a hello"


@pytest.mark.parametrize("data", [{"watch": 0}, {"watch": "0ms"}])
def test_a_file_is_not_looked_at_without_a_pause(data: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        Reload.model_validate(data)
