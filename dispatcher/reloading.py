"""Asks a running server for new workers, which load new code, and waits until they serve."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final

from dispatcher import catalog, config, serversettings, status
from dispatcher.errors import DispatcherError
from dispatcher.record import Records, Rejected
from dispatcher.status import Status
from dispatcher.trial import try_all

_WAIT_SECONDS: Final = 60.0  # beside the time that the apps may take to load
_LOOK_SECONDS: Final = 0.05


def check(file: Path, records: Records) -> Sequence[str]:
    """What would go wrong with the code and the config as they are now; a mount that fails already may."""
    try:
        contents = config.read_contents(file)
        site = config.read(file, options=catalog.OPTIONS, contents=contents)
    except DispatcherError as error:
        return [str(problem) for problem in error.problems]
    failing = {mount.key for worker in records.workers() for mount in worker.mounts if mount.state != "serving"}
    outcome = try_all(
        site,
        contents,
        [mount.key for mount in site.mounts],
        environ={**os.environ, **serversettings.environment(site.server)},
    )
    bad = [key for key in outcome.failed if key not in failing or site.strict]
    return [*outcome.fatal, *(text for key in bad for text in outcome.failed[key].texts())]


def ask(
    file: Path,
    records: Records,
    *,
    wait: bool,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Sequence[str]:
    """Have the server of `records` replace its workers; with `wait`, return when they serve what is on disk, or say
    why they do not."""
    before = {worker.pid for worker in records.workers() if worker.is_alive}
    rejected = records.rejected()
    if not records.master.is_alive:  # asked again at the last moment: a later process may have its pid
        return [_ended(records)]
    os.kill(records.master.pid, signal.SIGHUP)
    if not wait:
        return []
    site = config.read(file, options=catalog.OPTIONS)
    expected = min(len(before), site.server.get("workers", len(before)))
    deadline = clock() + _WAIT_SECONDS + site.load_timeout
    while clock() < deadline:
        sleep(_LOOK_SECONDS)
        if not records.master.is_alive:
            return [_ended(records)]
        if problems := _refused(records.rejected(), rejected):
            return problems
        if _are_new(status.read(file, records), before, expected):
            return []
    return [f"the workers were not replaced within {_WAIT_SECONDS + site.load_timeout:g}s; the server's log says why"]


def _ended(records: Records) -> str:
    return f"the server (pid {records.master.pid}) has ended; its log says why"


def _refused(now: Rejected | None, before: Rejected | None) -> Sequence[str]:
    return now.problems if now is not None and now != before else ()


def _are_new(found: Status | None, before: Collection[int], expected: int) -> bool:
    """Whether at least `expected` workers serve, none of them is one of those `before`, and all serve what is on
    disk."""
    alive = [worker for worker in found.workers if worker.is_alive] if found is not None else []
    return len(alive) >= max(1, expected) and all(
        worker.pid not in before and found is not None and worker.digest == found.active == found.on_disk
        for worker in alive
    )
