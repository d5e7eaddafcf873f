"""Rotators that read the file and delete it, such as the one in Python's logging cookbook."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dispatcher.logfile import LogFile, aside
from dispatcher.logfile.complaints import Complaints
from tests.logfile.records import names, once, record, records
from tests.logfile.writers import pack


def test_a_rotator_gets_a_file_that_is_whole_and_has_the_mode_of_the_log(tmp_path: Path) -> None:
    seen = []

    def move(source: str, target: str) -> None:
        seen.append((Path(source).read_bytes(), Path(source).stat().st_mode & 0o777, Path(target).name))
        pack(source, target)

    log = LogFile(tmp_path / "app.log", max_bytes=250, backups=9, name=lambda name: f"{name}.gz", move=move)
    for number in range(3):
        log.write(record(number))

    assert seen == [(record(0) + record(1), 0o640, "app.log.1.gz")]
    assert records(tmp_path) == once(0, 1, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".app.log.lock", "app.log", "app.log.1.gz"]


@pytest.mark.parametrize("step", ["rename", "copystat", "note_copied", "unlink", "move", "moved"])
def test_a_rotation_that_is_killed_at_any_step_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def killed(*arguments: object, **options: object) -> None:
        os._exit(9)

    def move(source: str, target: str) -> None:
        if step == "move":
            killed()
        pack(source, target)
        if step == "moved":
            killed()

    log = LogFile(tmp_path / "app.log", max_bytes=100, backups=9, name=lambda name: f"{name}.gz", move=move)
    log.write(record(0))
    child = os.fork()
    if child == 0:
        owner: object = {"rename": os, "copystat": shutil, "note_copied": aside, "unlink": Path}.get(step)
        if owner is not None:
            monkeypatch.setattr(owner, step, killed)
        log.write(record(1))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9

    other = LogFile(tmp_path / "app.log", max_bytes=100, backups=9, name=lambda name: f"{name}.gz", move=pack)
    for number in range(2, 5):
        other.write(record(number))

    assert records(tmp_path) == once(0, 2, 3, 4)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == [".app.log.lock"]


def fails(source: str, target: str) -> None:
    raise ValueError("not now")


def copies(source: str, target: str) -> None:
    shutil.copyfile(source, target)
    Path(target).unlink()


@pytest.mark.parametrize(
    ("move", "reason"),
    [(fails, "ValueError('not now')"), (copies, "the rotator has left the file where it was")],
    ids=["raises", "leaves it"],
)
def test_a_rotator_that_does_not_rotate_leaves_the_log_growing(
    tmp_path: Path, move: Callable[[str, str], None], reason: str
) -> None:
    said: list[str] = []
    told = Complaints("app.log", lambda: 0.0, said.append)
    log = LogFile(tmp_path / "app.log", max_bytes=100, backups=9, move=move, complaints=told)

    for number in range(4):
        log.write(record(number))

    assert (tmp_path / "app.log").read_bytes() == b"".join(map(record, range(4)))
    assert said == [f"app.log: cannot be rotated ({reason}); it grows until that is possible"]


def test_a_rotator_may_empty_the_file_instead_of_deleting_it(tmp_path: Path) -> None:
    def move(source: str, target: str) -> None:
        shutil.copyfile(source, target)
        os.truncate(source, 0)

    log = LogFile(tmp_path / "app.log", max_bytes=100, backups=9, move=move)

    for number in range(3):
        log.write(record(number))

    assert names(tmp_path) == ["app.log", "app.log.1", "app.log.2"]
    assert records(tmp_path) == once(0, 1, 2)


def test_what_cannot_be_put_back_waits_for_the_next_rotation(tmp_path: Path) -> None:
    def move(source: str, target: str) -> None:
        if not failed:
            failed.append(target)
            (tmp_path / "app.log").touch()  # another program
            raise ValueError("not now")
        os.rename(source, target)  # noqa: PTH104

    failed: list[str] = []
    log = LogFile(tmp_path / "app.log", max_bytes=100, backups=9, move=move)
    log.write(record(0))
    log.write(record(1))

    log._live._rotate_again = 0.0
    log.write(record(2))

    assert names(tmp_path) == ["app.log", "app.log.1", "app.log.2"]
    assert (tmp_path / "app.log.2").read_bytes() == record(0)


def test_a_process_that_is_killed_while_it_puts_the_file_back_doubles_nothing(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "app.log", max_bytes=100, backups=9)
    log.write(record(0))
    os.link(tmp_path / "app.log", tmp_path / ".app.log.rotated")

    log.write(record(1))

    assert records(tmp_path) == once(0, 1)
    assert not (tmp_path / ".app.log.rotated").exists()
