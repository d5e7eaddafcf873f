"""Options of rotated log files: what can work is taken as it is, the rest is refused with a way out."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from dispatcher.logfile import LogFile
from dispatcher.rotationoptions import RotationOptions

WHEN = "expected midnight, S, M, H, D, or W0 (Monday) to W6"
AT = "a time of day goes with 'when: midnight' or W0 to W6, write one of them"


def test_the_default_is_ten_files_of_fifty_megabytes() -> None:
    assert dict(RotationOptions()) == {
        "max_bytes": 50_000_000,
        "backups": 10,
        "when": None,
        "at": None,
        "compress": None,
    }


@pytest.mark.parametrize("when", ["midnight", "MIDNIGHT", "S", "m", "H", "D", "W0", "w6"])
def test_what_is_taken_is_understood_by_a_log_file(when: str, tmp_path: Path) -> None:
    options = RotationOptions.model_validate({"when": when})

    assert LogFile(tmp_path / "a.log", **dict(options)).schedule is not None


@pytest.mark.parametrize("when", ["midnight", "W0"])
def test_a_day_may_turn_at_a_time(when: str) -> None:
    assert RotationOptions.model_validate({"when": when, "at": "03:30"}).at == dt.time(3, 30)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"when": "noon"}, WHEN),
        ({"when": "W7"}, WHEN),
        ({"when": ""}, WHEN),
        ({"when": "H", "at": "03:30"}, AT),
        ({"at": "03:30"}, AT),
        ({"when": "noon", "at": "03:30"}, WHEN),
    ],
    ids=["no period", "no weekday", "empty", "at by the hour", "at alone", "one mistake is one message"],
)
def test_what_cannot_work_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        RotationOptions.model_validate(given)

    assert [problem["msg"] for problem in raised.value.errors()] == [message]
