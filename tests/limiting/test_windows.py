"""Each strategy against what it promises, told by a list of every hit that was admitted."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.limiting.windows import (
    FixedWindow,
    MovingLog,
    MovingSegments,
    SlidingWindowCounter,
    TokenBucket,
    Window,
    moving_window,
)
from dispatcher.shm.cells import CELL, Cells

Make = Callable[[Cells, int, int], Window]
Hits = list[tuple[int, int]]  # (time, cost) of what was admitted

START = 10**15
MAKERS: dict[str, Make] = {
    "fixed-window": FixedWindow,
    "sliding-window-counter": SlidingWindowCounter,
    "moving-window": moving_window,
    "moving segments": MovingSegments,
    "token-bucket": lambda cells, limit, window: TokenBucket(cells, limit, window, limit),
}
MOVING = ("moving-window", "moving segments")

limits = st.one_of(st.integers(1, 12), st.sampled_from([255, 256, 65535, 65536]))
windows = st.sampled_from([1, 7, 64, 1000, 60 * 10**9])


class Client:
    """One key under one limit, in a cell that held another key's counter before; remembers what was admitted."""

    def __init__(self, make: Make, limit: int, window: int) -> None:
        cells = Cells(memoryview(bytearray(b"\xa5" * 2 * CELL)))
        cells.words[(CELL >> 3) + 2] = 0
        self.words = cells.words
        self.window = make(cells, limit, window)
        self.admitted: Hits = []

    def used(self, now: int) -> int:
        return self.window.used(CELL, now)

    def wait(self, now: int, cost: int) -> int:
        return self.window.wait(CELL, now, cost)

    def hit(self, now: int, cost: int) -> bool:
        used = self.used(now)
        if used + cost > self.window.capacity:
            return False
        self.window.charge(CELL, now, used, cost)
        self.admitted.append((now, cost))
        return True

    def within(self, start: int, end: int) -> int:
        return sum(cost for time, cost in self.admitted if start < time <= end)


@st.composite
def traffic(draw: st.DrawFn) -> tuple[int, int, Hits]:
    """A limit, a window, and hits: bursts and pauses from nothing to more than two windows, of costs to the limit."""
    limit, window = draw(limits), draw(windows)
    pause = st.one_of(
        st.integers(0, 3),
        st.integers(0, window // 20),
        st.integers(0, 2 * window + 2),
        st.sampled_from([window - 1, window, window + 1, ceil(window / 63), ceil(window / 31), ceil(window / 15)]),
    )
    cost = st.one_of(st.just(1), st.integers(1, limit), st.just(limit))
    now, hits = draw(st.sampled_from([0, START])) + draw(st.integers(0, window)), []
    for step, price in draw(st.lists(st.tuples(pause, cost), max_size=60)):
        now += step
        hits.append((now, price))
    return limit, window, hits


def _play(name: str, case: tuple[int, int, Hits]) -> Client:
    limit, window, hits = case
    client = Client(MAKERS[name], limit, window)
    for now, cost in hits:
        client.hit(now, cost)
    return client


@pytest.mark.parametrize("name", MOVING)
@given(case=traffic())
def test_a_moving_window_never_admits_more_than_the_limit_in_a_windows_length(
    name: str, case: tuple[int, int, Hits]
) -> None:
    limit, window, _ = case

    client = _play(name, case)

    assert all(client.within(time - window, time) <= limit for time, _ in client.admitted)


@pytest.mark.parametrize("name", MOVING)
@given(case=traffic())
def test_a_moving_window_gives_each_hit_back_at_most_one_segment_late(name: str, case: tuple[int, int, Hits]) -> None:
    limit, window, hits = case
    client = Client(MAKERS[name], limit, window)
    segments = 63 if limit < 256 else 31 if limit < 65536 else 15
    late = 0 if isinstance(client.window, MovingLog) else ceil(window / segments) * (segments + 1) - window

    for now, cost in hits:
        assert client.within(now - window, now) <= client.used(now) <= client.within(now - window - late, now)
        client.hit(now, cost)


@given(case=traffic())
def test_a_fixed_window_admits_the_limit_in_each_window_that_a_hit_began(case: tuple[int, int, Hits]) -> None:
    limit, window, hits = case
    client = Client(FixedWindow, limit, window)
    ends, count = -1, 0
    for now, cost in hits:
        if now >= ends:
            ends, count = (now + window, 0) if cost <= limit else (ends, 0)
        fits = count + cost <= limit
        count += cost if fits else 0

        assert client.hit(now, cost) is fits


@given(case=traffic())
def test_the_weighted_counter_is_the_formula_that_limits_uses(case: tuple[int, int, Hits]) -> None:
    limit, window, hits = case
    client = Client(SlidingWindowCounter, limit, window)
    begun, previous, current = -10 * window, 0, 0
    for now, cost in hits:
        passed = now - begun
        if passed >= 2 * window:
            begun, previous, current, passed = now, 0, 0, 0
        elif passed >= window:
            begun, previous, current, passed = begun + window, current, 0, passed - window
        if not current and not previous:
            begun, passed = now, 0
        fits = previous * (window - passed) // window + current + cost <= limit
        current += cost if fits else 0

        assert client.hit(now, cost) is fits


@given(case=traffic(), burst=st.integers(1, 40))
def test_a_token_bucket_never_admits_more_than_its_burst_and_rate(case: tuple[int, int, Hits], burst: int) -> None:
    limit, window, hits = case
    client = Client(lambda cells, limit, window: TokenBucket(cells, limit, window, burst), limit, window)
    for now, cost in hits:
        client.hit(now, cost)

    for index, (start, _) in enumerate(client.admitted):
        for end, _ in client.admitted[index:]:
            assert client.within(start - 1, end) * window <= burst * window + (end - start) * limit


@given(case=traffic())
def test_a_token_bucket_admits_what_its_tokens_allow(case: tuple[int, int, Hits]) -> None:
    limit, window, hits = case
    client = Client(MAKERS["token-bucket"], limit, window)
    interval = ceil(window / limit)
    full_at = 0
    for now, cost in hits:
        fits = max(full_at - now, 0) + cost * interval <= limit * interval
        full_at = max(full_at, now) + cost * interval if fits else full_at

        assert client.hit(now, cost) is fits


@pytest.mark.parametrize("name", MAKERS)
@given(case=traffic(), data=st.data())
def test_who_waits_as_told_is_admitted_and_who_does_not_is_not(
    name: str, case: tuple[int, int, Hits], data: st.DataObject
) -> None:
    limit, _, hits = case
    client = _play(name, case)
    now = hits[-1][0] if hits else START
    cost = data.draw(st.integers(1, limit))
    if client.used(now) + cost <= limit:
        return

    wait = client.wait(now, cost)

    assert wait > 0
    assert client.used(now + wait) + cost <= limit
    assert client.used(now + wait - 1) + cost > limit


@pytest.mark.parametrize("name", MAKERS)
@given(case=traffic())
def test_the_whole_limit_is_there_again_when_the_cell_says_so(name: str, case: tuple[int, int, Hits]) -> None:
    limit, _, _ = case
    client = _play(name, case)

    assert client.hit(client.words[(CELL >> 3) + 2], limit)


@pytest.mark.parametrize("name", ["fixed-window", "moving-window", "moving segments", "token-bucket"])
@given(case=traffic())
def test_after_an_idle_window_the_whole_limit_is_there(name: str, case: tuple[int, int, Hits]) -> None:
    limit, window, _ = case
    client = _play(name, case)
    idle_since = client.admitted[-1][0] if client.admitted else 0

    # A token comes after whole nanoseconds, so a bucket fills up to `limit` of them late.
    assert client.hit(idle_since + window + (limit if name == "token-bucket" else 0), limit)


def test_a_count_that_a_killed_process_left_too_high_denies_for_a_window_at_most() -> None:
    client = Client(MovingSegments, 10, 6300)
    client.hit(START, 9)
    client.words[(CELL >> 3) + 3] += 1  # counted in the sum, not yet in the segment

    assert client.used(START) == 10
    assert client.wait(START, 10) == 6300
    assert client.used(START + 100) == 9, "the next segment counts anew"
