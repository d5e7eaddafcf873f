"""How rotated files are called, moved aside and dropped: by number (`app.log.1` is the youngest) or by date.

Each step is one rename, in an order that a process killed between any two of them leaves every file in place, and the
next rotation goes on where it stopped. A backup is there as ``name``, as ``name.gz``, or (killed in between) as both.
All of it runs while the caller holds the lock of the log file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from dispatcher.logfile.schedule import Schedule

GZIP = ".gz"

Name = Callable[[str], str]
Move = Callable[[str, str], object]


class Backups(Protocol):
    """The rotated files of one log file."""

    def put_away(self, live: str, file: str, started: float) -> None:
        """Move `file`, started at `started` (seconds since the epoch), to the youngest backup of the log `live`."""
        ...

    def too_old(self, live: str) -> list[str]:
        """The backups of `live` that are one too many, oldest first."""
        ...

    def plain(self, live: str) -> list[str]:
        """The backups of `live` that are not compressed, youngest first."""
        ...


def same_name(name: str) -> str:
    """The `namer` for who has none."""
    return name


def forms(name: str) -> list[str]:
    """The files in which the backup `name` exists: plain, compressed, both or none."""
    return [form for form in (name, name + GZIP) if os.path.lexists(form)]


class Numbered:
    """`keep` backups, from ``.1``, the youngest, to ``.keep``."""

    def __init__(self, keep: int, name: Name = same_name, move: Move = os.rename) -> None:
        self._keep = keep
        self._name = name
        self._move = move

    def put_away(self, live: str, file: str, started: float) -> None:  # noqa: ARG002  # numbers know no time
        # A gap is what a rotation leaves that was killed half way. Only the files before it move up: moving those
        # behind it too would drop the oldest for nothing.
        names, found = [], []
        for name in self._names(live):
            names.append(name)
            found.append(forms(name))
            if not found[-1]:
                break
        gap = len(names) - 1
        for form in found[gap]:
            Path(form).unlink()
        for index in range(gap, 0, -1):
            for form in found[index - 1]:
                os.rename(form, names[index] + form.removeprefix(names[index - 1]))  # noqa: PTH104  # half the cost
        self._move(file, names[0])

    def too_old(self, live: str) -> list[str]:  # noqa: ARG002  # the last number makes room by itself
        return []

    def plain(self, live: str) -> list[str]:
        found, gaps = [], 0
        for name in self._names(live):
            if os.path.lexists(name):
                found.append(name)
            gaps += not forms(name)
            if gaps > 1:
                break  # one is from a rotation that was killed; two are the end
        return found

    def _names(self, live: str) -> Iterator[str]:
        return (self._name(f"{live}.{number}") for number in range(1, self._keep + 1))


class Dated:
    """The `keep` youngest backups (0: all), named by the begin of their periods, further ones with ``.1``, ``.2``…"""

    def __init__(self, keep: int, schedule: Schedule, name: Name = same_name, move: Move = os.rename) -> None:
        self._keep = keep
        self._schedule = schedule
        self._name = name
        self._move = move
        self._stamp = re.compile(rf"(?<!\d)({schedule.pattern})(?:\.(\d+))?(?!\d)", re.ASCII)

    def put_away(self, live: str, file: str, started: float) -> None:
        stamp = self._schedule.stamp(started)
        # Past the highest number, not into a gap: what is dropped leaves gaps at the old end.
        used = [number for (of, number) in self._found(live).values() if of == stamp]
        self._move(file, self._called(live, stamp, max(used, default=-1) + 1))
        for name in self.too_old(live):
            for form in forms(name):
                Path(form).unlink()

    def too_old(self, live: str) -> list[str]:
        return self._names(live)[: -self._keep] if self._keep else []

    def plain(self, live: str) -> list[str]:
        return [name for name in reversed(self._names(live)) if os.path.lexists(name)]

    def _names(self, live: str) -> list[str]:
        """All backups, oldest first, each once, without ``.gz``."""
        found = self._found(live)
        return sorted(found, key=lambda name: found[name])

    def _found(self, live: str) -> dict[str, tuple[str, int]]:
        """The stamp and the number of each backup."""
        found = {}
        for entry in os.listdir(os.path.dirname(live)):  # noqa: PTH208, PTH120  # paths are plain strings in here
            match = self._stamp.search(entry)
            if match is None:
                continue
            stamp, number = match[1], int(match[2] or 0)
            name = self._called(live, stamp, number)
            # Whether a file is one of ours is asked by making its name again: any namer will do, and the files of
            # another log whose name begins alike are left alone.
            if os.path.basename(name) in {entry, entry.removesuffix(GZIP)}:  # noqa: PTH119
                found[name] = (stamp, number)
        return found

    def _called(self, live: str, stamp: str, number: int) -> str:
        return self._name(f"{live}.{stamp}.{number}" if number else f"{live}.{stamp}")
