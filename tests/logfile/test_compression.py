from __future__ import annotations

import fcntl
import gzip
import os
import stat
import threading
import time
from itertools import islice
from pathlib import Path

import pytest

from dispatcher.logfile import LogFile, compression
from dispatcher.logfile.backups import Numbered
from dispatcher.logfile.compression import compress_all
from dispatcher.logfile.shared import Alone
from tests.logfile.records import log_files, names, once, record, records

BACKUPS = Numbered(99)


def fill(folder: Path, *names: str) -> str:
    for name in names:
        (folder / name).write_bytes(record(1))
    return str(folder / "app.log")


def wait_for_compression() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("compress "):
            thread.join(10)


def test_backups_are_compressed_in_the_background(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "app.log", max_bytes=200, backups=9, compress="gzip")

    for number in range(8):
        log.write(record(number))
        wait_for_compression()

    assert names(tmp_path) == ["app.log", "app.log.1.gz", "app.log.2.gz", "app.log.3.gz"]
    assert records(tmp_path) == once(*range(8))
    assert {stat.S_IMODE(path.stat().st_mode) for path in log_files(tmp_path)} == {0o640}


def test_without_a_thread_records_are_written_and_the_next_rotation_compresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    log = LogFile(tmp_path / "app.log", max_bytes=100, backups=9, compress="gzip")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        for number in range(3):
            log.write(record(number))
    assert names(tmp_path) == ["app.log", "app.log.1", "app.log.2"]

    log.write(record(3))
    wait_for_compression()

    assert names(tmp_path) == ["app.log", "app.log.1.gz", "app.log.2.gz", "app.log.3.gz"]
    assert records(tmp_path) == once(*range(4))


def test_a_namer_that_fails_once_does_not_end_compression(tmp_path: Path) -> None:
    def name(backup: str) -> str:
        if threading.current_thread().name.startswith("compress ") and not failed:
            failed.append(backup)
            raise ValueError("not now")
        return backup

    failed: list[str] = []
    log = LogFile(tmp_path / "app.log", max_bytes=100, backups=9, compress="gzip", name=name)

    for number in range(3):
        log.write(record(number))
        wait_for_compression()

    assert failed
    assert names(tmp_path) == ["app.log", "app.log.1.gz", "app.log.2.gz"]


def test_a_rotation_during_compression_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = LogFile(tmp_path / "app.log", max_bytes=100, backups=99)
    for number in range(3):
        log.write(record(number))
    more = iter(range(3, 9))

    def sleep(seconds: float) -> None:
        for number in islice(more, 1):
            log.write(record(number))

    monkeypatch.setattr(time, "sleep", sleep)

    compress_all(log._live.place.real, log._backups, log._live.place.knowledge)

    assert records(tmp_path) == once(*range(9))


def test_what_was_written_late_is_compressed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live = fill(tmp_path, "app.log", "app.log.1")
    late = (tmp_path / "app.log.1").open("ab", buffering=0)
    monkeypatch.setattr(os, "fsync", lambda fd: late.write(record(2)))

    compress_all(live, BACKUPS, Alone())
    assert names(tmp_path) == ["app.log", "app.log.1"], "it has grown: not now"
    monkeypatch.undo()
    compress_all(live, BACKUPS, Alone())

    assert gzip.decompress((tmp_path / "app.log.1.gz").read_bytes()) == record(1) + record(2)
    late.close()


@pytest.mark.parametrize("step", ["fsync", "rename", "unlink"])
def test_a_compression_that_is_killed_at_any_step_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    live = fill(tmp_path, "app.log.1")

    def killed(*arguments: object) -> None:
        os._exit(9)

    child = os.fork()
    if child == 0:
        monkeypatch.setattr(os if step == "fsync" else Path, step, killed)
        compress_all(live, BACKUPS, Alone())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert (tmp_path / "app.log.1").exists()

    compress_all(live, BACKUPS, Alone())

    assert records(tmp_path) == once(1)
    assert [path.name for path in tmp_path.iterdir()] == ["app.log.1.gz"]


def test_a_compressed_file_of_other_content_is_not_overwritten(tmp_path: Path) -> None:
    live = fill(tmp_path, "app.log.1")
    (tmp_path / "app.log.1.gz").write_bytes(gzip.compress(record(2)))

    compress_all(live, BACKUPS, Alone())

    assert records(tmp_path) == once(1, 2)


def test_only_one_process_compresses(tmp_path: Path) -> None:
    live = fill(tmp_path, "app.log.1")
    ready, told = os.pipe()
    done, tell = os.pipe()
    child = os.fork()
    if child == 0:
        with (tmp_path / ".app.log.gz").open("wb") as scratch:
            fcntl.lockf(scratch, fcntl.LOCK_EX)
            os.write(told, b"x")
            os.close(tell)
            os.read(done, 1)
            os._exit(0)
    os.read(ready, 1)

    compress_all(live, BACKUPS, Alone())
    assert names(tmp_path) == ["app.log.1"]
    os.close(tell)
    os.waitpid(child, 0)
    compress_all(live, BACKUPS, Alone())

    assert names(tmp_path) == ["app.log.1.gz"]
    for descriptor in (ready, told, done):
        os.close(descriptor)


def test_a_full_disk_leaves_the_plain_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live = fill(tmp_path, "app.log.1")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    compression.start(live, BACKUPS, Alone())
    wait_for_compression()

    assert [path.name for path in tmp_path.iterdir()] == ["app.log.1"]
