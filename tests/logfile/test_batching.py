from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import pytest

from dispatcher.logfile import BatchedLog, LogFile, appending
from dispatcher.logfile.complaints import Complaints
from tests.logfile.records import log_files, once, record, records


def batched(folder: Path, size_bytes: int = 1000, seconds: float = 3600) -> BatchedLog:
    return BatchedLog(LogFile(folder / "app.log"), size_bytes=size_bytes, seconds=seconds)


def test_records_are_collected_until_they_fill_the_buffer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    log = batched(tmp_path)

    def write(fd: int, line: bytes) -> int:
        written.append(len(line))
        return os.write(fd, line)

    monkeypatch.setattr(appending, "_write", write)

    for number in range(21):
        log.write(record(number))

    assert written == [1000, 1000]
    log.close()
    assert records(tmp_path) == once(*range(21))


def test_a_record_larger_than_the_buffer_is_written(tmp_path: Path) -> None:
    log = batched(tmp_path, size_bytes=50)

    log.write(record(0))
    log.write(record(1))
    log.close()

    assert records(tmp_path) == once(0, 1)


def test_a_batch_does_not_make_a_file_too_large(tmp_path: Path) -> None:
    log = BatchedLog(LogFile(tmp_path / "app.log", max_bytes=250, backups=99), size_bytes=1000)

    for number in range(10):
        log.write(record(number))
    log.close()

    assert max(path.stat().st_size for path in log_files(tmp_path)) <= 250
    assert records(tmp_path) == once(*range(10))


def test_records_that_are_dropped_are_counted_one_by_one() -> None:
    said: list[str] = []
    told = Complaints("full", lambda: 0.0, said.append)
    log = BatchedLog(LogFile("/dev/full", complaints=told), size_bytes=1000, seconds=3600)

    for number in range(10):
        log.write(record(number))
    log.close()

    assert said == ["full: cannot be written (No space left on device); 10 records dropped"]


def test_those_before_the_disk_was_full_are_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    told = Complaints("app.log", lambda: 0.0, said.append)
    log = BatchedLog(LogFile(tmp_path / "app.log", complaints=told), size_bytes=1000, seconds=3600)

    def write(fd: int, line: bytes) -> int:
        if len(line) < 1000:
            raise OSError(28, "No space left on device")
        return os.write(fd, line[:350])

    monkeypatch.setattr(appending, "_write", write)
    for number in range(10):
        log.write(record(number))
    log.flush()

    assert said == ["app.log: cannot be written (No space left on device); 7 records dropped"]


def test_the_oldest_record_waits_no_longer_than_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = batched(tmp_path, seconds=0.01)
    flushed = threading.Event()

    def flush() -> None:
        BatchedLog.flush(log)
        flushed.set()

    monkeypatch.setattr(log, "flush", flush)

    log.write(record(0))

    assert flushed.wait(10)
    assert records(tmp_path) == once(0)


def test_what_is_collected_is_written_at_exit(tmp_path: Path) -> None:
    script = """
import sys
from dispatcher.logfile import BatchedLog, LogFile
log = BatchedLog(LogFile(sys.argv[1]), seconds=3600)
log.write(b"one\\n")
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "app.log")], check=True)

    assert (tmp_path / "app.log").read_text() == "one\n"


def test_a_fork_neither_loses_nor_doubles_records(tmp_path: Path) -> None:
    script = """
import os, sys
from dispatcher.logfile import BatchedLog, LogFile
log = BatchedLog(LogFile(sys.argv[1]), seconds=0.01)
log.write(b"before\\n")
if os.fork() == 0:
    log.write(b"child\\n")
    log.flush()
    os._exit(0)
os.wait()
log.write(b"parent\\n")
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "app.log")], check=True)

    assert sorted((tmp_path / "app.log").read_text().split()) == ["before", "child", "parent"]


def test_a_log_is_watched_as_soon_as_a_thread_can_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    log = batched(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        log.write(record(0))
        log.write(record(1))
        assert records(tmp_path) == once(0, 1)

    log.write(record(2))

    assert log._watcher is not None
    assert records(tmp_path) == once(0, 1)
    log.close()


def test_the_thread_ends_with_its_log(tmp_path: Path) -> None:
    log = batched(tmp_path)
    log.write(record(0))
    watcher = log._watcher
    assert watcher is not None

    reference = weakref.ref(log)

    del log
    gc.collect()
    watcher.join(10)

    assert reference() is None, "it would have waited for an hour"
    assert not watcher.is_alive()
    assert records(tmp_path) == once(0)
