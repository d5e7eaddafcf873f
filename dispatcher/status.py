"""What a site that is being served does, read from the records that its processes leave in the runtime folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dispatcher import catalog, config, owner, record, runtime, serversettings
from dispatcher.errors import ConfigError, DispatcherError, Problem
from dispatcher.record import Failing, MountState, Records, Rejected, Worker
from dispatcher.shm import table
from dispatcher.shm.table import Stats


@dataclass(frozen=True, slots=True)
class Status:
    """A site at one moment: the digest of the content that is served and how many seconds it has been (`active`,
    `age_seconds`), the digest of what is `on_disk` (empty where that cannot be read), its workers, its mounts as the
    worst off of the workers has them, what was not taken last, if that is so still, and how full the limiters' tables
    are, by file."""

    file: str
    master: int
    active: str
    age_seconds: float
    on_disk: str
    workers: tuple[Worker, ...]
    mounts: tuple[MountState, ...]
    rejected: Rejected | None
    tables: Mapping[str, Stats]

    def troubles(self) -> list[str]:
        """What is not as it should be, one line for each."""
        found = [f"{one.key} is {one.state}" for one in self.mounts if one.state != "serving"]
        if not any(one.is_alive for one in self.workers):
            found.append("no worker serves")
        found += [f"worker {one.pid} is gone" for one in self.workers if not one.is_alive]
        late = [one for one in self.workers if one.is_alive and one.digest != self.active]
        found += [f"worker {one.pid} serves {one.digest}" for one in late]
        found += [
            f"{file}: the limiter's table of {one.size} bytes is full ({one.used} of {one.cells} counters in use);"
            f" counters that still mattered and were forgotten: {one.evictions}; give it a larger size"
            for file, one in self.tables.items()
            if one.too_small
        ]
        if self.rejected is not None:
            found.append("the last edit was not taken")
        elif self.on_disk != self.active:
            found.append("what is on disk is not what is served")
        return found

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        plain = asdict(self)
        plain["workers"] = [{**asdict(one), "alive": one.is_alive} for one in self.workers]
        return {**plain, "troubles": self.troubles()}


def find(file: Path) -> Records | None:
    """The records of the server that serves the site of `file`, started by this user; the latest if there are two.

    A ConfigError where another version of this package has written them."""
    found = _latest(file) or _of_workers(file)
    if found is not None:
        _check_format(found)
    return found


def _check_format(records: Records) -> None:
    try:
        records.active()
    except (ValueError, LookupError) as error:
        problem = f"the server (pid {records.master.pid}) is to be restarted: {error}"
        raise ConfigError([Problem(problem)]) from error


def _of_workers(file: Path) -> Records | None:
    """For root: what is found where the config names another user for the workers. Nobody else's records are looked
    at, because they could name any process as the server that is to be sent a signal."""
    try:
        uid = serversettings.identity(config.read(file, options=catalog.OPTIONS).server)[0]
    except DispatcherError:
        return None
    with owner.acting_as(uid):
        return _latest(file)


def _latest(file: Path) -> Records | None:
    found = [one for folder in runtime.site_folders(file) for one in record.runs(folder) if one.master.is_alive]
    return max(found, key=lambda one: one.master.started, default=None)


def read(file: Path, records: Records, now: Callable[[], float] = time.time) -> Status | None:
    """The status of the site of `file` that has left `records`; None while no worker serves yet."""
    active = records.active()
    if active is None:
        return None
    workers = tuple(records.workers())
    on_disk = _digest(file)
    rejected = records.rejected() if on_disk != active.digest else None  # else it has been put right, or was the code
    return Status(
        file=str(file),
        master=records.master.pid,
        active=active.digest,
        age_seconds=max(0.0, now() - active.since),
        on_disk=on_disk,
        workers=workers,
        mounts=_mounts([worker for worker in workers if worker.is_alive], records.failing()),
        rejected=rejected,
        tables={str(file): one for file, one in table.find_stats(records.folder.parent, time.monotonic_ns()).items()},
    )


def _digest(file: Path) -> str:
    try:
        return config.read_contents(file).digest
    except DispatcherError:
        return ""


def _mounts(workers: list[Worker], failing: Mapping[str, Failing]) -> tuple[MountState, ...]:
    """Each mount of the worker that changed last, in the worst state that a worker has it in; one that no worker has
    loaded is disabled when it was tried."""
    latest = max(workers, key=lambda worker: worker.since, default=None)
    if latest is None:
        return ()
    found = [_worst(workers, mount) for mount in latest.mounts]
    return tuple(
        replace(one, state="disabled", reason="\n".join(failing[one.key].problems))
        if one.state == "loading" and one.key in failing
        else one
        for one in found
    )


def _worst(workers: list[Worker], mount: MountState) -> MountState:
    states = [one for worker in workers for one in worker.mounts if one.key == mount.key]
    return max(states, key=lambda one: ("serving", "loading", "disabled").index(one.state))
