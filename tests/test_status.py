from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from limits import parse

from dispatcher import config, runtime, status
from dispatcher.errors import ConfigError
from dispatcher.limiting.shared import SharedLimiter
from dispatcher.record import Active, Failing, MountState, Process, Records, Rejected, Worker
from dispatcher.status import Status

ME = Process.of(os.getpid())
ENDED = Process(2**22 + 1, 5)  # more than any pid


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    base = tmp_path / "session"
    base.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
    file = tmp_path / "config.yaml"
    file.write_text("mounts: {}\n")
    return file


@pytest.fixture
def records(file: Path) -> Records:
    """The records of a server that has one worker, both of them this process."""
    records = Records(runtime.site_folder(file), ME)
    records.activate(Active(config.read_contents(file), 1000.0))
    records.write_worker(worker(file))
    return records


def worker(file: Path, *mounts: MountState) -> Worker:
    digest = config.read_contents(file).digest
    return Worker(ME.pid, ME.started, digest, 1000.0, mounts or (MountState("/", "lab:app", "serving"),))


def read(file: Path, records: Records) -> Status:
    found = status.read(file, records, now=lambda: 1090.0)
    assert found is not None
    return found


def test_a_site_without_trouble(file: Path, records: Records) -> None:
    found = read(file, records)

    assert found.troubles() == []
    assert (found.active, found.age_seconds, found.master) == (config.read_contents(file).digest, 90.0, ME.pid)
    assert [mount.key for mount in found.mounts] == ["/"]


def test_a_table_of_counters_that_is_too_small_is_said(file: Path, records: Records) -> None:
    path = runtime.site_folder(file) / "limits-4096"
    limiter = SharedLimiter(path, (parse("1/hour"),), size=4096)
    for number in range(1000):
        limiter.hit(str(number))
    forgotten = limiter.stats().evictions

    found = read(file, records)

    assert found.troubles() == [
        f"{path}: the limiter's table of 4096 bytes is full (40 of 40 counters in use);"
        f" counters that still mattered and were forgotten: {forgotten}; give it a larger size"
    ]
    assert json.loads(json.dumps(found.as_json()))["tables"][str(path)]["evictions"] == forgotten


def test_nothing_is_known_before_something_is_served(file: Path) -> None:
    assert status.read(file, Records(runtime.site_folder(file), ME)) is None


@pytest.mark.parametrize(
    ("state", "trouble"),
    [
        pytest.param(MountState("/", "lab:app", "disabled", "no module"), "/ is disabled", id="a mount fails"),
        pytest.param(MountState("/", "lab:app", "loading"), "/ is loading", id="a mount is being loaded"),
    ],
)
def test_a_mount_that_does_not_serve_is_a_trouble(
    file: Path, records: Records, state: MountState, trouble: str
) -> None:
    records.write_worker(worker(file, state))

    assert read(file, records).troubles() == [trouble]


def test_a_mount_that_was_tried_in_vain_has_its_reason(file: Path, records: Records) -> None:
    records.write_worker(worker(file, MountState("/", "lab:app", "loading")))
    records.write_failing({"/": Failing(("config.yaml:1:1: no module",))})

    (mount,) = read(file, records).mounts

    assert (mount.state, mount.reason) == ("disabled", "config.yaml:1:1: no module")


def test_a_mount_is_in_the_worst_state_that_any_worker_has_it_in(file: Path, records: Records) -> None:
    other = Process.of(os.getppid())
    disabled = MountState("/", "lab:app", "disabled", "why")
    records.write_worker(replace(worker(file, disabled), pid=other.pid, started=other.started, since=1.0))

    assert read(file, records).mounts == (disabled,)


def test_workers_that_are_gone_or_late_are_troubles(file: Path, records: Records) -> None:
    records.write_worker(replace(worker(file), digest="old"))
    records.write_worker(Worker(ENDED.pid, ENDED.started, "old", 1.0, ()))

    assert read(file, records).troubles() == [f"worker {ENDED.pid} is gone", f"worker {ME.pid} serves old"]


def test_an_edit_that_was_not_taken_is_a_trouble_and_so_is_one_that_is_not_yet(file: Path, records: Records) -> None:
    file.write_text("mounts: [")
    before = read(file, records).troubles()
    records.reject(Rejected((1,), "abc", 5.0, ("config.yaml:1:9: wrong",)))

    assert before == ["what is on disk is not what is served"]
    assert read(file, records).troubles() == ["the last edit was not taken"]


def test_an_edit_that_was_taken_back_is_no_trouble(file: Path, records: Records) -> None:
    records.reject(Rejected((1,), "abc", 5.0, ("config.yaml:1:9: wrong",)))

    found = read(file, records)

    assert (found.rejected, found.troubles()) == (None, [])


def test_a_server_without_any_worker_is_in_trouble(file: Path, records: Records) -> None:
    records.remove_worker(ME.pid)
    none = read(file, records).troubles()
    records.write_worker(Worker(ENDED.pid, ENDED.started, config.read_contents(file).digest, 1.0, ()))

    assert none == ["no worker serves"]
    assert read(file, records).troubles() == ["no worker serves", f"worker {ENDED.pid} is gone"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("part", ["", ".."], ids=["the site's folder", "the user's folder"])
def test_the_records_of_another_user_are_not_looked_at(file: Path, records: Records, part: str) -> None:
    os.chown(records.folder.parent / part, 12345, 12345)

    assert status.find(file) is None


def test_the_records_of_another_version_are_told(file: Path, records: Records) -> None:
    (records.folder / "active.json").write_text("{}")

    with pytest.raises(ConfigError) as caught:
        status.find(file)

    assert [str(problem) for problem in caught.value.problems] == [
        f"the server (pid {ME.pid}) is to be restarted: "
        f"{records.folder}/active.json was written by another version of dispatcher"
    ]


def test_a_file_that_cannot_be_read_is_not_what_is_served(file: Path, records: Records) -> None:
    file.unlink()

    found = read(file, records)

    assert (found.on_disk, found.troubles()) == ("", ["what is on disk is not what is served"])


def test_the_same_is_there_for_programs(file: Path, records: Records) -> None:
    plain = json.loads(json.dumps(read(file, records).as_json()))

    assert plain["workers"][0]["alive"] is True
    assert (plain["mounts"][0]["state"], plain["rejected"], plain["troubles"]) == ("serving", None, [])


def test_a_server_is_found_while_it_runs(file: Path, records: Records) -> None:
    Records(runtime.site_folder(file), ENDED).activate(Active(config.read_contents(file), 1.0))
    found = status.find(file)

    assert found is not None
    assert found.master == ME
    records.remove()
    assert status.find(file) is None


def test_a_server_is_found_whose_session_folder_the_shell_does_not_know(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")  # as of a service of the system
    records = Records(runtime.site_folder(file), ME)
    records.activate(Active(config.read_contents(file), 1.0))
    try:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(file.parent / "session"))
        found = status.find(file)
    finally:
        records.remove()
        records.folder.parent.rmdir()

    assert found is not None
    assert found.folder == records.folder
