from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from dispatcher.logfile import LogFile, appending, compression, live, place
from dispatcher.logfile.complaints import Complaints
from dispatcher.logfile.shared import SIZE, Shared, note_copied
from tests.logfile.records import content, log_files, names, once, record, records


class Clock:
    """A monotonic clock that a test moves; it begins late enough for every pause to be over."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(appending, "monotonic", self)
        monkeypatch.setattr(live, "monotonic", self)
        monkeypatch.setattr(place, "monotonic", self)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def complaints(path: Path, clock: Callable[[], float] = lambda: 0.0) -> tuple[list[str], Complaints]:
    said: list[str] = []
    return said, Complaints(path.name, clock, said.append)


def test_a_record_is_in_the_file_when_write_returns(tmp_path: Path) -> None:
    LogFile(tmp_path / "app.log").write(b"one\n")

    assert (tmp_path / "app.log").read_bytes() == b"one\n"


def test_a_new_file_is_not_readable_by_everybody(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "app.log", max_bytes=150, backups=1, compress=None)

    for number in range(3):
        log.write(record(number))

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"app.log": 0o640, "app.log.1": 0o640, ".app.log.lock": 0o600}


def test_the_folder_is_made(tmp_path: Path) -> None:
    LogFile(tmp_path / "a/b/app.log", max_bytes=100, backups=1).write(b"one\n")

    assert (tmp_path / "a/b/app.log").read_bytes() == b"one\n"


@pytest.mark.parametrize("max_bytes", [1, 99, 100, 199, 1000, 1050], ids=lambda value: f"max_bytes={value}")
def test_no_file_outgrows_max_bytes_except_by_one_large_record(tmp_path: Path, max_bytes: int) -> None:
    log = LogFile(tmp_path / "app.log", max_bytes=max_bytes, backups=100)

    for number in range(50):
        log.write(record(number))

    assert records(tmp_path) == once(*range(50))
    assert max(path.stat().st_size for path in log_files(tmp_path)) <= max(max_bytes, 100)


def test_files_are_filled(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "app.log", max_bytes=1000, backups=100)

    for number in range(50):
        log.write(record(number))

    assert [path.stat().st_size for path in log_files(tmp_path)] == [1000] * 5


def test_the_oldest_backup_is_dropped(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "app.log", max_bytes=100, backups=2)

    for number in range(5):
        log.write(record(number))

    assert names(tmp_path) == ["app.log", "app.log.1", "app.log.2"]
    assert records(tmp_path) == once(2, 3, 4)


def test_without_backups_nothing_is_rotated(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "app.log", max_bytes=100, backups=0)

    for number in range(5):
        log.write(record(number))
    log.rotate()

    assert names(tmp_path) == ["app.log"]
    assert records(tmp_path) == once(*range(5))


def test_an_empty_file_is_not_rotated(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "app.log", max_bytes=100, backups=2)
    log.open()

    log.rotate()

    assert names(tmp_path) == ["app.log"]


def test_what_another_program_appends_counts(tmp_path: Path, clock: Clock) -> None:
    log = LogFile(tmp_path / "app.log", max_bytes=1000, backups=9)
    log.write(record(0))
    with (tmp_path / "app.log").open("ab") as file:
        file.write(b"".join(map(record, range(1, 10))))

    clock.now += 0.06
    log.write(record(10))

    assert [path.stat().st_size for path in log_files(tmp_path)] == [100, 1000]


def test_room_that_a_killed_process_held_is_free_after_a_second(tmp_path: Path, clock: Clock) -> None:
    killed = LogFile(tmp_path / "app.log", max_bytes=10_000, backups=9)
    killed.write(record(0))
    killed._live.file.words[SIZE] = 9_990

    clock.now += 1.1
    LogFile(tmp_path / "app.log", max_bytes=10_000, backups=9).write(record(1))

    assert names(tmp_path) == ["app.log"]


def test_a_closed_log_gives_its_room_back(tmp_path: Path) -> None:
    for number in range(99):
        log = LogFile(tmp_path / "app.log", max_bytes=10_000, backups=9)
        log.write(record(number))
        log.close()

    assert names(tmp_path) == ["app.log"]


def test_a_record_after_close_opens_the_file_again(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "app.log")
    log.close()

    log.write(b"one\n")

    assert (tmp_path / "app.log").read_bytes() == b"one\n"


def test_two_objects_for_one_path_share_its_size(tmp_path: Path) -> None:
    logs = [LogFile(tmp_path / "app.log", max_bytes=1000, backups=99) for _ in range(2)]

    for number in range(100):
        logs[number % 2].write(record(number))

    assert records(tmp_path) == once(*range(100))
    assert max(path.stat().st_size for path in log_files(tmp_path)) <= 1000


def test_a_relative_path_is_that_of_the_time_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    log = LogFile("app.log", max_bytes=100, backups=9)
    log.write(record(0))

    monkeypatch.chdir(tmp_path / "elsewhere")
    log.write(record(1))

    assert names(tmp_path) == ["app.log", "app.log.1", "elsewhere"]
    assert names(tmp_path / "elsewhere") == []


# What others do to the file


@pytest.mark.parametrize("options", [{}, {"max_bytes": 10_000, "backups": 3}], ids=["plain", "rotating"])
def test_a_deleted_file_is_noticed_by_the_very_next_record(tmp_path: Path, options: dict[str, int]) -> None:
    log = LogFile(tmp_path / "app.log", **options)  # type: ignore[arg-type]  # the table has only numbers
    log.write(record(0))

    (tmp_path / "app.log").unlink()
    log.write(record(1))
    log.write(record(2))

    assert records(tmp_path) == once(1, 2)


@pytest.mark.parametrize("options", [{}, {"max_bytes": 10_000, "backups": 3}], ids=["plain", "rotating"])
def test_a_renamed_file_is_noticed_after_50_ms(tmp_path: Path, clock: Clock, options: dict[str, int]) -> None:
    log = LogFile(tmp_path / "app.log", **options)  # type: ignore[arg-type]  # the table has only numbers
    log.write(record(0))

    (tmp_path / "app.log").rename(tmp_path / "moved.log")
    log.write(record(1))
    clock.now += 0.051
    log.write(record(2))

    assert (tmp_path / "moved.log").read_bytes() == record(0) + record(1)
    assert (tmp_path / "app.log").read_bytes() == record(2)


def test_one_process_that_notices_a_rename_tells_the_others(tmp_path: Path, clock: Clock) -> None:
    first, second = (LogFile(tmp_path / "app.log", max_bytes=10_000, backups=3) for _ in range(2))
    first.write(record(0))
    second.write(record(1))
    (tmp_path / "app.log").rename(tmp_path / "moved.log")

    first._live.file.until = 0
    first.write(record(2))
    second.write(record(3))

    assert (tmp_path / "app.log").read_bytes() == record(2) + record(3)


def test_a_truncated_file_is_filled_from_its_begin(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "app.log", max_bytes=10_000, backups=3)
    log.write(record(0))

    os.truncate(tmp_path / "app.log", 0)
    log.write(record(1))

    assert (tmp_path / "app.log").read_bytes() == record(1)


def test_an_app_that_closes_all_descriptors_loses_nothing_and_gets_no_log_lines(tmp_path: Path) -> None:
    script = """
import os, sys
from dispatcher.logfile import LogFile
log = LogFile(sys.argv[1], max_bytes=10_000, backups=3)
log.write(b"one\\n")
os.closerange(3, 10_000)
database = os.open(sys.argv[1] + ".db", os.O_RDWR | os.O_CREAT)
log.write(b"two\\n")
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "app.log")], check=True)

    assert (tmp_path / "app.log").read_bytes() == b"one\ntwo\n"
    assert (tmp_path / "app.log.db").read_bytes() == b""


def test_a_deleted_lock_file_is_made_again(tmp_path: Path, clock: Clock) -> None:
    log = LogFile(tmp_path / "app.log", max_bytes=100, backups=9)
    log.write(record(0))
    (tmp_path / ".app.log.lock").unlink()

    for number in range(1, 4):
        clock.now += 0.06
        log.write(record(number))

    assert (tmp_path / ".app.log.lock").exists()
    assert names(tmp_path) == ["app.log", "app.log.1", "app.log.2", "app.log.3"]


# Paths that are no files


@pytest.mark.parametrize("exists", [True, False], ids=["to a file", "dangling"])
def test_a_link_stays_a_link_and_its_target_is_rotated(tmp_path: Path, exists: bool) -> None:
    target = tmp_path / "target"
    target.mkdir()
    if exists:
        (target / "real.log").touch()
    (tmp_path / "app.log").symlink_to("target/real.log")
    log = LogFile(tmp_path / "app.log", max_bytes=100, backups=9)

    for number in range(2):
        log.write(record(number))

    assert (tmp_path / "app.log").is_symlink()
    assert names(target) == ["real.log", "real.log.1"]
    assert records(target) == once(0, 1)


def test_a_fifo_is_written_and_never_rotated(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "app.log")
    reader = os.open(tmp_path / "app.log", os.O_RDONLY | os.O_NONBLOCK)
    log = LogFile(tmp_path / "app.log", max_bytes=100, backups=9, when="S")

    for number in range(3):
        log.write(record(number))

    assert os.read(reader, 1000) == b"".join(map(record, range(3)))
    assert [path.name for path in tmp_path.iterdir()] == ["app.log"]
    log.close()
    os.close(reader)


def test_a_fifo_that_nobody_reads_does_not_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "app.log")
    said, told = complaints(tmp_path / "app.log")

    LogFile(tmp_path / "app.log", complaints=told).write(b"one\n")

    assert said == [
        f"app.log: cannot be written (No such device or address: {tmp_path}/app.log); 1 record dropped",
    ]


def test_a_fifo_whose_reader_does_not_read_delays_nobody_and_gets_whole_lines(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "app.log")
    reader = os.open(tmp_path / "app.log", os.O_RDONLY | os.O_NONBLOCK)
    said, told = complaints(tmp_path / "app.log")
    log = LogFile(tmp_path / "app.log", complaints=told)
    log.open()
    fcntl.fcntl(log._live.file.fd, fcntl.F_SETPIPE_SZ, 8192)

    for number in range(100):
        log.write(record(number))
    log.write(record(100, size=5000))
    received = os.read(reader, 100_000)
    log.write(record(101, size=9000))  # larger than the FIFO: goes in in part
    received += os.read(reader, 100_000)
    log.write(record(102))
    received += os.read(reader, 100_000)

    lines = received.splitlines(keepends=True)
    assert received.endswith(b"\n" + record(102))
    assert all(len(line) == 100 for line in lines if not line.startswith(b"id=101 "))
    assert said[0] == "app.log: cannot be written (Resource temporarily unavailable); 1 record dropped"
    assert said[-1].startswith("app.log: is written again; ")
    log.close()
    os.close(reader)


def test_standard_output_is_a_log(tmp_path: Path) -> None:
    script = (
        "from dispatcher.logfile import LogFile; LogFile('/dev/stdout', max_bytes=9, backups=9).write(b'one\\n' * 9)"
    )

    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)

    assert run.stdout == b"one\n" * 9


def test_a_deleted_file_behind_standard_output_gets_each_record_once(tmp_path: Path) -> None:
    code = (
        "import os; from dispatcher.logfile import LogFile; log = LogFile('/dev/stdout')\n"
        "log.write(b'one\\n'); os.unlink('out.txt'); log.write(b'two\\n')\n"
    )
    with (tmp_path / "out.txt").open("w+b") as out:
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, stdout=out, check=True)

        out.seek(0)
        assert out.read() == b"one\ntwo\n"


# A log that cannot be written


def test_a_full_disk_is_reported_once_and_drops_are_counted() -> None:
    said, told = complaints(Path("full"))
    log = LogFile("/dev/full", complaints=told)

    for _ in range(5):
        log.write(b"one\n")

    assert said == ["full: cannot be written (No space left on device); 1 record dropped"]


def test_a_disk_that_has_space_again_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said, told = complaints(tmp_path / "app.log")
    log = LogFile(tmp_path / "app.log", max_bytes=1000, backups=1, complaints=told)
    log.write(record(0))
    with monkeypatch.context() as patch:
        patch.setattr(appending, "_write", _no_space)
        for _ in range(100):
            log.write(record(1))

    log.write(record(2))
    log.write(record(3))

    assert records(tmp_path) == once(0, 2, 3)
    assert names(tmp_path) == ["app.log"], "what was dropped has no size"
    assert said == [
        "app.log: cannot be written (No space left on device); 1 record dropped",
        "app.log: is written again; 99 records dropped",
    ]


def _no_space(fd: int, line: bytes) -> int:
    raise OSError(28, "No space left on device")


def test_a_record_that_is_written_in_part_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = LogFile(tmp_path / "app.log", max_bytes=1000, backups=1)
    monkeypatch.setattr(appending, "_write", lambda fd, line: os.write(fd, line[:30]))

    log.write(record(0))
    log.write(record(1))

    assert records(tmp_path) == once(0, 1)


@pytest.mark.parametrize("options", [{}, {"max_bytes": 10_000, "backups": 3}], ids=["plain", "rotating"])
def test_a_piece_of_a_record_never_runs_into_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, int]
) -> None:
    said, told = complaints(tmp_path / "app.log")
    log = LogFile(tmp_path / "app.log", complaints=told, **options)  # type: ignore[arg-type]  # only numbers
    log.write(record(0))

    def write(fd: int, line: bytes) -> int:
        return os.write(fd, line[:30]) if len(line) == 100 else _no_space(fd, line)

    with monkeypatch.context() as patch:
        patch.setattr(appending, "_write", write)
        log.write(record(1))

    log.write(record(2))

    assert (tmp_path / "app.log").read_bytes() == record(0) + record(1)[:30] + b"\n" + record(2)
    assert said[0] == "app.log: cannot be written (No space left on device); 1 record dropped"


def test_a_real_limit_is_met_and_lifted(tmp_path: Path) -> None:
    script = """
import resource, sys
from dispatcher.logfile import LogFile
from tests.logfile.records import record
log = LogFile(sys.argv[1], max_bytes=10_000, backups=3)
log.open()
resource.setrlimit(resource.RLIMIT_FSIZE, (250, resource.RLIM_INFINITY))
for number in range(5):
    log.write(record(number))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.write(record(5))
"""
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "app.log")], check=True, capture_output=True, text=True
    )

    expected = record(0) + record(1) + record(2)[:50] + b"\n" + record(5)
    assert (tmp_path / "app.log").read_bytes() == expected
    assert run.stderr.splitlines() == [
        f"{tmp_path}/app.log: cannot be written (File too large); 1 record dropped",
        f"{tmp_path}/app.log: is written again; 2 records dropped",
    ]


def test_a_folder_that_goes_and_comes_back_costs_nothing(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "logs"
    log = LogFile(folder / "app.log", max_bytes=1000, backups=1)
    log.write(record(0))

    folder.rename(tmp_path / "old")
    clock.now += 0.06
    log.write(record(1))

    assert records(folder) == once(1)


def test_a_path_that_cannot_be_opened_is_reported_and_tried_again(tmp_path: Path, clock: Clock) -> None:
    said, told = complaints(tmp_path / "app.log", clock)
    (tmp_path / "app.log").mkdir()
    log = LogFile(tmp_path / "app.log", complaints=told)
    log.open()
    log.write(record(0))
    log.write(record(1))

    clock.now += 10
    log.write(record(2))
    (tmp_path / "app.log").rmdir()
    clock.now += 0.02
    log.write(record(3))

    assert said == [
        f"app.log: cannot be written (Is a directory: {tmp_path}/app.log)",
        f"app.log: cannot be written (Is a directory: {tmp_path}/app.log); 3 records dropped",
        "app.log: is written again",
    ]
    assert (tmp_path / "app.log").read_bytes() == record(3)


def test_without_a_lock_file_the_log_grows_until_there_is_one(tmp_path: Path, clock: Clock) -> None:
    said, told = complaints(tmp_path / "app.log", clock)
    (tmp_path / ".app.log.lock").mkdir()
    log = LogFile(tmp_path / "app.log", max_bytes=100, backups=9, complaints=told)
    for number in range(3):
        log.write(record(number))
    assert names(tmp_path) == ["app.log"]

    (tmp_path / ".app.log.lock").rmdir()
    clock.now += 10
    log.write(record(3))

    assert names(tmp_path) == ["app.log", "app.log.1"]
    assert records(tmp_path) == once(*range(4))
    assert said == [
        f"app.log: cannot be rotated (Is a directory: {tmp_path}/.app.log.lock); it grows until that is possible"
    ]


@pytest.mark.parametrize("damage", ["chmod 644", "chmod 666", "overwritten", "foreign"])
def test_a_lock_file_of_ours_is_made_usable_again(tmp_path: Path, damage: str) -> None:
    LogFile(tmp_path / "app.log", max_bytes=100, backups=9).write(record(0))
    lock = tmp_path / ".app.log.lock"
    if damage.startswith("chmod"):
        lock.chmod(int(damage.split()[1], 8))
    else:
        lock.write_bytes(b"x" * 64 + lock.read_bytes()[64:] if damage == "overwritten" else b"somebody's letter")

    LogFile(tmp_path / "app.log", max_bytes=100, backups=9).write(record(1))

    assert names(tmp_path) == ["app.log", "app.log.1"]
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file of another user")
def test_a_lock_file_of_another_user_is_left_alone(tmp_path: Path) -> None:
    said, told = complaints(tmp_path / "app.log")
    lock = tmp_path / ".app.log.lock"
    lock.touch()
    os.chown(lock, 12345, 12345)

    LogFile(tmp_path / "app.log", max_bytes=100, backups=9, complaints=told).write(record(0))

    assert lock.stat().st_uid == 12345
    assert said == [f"app.log: cannot be rotated (belongs to another user: {lock}); it grows until that is possible"]


def test_a_damaged_lock_file_is_replaced(tmp_path: Path, clock: Clock) -> None:
    log = LogFile(tmp_path / "app.log", max_bytes=100, backups=9)
    log.write(record(0))
    shared = log._live.place.knowledge
    assert isinstance(shared, Shared)

    def damaged() -> bool:
        raise OSError(22, "Invalid argument")

    shared._mutex.acquire = damaged
    clock.now += 0.06
    log.write(record(1))
    clock.now += 0.06
    log.write(record(2))

    assert records(tmp_path) == once(0, 1, 2)
    assert names(tmp_path) == ["app.log", "app.log.1", "app.log.2"]


def test_a_log_that_cannot_be_moved_grows_and_is_tried_again_after_a_second(tmp_path: Path, clock: Clock) -> None:
    attempts = []

    def move(source: str, target: str) -> None:
        attempts.append(target)
        if len(attempts) == 1:
            raise ValueError("not now")
        Path(source).rename(target)

    said, told = complaints(tmp_path / "app.log", clock)
    log = LogFile(tmp_path / "app.log", max_bytes=100, backups=9, move=move, complaints=told)
    for number in range(4):
        log.write(record(number))
    assert names(tmp_path) == ["app.log"]

    clock.now += 1
    log.write(record(4))

    assert names(tmp_path) == ["app.log", "app.log.1"]
    assert said == ["app.log: cannot be rotated (ValueError('not now')); it grows until that is possible"]


# Writers that come late


def test_a_signal_handler_that_logs_during_a_rotation_loses_nothing(tmp_path: Path) -> None:
    def move(source: str, target: str) -> None:
        log.write(record(100 + len(moved)))
        Path(source).rename(target)
        log.write(record(200 + len(moved)))
        moved.append(target)

    moved: list[str] = []
    log = LogFile(tmp_path / "app.log", max_bytes=100, backups=99, move=move)

    for number in range(3):
        log.write(record(number))

    assert records(tmp_path) == once(0, 1, 2, *range(100, 100 + len(moved)), *range(200, 200 + len(moved)))


def _rotate_and_compress(log: LogFile) -> None:
    log.rotate()
    compression.compress_all(log._live.place.real, log._backups, log._live.place.knowledge)


def copy(source: str, target: str) -> None:
    Path(target).write_bytes(Path(source).read_bytes())
    Path(source).unlink()


@pytest.mark.parametrize("stalls", ["before the write", "after the write"])
@pytest.mark.parametrize("fate", ["renamed", "compressed", "dropped", "copied"])
def test_a_writer_that_stalls_over_a_rotation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stalls: str, fate: str
) -> None:
    log = LogFile(tmp_path / "app.log", max_bytes=1000, backups=1)
    other = LogFile(tmp_path / "app.log", max_bytes=1000, backups=1, move=copy if fate == "copied" else os.rename)
    log.write(record(0))
    other.write(record(1))

    def meanwhile() -> None:
        monkeypatch.undo()
        other.rotate() if fate != "compressed" else _rotate_and_compress(other)
        if fate == "dropped":
            other.write(record(2))
            other.rotate()

    def write(fd: int, line: bytes) -> int:
        if stalls == "before the write":
            meanwhile()
            return os.write(fd, line)
        written = os.write(fd, line)
        meanwhile()
        return written

    monkeypatch.setattr(appending, "_write", write)
    log.write(record(3))

    expected = once(2, 3) if fate == "dropped" else once(0, 1, 3)
    assert records(tmp_path) == expected


def test_a_new_file_may_have_the_number_of_a_compressed_one(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "app.log", max_bytes=1000, backups=9)
    log.write(record(0))
    note_copied(log._live.file.words, log._live.file.inode, 1000)
    log.close()
    log.write(record(1))

    (tmp_path / "app.log").unlink()
    log.write(record(2))

    assert records(tmp_path) == once(2)


def test_time_rotation_happens_at_the_first_record_after_the_boundary(tmp_path: Path, clock: Clock) -> None:
    now = 1_000_000.5
    log = LogFile(tmp_path / "app.log", when="M", utc=True, clock=lambda: now)
    log.write(record(0))
    now += 59
    log.write(record(1))

    now += 2
    clock.now += 2
    log.write(record(2))
    log.write(record(3))

    assert names(tmp_path) == ["app.log", "app.log.1970-01-12_13-46"]
    assert content(tmp_path / "app.log") == record(2) + record(3)


def test_a_file_of_an_earlier_run_belongs_to_the_period_of_its_last_record(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(record(0))
    os.utime(tmp_path / "app.log", (1_000_000, 1_000_000))

    LogFile(tmp_path / "app.log", when="M", utc=True).write(record(1))

    assert names(tmp_path) == ["app.log", "app.log.1970-01-12_13-46"]


def test_size_and_time_rotate_together(tmp_path: Path) -> None:
    now = 1_000_000.5
    log = LogFile(tmp_path / "app.log", max_bytes=100, backups=2, when="D", utc=True, clock=lambda: now)

    for number in range(5):
        log.write(record(number))

    assert names(tmp_path) == ["app.log", "app.log.1970-01-12.2", "app.log.1970-01-12.3"]
    assert records(tmp_path) == Counter("234")
