from __future__ import annotations

import sys

import pytest

from dispatcher.logfile import complaints
from dispatcher.logfile.complaints import Complaints

FULL = OSError(28, "No space left on device")


def test_a_complaint_is_repeated_once_in_ten_seconds_with_what_was_dropped_since() -> None:
    now, said = 100.0, list[str]()
    told = Complaints("app.log", lambda: now, said.append)

    for now in (100.0, 101.0, 109.9, 110.0, 111.0):  # noqa: B007  # the clock
        told.dropped(FULL)
    told.written()

    assert said == [
        "app.log: cannot be written (No space left on device); 1 record dropped",
        "app.log: cannot be written (No space left on device); 3 records dropped",
        "app.log: is written again; 1 record dropped",
    ]


def test_a_log_that_comes_and_goes_is_told_once_in_ten_seconds() -> None:
    now, said = 100.0, list[str]()
    told = Complaints("app.log", lambda: now, said.append)

    for tick in range(250):
        now = 100.0 + tick / 10
        told.dropped(FULL)
        told.written()

    assert said == [
        "app.log: cannot be written (No space left on device); 1 record dropped",
        "app.log: is written again",
        "app.log: cannot be written (No space left on device); 100 records dropped",
        "app.log: is written again",
        "app.log: cannot be written (No space left on device); 100 records dropped",
        "app.log: is written again",
    ]


def test_what_was_dropped_in_between_is_told_even_if_nothing_is_dropped_later() -> None:
    now, said = 100.0, list[str]()
    told = Complaints("app.log", lambda: now, said.append)
    for _ in range(3):
        told.dropped(FULL)
        told.written()
    assert told.dropping

    now = 110.0
    told.written()

    assert said[2:] == ["app.log: is written again; 2 records dropped"]
    assert not told.dropping


@pytest.mark.parametrize("broken", [None, "closed"])
def test_a_missing_stderr_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch, broken: str | None) -> None:
    class Closed:
        def write(self, text: str) -> None:
            raise ValueError("I/O operation on closed file")

    monkeypatch.setattr(sys, "stderr", broken and Closed())

    complaints.say("anything")


def test_complaints_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Complaints("app.log").unrotated(PermissionError(13, "Permission denied", "/logs/app.log"))

    assert capsys.readouterr().err == (
        "app.log: cannot be rotated (Permission denied: /logs/app.log); it grows until that is possible\n"
    )
