from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import pytest

from dispatcher.record import Process, Records
from dispatcher.spare import Spare
from dispatcher.trial import Trial


class Machine:
    """A clock, and interpreters that only count."""

    def __init__(self, folder: Path) -> None:
        self.now = 64.0
        self.started = 0
        self.running = 0
        self.is_usable = True
        self.records = Records(folder, Process.of(os.getpid()))
        self.spares: list[Spare] = []

    def start(self, environ: Mapping[str, str]) -> Trial:
        self.started += 1
        self.running += 1
        return cast(Trial, self)

    def close(self) -> None:
        self.running -= 1

    def spare(self) -> Spare:
        spare = Spare(self.records, {}, clock=lambda: self.now, start=self.start)
        self.spares.append(spare)
        return spare


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    for spare in machine.spares:
        spare.close()


def test_there_is_none_while_nothing_changes(machine: Machine) -> None:
    spare = machine.spare()

    spare.tend()

    assert (machine.started, spare.is_ours, spare.trial) == (0, False, None)


def test_one_worker_of_the_site_has_one(machine: Machine) -> None:
    first, second = machine.spare(), machine.spare()

    for spare in (first, second, first, second):
        spare.warm()
        spare.tend()

    assert (machine.started, first.is_ours, second.is_ours) == (1, True, False)


def test_one_that_has_ended_is_replaced_at_the_next_change(machine: Machine) -> None:
    spare = machine.spare()
    spare.warm()
    machine.is_usable = False

    spare.warm()

    assert (machine.started, machine.running) == (2, 1)


def test_it_ends_a_minute_after_the_last_change_and_another_worker_may_have_one(machine: Machine) -> None:
    first, second = machine.spare(), machine.spare()
    first.warm()
    machine.now += 59
    first.warm()
    machine.now += 59
    first.tend()
    during = machine.running
    machine.now += 1
    first.tend()
    second.warm()

    assert (during, machine.started, machine.running) == (1, 2, 1)
    assert (first.is_ours, second.is_ours) == (False, True)
