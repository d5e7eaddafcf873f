from __future__ import annotations

import datetime as dt
import re
import time

import pytest

from dispatcher.logfile.schedule import Schedule


def test_the_time_of_day_is_kept() -> None:
    schedule = Schedule("midnight", at=dt.time(2, 30), utc=True)

    assert schedule.due(0) == 2.5 * 3600
    assert schedule.due(2.5 * 3600) == 26.5 * 3600


@pytest.mark.parametrize(
    ("when", "stamp"),
    [
        ("S", "1970-01-02_10-17-36"),
        ("M", "1970-01-02_10-17"),
        ("H", "1970-01-02_10"),
        ("D", "1970-01-02"),
        ("MIDNIGHT", "1970-01-02"),
        ("W6", "1969-12-29"),
    ],
)
def test_a_stamp_is_the_begin_of_the_period(when: str, stamp: str) -> None:
    schedule = Schedule(when, utc=True)

    assert schedule.stamp(123_456.7) == stamp
    assert re.fullmatch(schedule.pattern, stamp)


def test_a_day_with_a_change_of_the_clock_keeps_its_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        schedule = Schedule("MIDNIGHT")
        noon = dt.datetime(2026, 3, 29, 12).timestamp()  # local time is what is tested

        assert schedule.due(noon) == dt.datetime(2026, 3, 30).timestamp()
        assert schedule.stamp(noon) == "2026-03-29"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("when", ["X", "W", "W7", ""])
def test_an_unknown_period_is_refused(when: str) -> None:
    with pytest.raises(ValueError, match="rollover"):
        Schedule(when)
