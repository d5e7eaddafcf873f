from __future__ import annotations

import os
from pathlib import Path

import pytest

from dispatcher.config import Contents
from dispatcher.watch import Seen, Watch, quiet_time, see, stamp_of


class Disk:
    """A file that changes by hand, and a clock."""

    def __init__(self) -> None:
        self.now = 64.0
        self.text = b"one"
        self.stamp = 1
        self.reads = 0

    def write(self, text: bytes) -> None:
        self.text = text
        self.stamp += 1

    def stamp_of(self, _: Path) -> tuple[int, ...]:
        return (self.stamp,)

    def see(self, _: Path) -> Seen:
        self.reads += 1
        return Seen((self.stamp,), Contents(self.text))


@pytest.fixture
def disk() -> Disk:
    return Disk()


def watching(disk: Disk) -> Watch:
    return Watch(Path("config.yaml"), stamp_of=disk.stamp_of, see=disk.see, clock=lambda: disk.now)


def look(watch: Watch, disk: Disk, *, after: float) -> bytes | None:
    disk.now += after
    seen = watch.look(0.25)
    return seen.contents.config if seen is not None and seen.contents is not None else None


def test_what_is_there_at_first_is_seen_when_it_has_settled(disk: Disk) -> None:
    watch = watching(disk)

    assert [look(watch, disk, after=after) for after in (0, 0.125, 0.125, 1.0)] == [None, None, b"one", None]


def test_a_file_written_in_two_halves_is_seen_once_and_whole(disk: Disk) -> None:
    watch = watching(disk)
    look(watch, disk, after=0)
    look(watch, disk, after=0.25)

    disk.write(b"ha")
    first = [look(watch, disk, after=0.0625) for _ in range(3)]
    disk.write(b"half")
    then = [look(watch, disk, after=0.125) for _ in range(4)]

    assert first == [None] * 3
    assert then == [None, None, b"half", None]


def test_a_file_that_differs_at_the_second_reading_is_awaited_further(disk: Disk) -> None:
    watch = watching(disk)
    look(watch, disk, after=0)
    disk.text = b"two"  # in the same tick of the file system's clock: the stamp is the same

    assert look(watch, disk, after=0.25) is None
    assert watch.pending
    assert look(watch, disk, after=0.25) == b"two"


def test_a_file_that_is_left_alone_is_not_read(disk: Disk) -> None:
    watch = watching(disk)
    look(watch, disk, after=0)
    look(watch, disk, after=0.25)
    before = disk.reads

    for _ in range(10):
        look(watch, disk, after=0.5)

    assert (disk.reads, watch.pending) == (before, False)


def test_a_file_that_is_written_with_the_same_text_is_seen_again(disk: Disk) -> None:
    watch = watching(disk)
    look(watch, disk, after=0)
    look(watch, disk, after=0.25)
    disk.write(b"one")

    assert [look(watch, disk, after=0.25) for _ in range(2)] == [None, b"one"]


def test_what_was_seen_is_current_until_the_next_write(disk: Disk) -> None:
    watch = watching(disk)
    look(watch, disk, after=0)
    disk.now += 1
    seen = watch.look(0.25)
    assert seen is not None

    before = watch.is_current(seen)
    disk.write(b"two")

    assert (before, watch.is_current(seen)) == (True, False)


@pytest.mark.parametrize(("interval", "quiet"), [(0.01, 0.3), (0.5, 0.5), (60.0, 1.0)])
def test_the_time_to_settle_follows_the_interval_within_bounds(interval: float, quiet: float) -> None:
    assert quiet_time(interval) == quiet


def written(file: Path) -> None:
    file.write_text("more: text")


def touched(file: Path) -> None:
    os.utime(file, (1, 1))


def replaced(file: Path) -> None:
    new = file.with_name("new")
    new.write_bytes(file.read_bytes())
    new.replace(file)


def linked(file: Path) -> None:
    target = file.with_name("target")
    target.write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(target)


def with_env(file: Path) -> None:
    file.with_name(".env").write_text("A=1")


@pytest.mark.parametrize(
    "change", [written, touched, replaced, linked, with_env, Path.unlink], ids=lambda f: f.__name__
)
def test_every_change_of_the_files_changes_their_stamp(tmp_path: Path, change: object) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("some: text")
    before = stamp_of(file)

    assert callable(change)
    change(file)

    assert stamp_of(file) != before


def test_a_file_that_cannot_be_read_is_seen_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").mkdir()

    seen = see(tmp_path / "config.yaml")

    assert seen.contents is None
    assert str(seen.error) == f"{tmp_path}/config.yaml: this is a folder, name the file in it"


def test_the_env_file_is_part_of_what_is_seen(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(b"a: 1")
    bare = see(tmp_path / "config.yaml").contents
    (tmp_path / ".env").write_bytes(b"")
    empty = see(tmp_path / "config.yaml").contents

    assert (bare, empty) == (Contents(b"a: 1"), Contents(b"a: 1", b""))
    assert bare is not None
    assert empty is not None
    assert bare.digest != empty.digest
