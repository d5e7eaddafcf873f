from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dispatcher import record, runtime
from dispatcher.config import Contents
from dispatcher.record import Active, MountState, Process, Records, Rejected, Worker

ME = Process.of(os.getpid())
ENDED = Process(2**22 + 1, 5)  # more than any pid


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path / "site", ME)


def active(text: bytes, env: bytes | None = None) -> Active:
    return Active(Contents(text, env), 12.5, ("/late",))


def worker(process: Process) -> Worker:
    return Worker(process.pid, process.started, "abc", 1.0, (MountState("/", "lab:app", "disabled", "why"),))


def test_nothing_is_recorded_at_first(records: Records) -> None:
    assert (records.active(), records.active_stamp(), records.rejected(), records.workers()) == (None, (0, 0), None, [])


@pytest.mark.parametrize("env", [None, b"", b"A=\xff"], ids=["no .env", "an empty one", "one that is not UTF-8"])
def test_the_active_content_comes_back_to_the_byte(records: Records, env: bytes | None) -> None:
    given = active(b"\xef\xbb\xbfmounts:\r\n  caf\xc3\xa9\n", env)

    records.activate(given)

    assert records.active() == given


def test_the_first_to_activate_is_the_only_first(records: Records) -> None:
    records.activate_first(active(b"one"))
    before = records.active_stamp()
    records.activate_first(active(b"two"))

    assert records.active() == active(b"one")
    assert records.active_stamp() == before


def test_the_stamp_tells_that_something_was_activated(records: Records) -> None:
    records.activate(active(b"one"))
    before = records.active_stamp()
    records.activate(active(b"one"))

    assert records.active_stamp() != before


def test_a_rejected_content_is_kept_until_it_is_forgotten(records: Records) -> None:
    rejected = Rejected((1, 2), "abc", 3.5, ("config.yaml:1:1: wrong", "and more"))

    records.reject(rejected)
    kept = records.rejected()
    records.forget_rejected()
    records.forget_rejected()

    assert (kept, records.rejected()) == (rejected, None)


def test_a_worker_tells_what_it_serves(records: Records) -> None:
    records.write_worker(worker(ME))

    assert records.workers() == [worker(ME)]
    assert records.workers()[0].is_alive


def test_only_one_has_the_lock(records: Records) -> None:
    lock = records.lock()
    assert lock is not None

    assert records.lock() is None
    lock.release()
    again = records.lock()
    assert again is not None
    again.release()


def test_a_fork_does_not_give_the_lock_away(records: Records) -> None:
    lock = records.lock()
    assert lock is not None
    pid = os.fork()
    if pid == 0:
        lock.release()
        os._exit(0)
    os.waitpid(pid, 0)

    assert records.lock() is None
    lock.release()


def test_what_has_ended_is_removed(tmp_path: Path, records: Records) -> None:
    other = Records(tmp_path / "site", ENDED)
    other.activate(active(b"secret"))
    records.write_worker(worker(ME))
    records.write_worker(worker(ENDED))

    records.remove_stale()

    assert not other.folder.exists()
    assert [one.pid for one in records.workers()] == [ME.pid]


def test_runs_are_listed_with_the_latest_last(tmp_path: Path) -> None:
    for process in (Process(7, 900), Process(8, 20), ENDED):
        Records(tmp_path, process).activate(active(b"x"))
    (tmp_path / "limits").touch()  # what else lies in the folder of a site

    assert [one.master for one in record.runs(tmp_path)] == [ENDED, Process(8, 20), Process(7, 900)]


def _belongs_to_somebody(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(path, 12345, 12345)


def _is_a_link(path: Path) -> None:
    elsewhere = path.rename(path.with_name("elsewhere"))
    path.symlink_to(elsewhere)


@pytest.mark.parametrize("level", range(4), ids=["the user's folder", "the site's", "the run's", "the file"])
@pytest.mark.parametrize(
    "prepare",
    [_belongs_to_somebody, lambda path: path.chmod(0o722), _is_a_link],
    ids=["of another user", "writable by others", "a link"],
)
def test_what_another_user_could_have_written_is_not_there(
    tmp_path: Path, prepare: Callable[[Path], object], level: int
) -> None:
    user = tmp_path / f"dispatcher-{os.geteuid()}"
    records = Records(user / "0123456789abcdef", ME)
    records.activate(active(b"mounts: {/: 'evil:app'}"))
    records.hold()
    before = (records.is_held(), record.runs(records.folder.parent) != [])

    prepare((user, records.folder.parent, records.folder, records.folder / "active.json")[level])

    assert before == (True, True)
    assert (records.active(), records.active_stamp()) == (None, (0, 0))
    assert (records.is_held(), record.runs(records.folder.parent) != []) == ((level == 3,) * 2)


def test_a_pipe_in_the_place_of_a_record_is_not_waited_for(records: Records) -> None:
    records.hold()
    os.mkfifo(records.folder / "active.json", 0o600)

    assert records.active() is None


@pytest.mark.parametrize("text", ["{}", '{"format": 2, "digest": "abc"}'], ids=["without a format", "a later one"])
def test_a_record_of_another_version_is_refused(records: Records, text: str) -> None:
    records.activate(active(b"one"))
    file = records.folder / "active.json"
    file.write_text(text)

    with pytest.raises(ValueError, match=re.escape(f"{file} was written by another version of dispatcher")):
        records.active()


def test_an_error_of_the_disk_is_not_taken_for_a_record_that_is_missing(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: Path) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(runtime, "open_ours", fail)

    with pytest.raises(OSError, match="Input/output error"):
        records.active()


def test_a_run_is_removed_whole(records: Records) -> None:
    records.activate(active(b"secret"))
    records.write_worker(worker(ME))

    records.remove()

    assert not records.folder.exists()


def test_the_files_are_for_their_user_alone(records: Records) -> None:
    records.activate(active(b"secret"))

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (records.folder, records.folder / "active.json")}
    assert modes == {records.folder.name: 0o700, "active.json": 0o600}
    assert [path.name for path in records.folder.iterdir()] == ["active.json"]


def test_a_process_is_told_from_a_later_one_of_the_same_pid() -> None:
    assert ME.is_alive
    assert not Process(ME.pid, ME.started + 1).is_alive
    assert not ENDED.is_alive


def test_a_process_that_waits_for_its_parent_has_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = Process.of(child.pid)
    alive = process.is_alive
    assert child.stdin is not None

    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is not collected

    assert (alive, process.is_alive) == (True, False)
    child.stdin.close()
    child.wait()
