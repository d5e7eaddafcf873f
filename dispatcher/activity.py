"""Is a process at work, or does it wait for something? From its CPU time and state, where the system tells (Linux)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
_AT_WORK: Final = "RD"  # on a CPU or in the queue for one, or reading from a disk


class Sample(NamedTuple):
    """What proc(5) says of a process: the `state` of its main thread, and the CPU seconds that it has used."""

    state: str
    cpu_seconds: float


def sample(pid: int) -> Sample | None:
    """None where there is no /proc, or no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return Sample(fields[0], (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND)


class Activity:
    """What one process does from now on; `look` is to be called several times while it counts as idle or not."""

    def __init__(self, pid: int, now: float, sample: Callable[[int], Sample | None] = sample) -> None:
        self._pid = pid
        self._sample = sample
        self._worked_at = now
        self._used = self._begun_with = self._cpu_seconds()

    def _cpu_seconds(self) -> float:
        found = self._sample(self._pid)
        return 0.0 if found is None else found.cpu_seconds

    def look(self, now: float) -> None:
        found = self._sample(self._pid)
        if found is not None and (found.state in _AT_WORK or found.cpu_seconds > self._used):
            self._used, self._worked_at = found.cpu_seconds, now

    @property
    def cpu_seconds(self) -> float:
        """The CPU time that it has used meanwhile."""
        return self._used - self._begun_with

    def idle_seconds(self, now: float) -> float:
        """For how long it has done nothing."""
        return now - self._worked_at
