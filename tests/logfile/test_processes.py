"""What several processes do to one log at once: every record is in exactly one of its files, once and whole."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from mmap import mmap
from pathlib import Path
from typing import Any

import pytest

from dispatcher.logfile import LogFile, shared
from dispatcher.logfile.complaints import Complaints
from dispatcher.logfile.shared import Shared
from tests.logfile.records import content, log_files, names, once, record, records


@contextmanager
def writers(folder: Path, **options: Any) -> Iterator[list[int]]:
    """Writers to `folder`/app.log, as their process ids; they have ended after the block."""
    command = [sys.executable, "-m", "tests.logfile.writers", str(folder / "app.log"), json.dumps(options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        yield [int(program.stdout.readline()) for _ in range(options["processes"])]
        program.wait(60)
    assert program.returncode == 0


SMALL = {"max_bytes": 2000, "backups": 9999}
LARGER = {"max_bytes": 100_000, "backups": 9999}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"processes": 4, "records": 250, "log": SMALL}, id="small files"),
        pytest.param({"processes": 2, "threads": 4, "records": 100, "log": SMALL}, id="small files, threads"),
        pytest.param({"processes": 4, "records": 5000, "log": LARGER}, id="larger files"),
        pytest.param({"processes": 2, "threads": 4, "records": 2500, "log": LARGER}, id="larger files, threads"),
        pytest.param({"processes": 4, "records": 5000, "log": LARGER, "preload": True}, id="opened before the fork"),
        pytest.param({"processes": 4, "records": 2000, "log": LARGER | {"compress": "gzip"}}, id="compressed"),
        pytest.param({"processes": 4, "records": 5000, "log": LARGER, "batched": True}, id="batched"),
        pytest.param({"processes": 4, "records": 1000, "log": SMALL, "pack": True}, id="a rotator that copies"),
        pytest.param({"processes": 2, "threads": 4, "records": 500, "log": LARGER, "pack": True}, id="and threads"),
        pytest.param({"processes": 4, "records": 5000, "log": {}}, id="not rotated"),
    ],
)
def test_no_record_is_lost_or_doubled_and_no_file_is_too_large(tmp_path: Path, options: dict[str, Any]) -> None:
    with writers(tmp_path, **options):
        pass

    last = options["processes"] * options.get("threads", 1) * options["records"]
    assert records(tmp_path) == once(*range(0 if options.get("preload") else 1, last + 1))
    if max_bytes := options["log"].get("max_bytes"):
        assert max(len(content(path)) for path in log_files(tmp_path)) <= max_bytes


def acknowledged(folder: Path) -> set[str]:
    """The ids that writers have noted; the notes are taken out of the folder."""
    found: set[str] = set()
    for path in folder.glob("*.ack"):
        found.update(path.read_text().split("\n")[:-1])
        path.unlink()
    return found


def kill_all_but_one(processes: list[int], rng: random.Random) -> None:
    for process in processes[:-1]:
        time.sleep(rng.uniform(0, 0.05))
        with suppress(ProcessLookupError):  # it was faster
            os.kill(process, signal.SIGKILL)


@pytest.mark.parametrize("compress", [None, "gzip"])
def test_killed_processes_take_no_record_with_them(tmp_path: Path, compress: str | None) -> None:
    rng = random.Random(5)
    log = {"max_bytes": 20_000, "backups": 9999, "compress": compress}
    with writers(tmp_path, processes=6, records=8000, acknowledge=True, log=log) as processes:
        kill_all_but_one(processes, rng)

    expected = acknowledged(tmp_path)
    found = records(tmp_path)
    assert expected <= set(found)
    assert set(found.values()) == {1}
    assert max(len(content(path)) for path in log_files(tmp_path)) <= 20_000


def test_a_process_that_dies_holding_the_lock_holds_up_nobody(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    log = LogFile(path, max_bytes=250, backups=9)
    log.write(record(0))
    child = os.fork()
    if child == 0:
        held = Shared(str(path))
        held.__enter__()
        path.rename(tmp_path / "app.log.1")  # half of a rotation
        os._exit(0)
    os.waitpid(child, 0)

    for number in range(1, 6):
        log.write(record(number))

    assert records(tmp_path) == once(*range(6))


@contextmanager
def lock_held_by_a_stopped_process(path: Path) -> Iterator[None]:
    child = os.fork()
    if child == 0:
        held = Shared(str(path))
        held.__enter__()
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    yield
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_while_the_holder_of_the_lock_is_stopped_records_are_written_and_not_rotated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "_PATIENCE_SECONDS", 0.01)
    said: list[str] = []
    told = Complaints("app.log", lambda: 0.0, said.append)
    log = LogFile(tmp_path / "app.log", max_bytes=250, backups=9, complaints=told)
    log.write(record(0))

    with lock_held_by_a_stopped_process(tmp_path / "app.log"):
        for number in range(1, 6):
            log.write(record(number))
        (tmp_path / "app.log").rename(tmp_path / "moved.log")
        log._live.file.until = 0.0
        log.write(record(6))
        (tmp_path / "app.log").unlink()
        log.write(record(7))
        log.close()
        LogFile(tmp_path / "app.log", max_bytes=250, backups=9, complaints=told).write(record(8))
        log.write(record(9))
    assert names(tmp_path) == ["app.log", "moved.log"]
    assert records(tmp_path) == once(*range(6), 7, 8, 9)
    reason = "its lock is held by a process that does not go on"
    assert said == [f"app.log: cannot be rotated ({reason}); it grows until that is possible"]

    log._live._lock_again, log._live.file.until = 1.0, 0.0
    log.write(record(10))

    assert names(tmp_path) == ["app.log", "app.log.1", "moved.log"]
    assert records(tmp_path) == once(*range(6), *range(7, 11))


@pytest.mark.parametrize("how", ["mv", "rm"])
def test_a_log_that_is_moved_or_deleted_under_load_loses_nothing(tmp_path: Path, how: str) -> None:
    path = tmp_path / "app.log"
    with writers(tmp_path, processes=4, records=10_000, log={"max_bytes": 10**6, "backups": 99}) as processes:
        for number in range(10):
            time.sleep(0.02)
            if not path.exists():
                continue
            if how == "mv":
                path.rename(tmp_path / f"moved.{number}")
            else:
                # A second name keeps what was written up to now, for counting; the file itself is deleted later.
                path.rename(tmp_path / f"moved.{number}")
                os.link(tmp_path / f"moved.{number}", path.with_name(f"kept.{number}"))
                (tmp_path / f"moved.{number}").unlink()
    assert len(processes) == 4

    assert records(tmp_path) == once(*range(1, 40_001))


def test_a_boundary_that_several_processes_cross_at_once_rotates_once(tmp_path: Path) -> None:
    day, written = mmap(-1, 4096), mmap(-1, 4096)
    children = []
    for process in range(4):
        child = os.fork()
        if child == 0:
            log = LogFile(tmp_path / "app.log", when="D", utc=True, clock=partial(_day, day))
            end = float("inf")
            for number in range(process * 100_000, (process + 1) * 100_000):
                log.write(record(number))
                time.sleep(0.0001)
                written[process] = min(written[process] + 1, 100)
                # A clock that jumps, as this one does, is noticed within 50 ms.
                end = min(end, time.monotonic() + 0.2 if day[0] else end)
                if time.monotonic() > end:
                    break
            os._exit(0)
        children.append(child)
    while min(written[:4]) < 100:
        time.sleep(0.001)
    day[0] = 1
    for child in children:
        assert os.waitpid(child, 0)[1] == 0

    found = records(tmp_path)
    assert names(tmp_path) == ["app.log", "app.log.1970-01-01"]
    assert set(found.values()) == {1}
    for process in range(4):
        numbers = sorted(int(number) for number in found if int(number) // 100_000 == process)
        assert numbers == list(range(process * 100_000, process * 100_000 + len(numbers)))


DAY = 86_400.0


def _day(day: mmap) -> float:
    return 3600 + DAY * day[0]


@pytest.mark.soak
@pytest.mark.parametrize("max_bytes", [2000, 20_000, 1_000_000])
def test_thousands_of_rotations_lose_nothing(tmp_path: Path, max_bytes: int) -> None:
    each = 500 if max_bytes == 2000 else 5000
    for round_number in range(20):
        folder = tmp_path / str(round_number)
        folder.mkdir()
        log = {"max_bytes": max_bytes, "backups": 99_999, "compress": "gzip" if round_number % 2 else None}
        with writers(folder, processes=4, threads=2, records=each, log=log):
            pass
        assert records(folder) == once(*range(1, 8 * each + 1))
        assert max(len(content(path)) for path in log_files(folder)) <= max_bytes


@pytest.mark.soak
def test_a_minute_of_kills_loses_nothing(tmp_path: Path) -> None:
    rng = random.Random(7)
    for round_number in range(40):
        folder = tmp_path / str(round_number)
        folder.mkdir()
        log = {
            "max_bytes": rng.choice([10_000, 50_000, 200_000]),
            "backups": 99_999,
            "compress": rng.choice([None, "gzip"]),
        }
        with writers(folder, processes=6, records=8000, acknowledge=True, log=log) as processes:
            kill_all_but_one(processes, rng)
        expected = acknowledged(folder)
        found = records(folder)
        assert expected <= set(found)
        assert set(found.values()) == {1}
