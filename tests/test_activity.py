from __future__ import annotations

import os

from dispatcher.activity import Activity, Sample, sample


def test_a_process_that_works_is_told_from_one_that_waits() -> None:
    samples = iter([Sample("S", 2.0), Sample("R", 2.0), Sample("S", 2.5), Sample("S", 2.5), Sample("D", 2.5), None])
    activity = Activity(1, 10.0, lambda pid: next(samples))

    idle = []
    for now in (11.0, 12.0, 13.0, 14.0, 15.0):
        activity.look(now)
        idle.append(activity.idle_seconds(now))

    assert idle == [0.0, 0.0, 1.0, 0.0, 1.0]
    assert activity.cpu_seconds == 0.5


def test_where_the_system_does_not_tell_a_process_counts_as_idle() -> None:
    activity = Activity(1, 10.0, lambda pid: None)

    activity.look(12.0)

    assert (activity.idle_seconds(12.0), activity.cpu_seconds) == (2.0, 0.0)


def test_a_sample_is_of_this_very_process() -> None:
    found = sample(os.getpid())

    assert found is not None
    assert found.state == "R"
    assert abs(found.cpu_seconds - sum(os.times()[:2])) < 1.0
    assert sample(2**22 + 1) is None
