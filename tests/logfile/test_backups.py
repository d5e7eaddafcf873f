from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dispatcher.logfile.backups import Dated, Numbered, same_name
from dispatcher.logfile.schedule import Schedule


def fill(folder: Path, *names: str) -> str:
    """Files that contain their own names, and the live file, whose path is returned."""
    for name in (*names, "app.log"):
        (folder / name).write_text(name)
    return str(folder / "app.log")


def state(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param([], {".1": ""}, id="the first"),
        pytest.param([".1"], {".2": ".1", ".1": ""}, id="the second"),
        pytest.param([".1", ".2", ".3"], {".3": ".2", ".2": ".1", ".1": ""}, id="full: the oldest goes"),
        pytest.param([".2", ".3"], {".3": ".3", ".2": ".2", ".1": ""}, id="killed before the last step"),
        pytest.param([".1", ".3"], {".3": ".3", ".2": ".1", ".1": ""}, id="killed in the middle"),
        pytest.param([".1.gz", ".2.gz"], {".3.gz": ".2.gz", ".2.gz": ".1.gz", ".1": ""}, id="compressed"),
        pytest.param([".1", ".2.gz"], {".3.gz": ".2.gz", ".2": ".1", ".1": ""}, id="compressed in part"),
        pytest.param([".1", ".1.gz"], {".2": ".1", ".2.gz": ".1.gz", ".1": ""}, id="compressed, and killed then"),
        pytest.param([".1", ".2.gz", ".3.gz"], {".3.gz": ".2.gz", ".2": ".1", ".1": ""}, id="a compressed one goes"),
        pytest.param([".4", ".10"], {".4": ".4", ".10": ".10", ".1": ""}, id="those beyond are not touched"),
    ],
)
def test_numbers_move_up(tmp_path: Path, before: list[str], after: dict[str, str]) -> None:
    live = fill(tmp_path, *(f"app.log{end}" for end in before))

    Numbered(3).put_away(live, live, 0)

    assert state(tmp_path) == {f"app.log{end}": f"app.log{was}" for end, was in after.items()}


@pytest.mark.parametrize("step", range(1, 5))
@pytest.mark.parametrize("again", [1, 2])
def test_a_rotation_that_is_killed_at_any_step_loses_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, again: int
) -> None:
    live = fill(tmp_path, "app.log.1", "app.log.2.gz", "app.log.3")
    files = set(state(tmp_path).values())
    steps = iter(range(1, 99))

    def killed(rename: Callable[..., object]) -> Callable[..., object]:
        def one(*arguments: object) -> object:
            if next(steps) == step:
                raise KeyboardInterrupt
            return rename(*arguments)

        return one

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed(os.rename))
        with pytest.raises(KeyboardInterrupt):
            Numbered(9, move=os.rename).put_away(live, live, 0)
    assert set(state(tmp_path).values()) == files

    for _ in range(again):
        (tmp_path / "app.log").touch()
        Numbered(9).put_away(live, live, 0)

    assert set(state(tmp_path).values()) - {""} == files


def test_uncompressed_numbers_are_listed(tmp_path: Path) -> None:
    live = fill(tmp_path, "app.log.1", "app.log.2.gz", "app.log.3", "app.log.3.gz", "app.log.5", "app.log.8")

    assert Numbered(9).plain(live) == [f"{live}.{number}" for number in (1, 3, 5)]


def dated(keep: int, name: Callable[[str], str] = same_name) -> Dated:
    return Dated(keep, Schedule("D", utc=True), name)


DAY = 86_400


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param([], {".1970-01-03": ""}, id="the first"),
        pytest.param([".1970-01-03"], {".1970-01-03": ".1970-01-03", ".1970-01-03.1": ""}, id="the second of a day"),
        pytest.param(
            [".1970-01-03.gz"], {".1970-01-03.gz": ".1970-01-03.gz", ".1970-01-03.1": ""}, id="the first compressed"
        ),
        pytest.param(
            [".1970-01-01.gz", ".1970-01-02"], {".1970-01-02": ".1970-01-02", ".1970-01-03": ""}, id="the oldest goes"
        ),
        pytest.param(
            [".1970-01-03.9", ".1970-01-03.10"],
            {".1970-01-03.10": ".1970-01-03.10", ".1970-01-03.11": ""},
            id="numbers are numbers",
        ),
        pytest.param(
            [".bak", ".1970-01-02.txt", "x.1970-01-02", ".1970-01-02-1"],
            {
                ".bak": ".bak",
                ".1970-01-02.txt": ".1970-01-02.txt",
                "x.1970-01-02": "x.1970-01-02",
                ".1970-01-02-1": ".1970-01-02-1",
                ".1970-01-03": "",
            },
            id="files of others stay",
        ),
    ],
)
def test_dates_name_the_begin_of_the_period(tmp_path: Path, before: list[str], after: dict[str, str]) -> None:
    live = fill(tmp_path, *(f"app.log{end}" for end in before))

    dated(2).put_away(live, live, 2 * DAY)

    assert state(tmp_path) == {f"app.log{end}": f"app.log{was}" for end, was in after.items()}


def test_no_number_of_backups_keeps_all_dates(tmp_path: Path) -> None:
    live = fill(tmp_path, "app.log.1970-01-01", "app.log.1970-01-02")

    dated(0).put_away(live, live, 2 * DAY)

    assert len(state(tmp_path)) == 3


def test_a_namer_may_put_the_date_anywhere(tmp_path: Path) -> None:
    live = fill(tmp_path, "app.1970-01-01.log", "app.1970-01-02.log", "app.x.1970-01-01.log")
    backups = dated(2, name=lambda name: name.replace(".log", "") + ".log")

    backups.put_away(live, live, 2 * DAY)

    assert set(state(tmp_path)) == {"app.1970-01-02.log", "app.1970-01-03.log", "app.x.1970-01-01.log"}
    assert backups.plain(live) == [f"{tmp_path}/app.1970-01-03.log", f"{tmp_path}/app.1970-01-02.log"]
