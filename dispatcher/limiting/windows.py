"""How each strategy counts: decisions on the memory of one cell and a time, without locks, clocks or files.

Times are whole nanoseconds of a clock that does not go back between two calls for one cell, so every comparison is
exact. What each strategy promises is in docs/limits-storage.md.

    used(at, now)                how much of `capacity` is used: `cost` fits when used + cost <= capacity
    charge(at, now, used, cost)  count a cost of at least 1; `used` is what was used before
    wait(at, now, cost)          ns after which a cost that does not fit now would fit, if nothing is charged meanwhile

`at` is the byte offset of the cell. Its `expires` is when the whole capacity is there again.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final, Protocol

from dispatcher.shm.cells import CELL, MOST, STATE, STATE_BYTES, Cells

_ZEROS: Final = bytes(STATE_BYTES)


class Window(Protocol):
    """What a strategy is to the limiter."""

    capacity: int

    def used(self, at: int, now: int) -> int: ...
    def charge(self, at: int, now: int, used: int, cost: int) -> None: ...
    def wait(self, at: int, now: int, cost: int) -> int: ...


class FixedWindow:
    """A window begins with the first hit after the last one ended."""

    __slots__ = ("_ints", "_window", "_words", "capacity")

    def __init__(self, cells: Cells, limit: int, window: int) -> None:
        self._words, self._ints = cells.words, cells.ints
        self._window = window
        self.capacity = limit

    def used(self, at: int, now: int) -> int:
        return self._ints[(at >> 2) + 6] if now < self._words[(at >> 3) + 2] else 0

    def charge(self, at: int, now: int, used: int, cost: int) -> None:
        self._ints[(at >> 2) + 6] = min(used + cost, MOST)
        if not used:
            self._words[(at >> 3) + 2] = now + self._window

    def wait(self, at: int, now: int, cost: int) -> int:  # noqa: ARG002  # all of it comes back at once
        return self._words[(at >> 3) + 2] - now


class TokenBucket:
    """The generic cell rate algorithm (ITU-T I.371): the time at which the bucket is full again is the whole state."""

    __slots__ = ("_interval", "_ints", "_words", "capacity")

    def __init__(self, cells: Cells, limit: int, window: int, burst: int) -> None:
        self._words, self._ints = cells.words, cells.ints
        self._interval = -(-window // limit)  # ns for one token; rounded up, so that the rate is never exceeded
        self.capacity = burst

    def used(self, at: int, now: int) -> int:
        missing = self._words[(at >> 3) + 2] - now
        return -(-missing // self._interval) if missing > 0 else 0

    def charge(self, at: int, now: int, used: int, cost: int) -> None:
        self._ints[(at >> 2) + 6] = min(used + cost, MOST)
        self._words[(at >> 3) + 2] = max(self._words[(at >> 3) + 2], now) + cost * self._interval

    def wait(self, at: int, now: int, cost: int) -> int:
        return self._words[(at >> 3) + 2] - now - (self.capacity - cost) * self._interval


class SlidingWindowCounter:
    """Two windows in a row; the earlier one counts by the share of it that is still within a window's length.

    The first one begins with the first hit after both have ended. Each counter carries the low bits of its window's
    number, so that one store changes both together.
    """

    __slots__ = ("_ints", "_window", "_words", "capacity")

    def __init__(self, cells: Cells, limit: int, window: int) -> None:
        self._words, self._ints = cells.words, cells.ints
        self._window = window
        self.capacity = limit

    def used(self, at: int, now: int) -> int:
        previous, current, passed = self.counts(at, now)
        return previous * (self._window - passed) // self._window + current

    def charge(self, at: int, now: int, used: int, cost: int) -> None:
        words, state = self._words, (at + STATE) >> 3
        if now >= words[(at >> 3) + 2]:
            words[state] = words[state + 1] = 0
            words[state + 2] = now
        self._ints[(at >> 2) + 6] = min(used + cost, MOST)
        begun = words[state + 2]
        number = (now - begun) // self._window
        slot = state + (number & 1)
        current = words[slot] & MOST if words[slot] >> 32 == number & MOST else 0
        words[slot] = (number & MOST) << 32 | min(current + cost, MOST)
        words[(at >> 3) + 2] = begun + (number + 2) * self._window

    def wait(self, at: int, now: int, cost: int) -> int:
        previous, current, passed = self.counts(at, now)
        spare = self.capacity - cost
        if current <= spare:
            return self._fades(previous, spare - current) - passed
        return self._window - passed + self._fades(current, spare)

    def counts(self, at: int, now: int) -> tuple[int, int, int]:
        """Hits of the earlier window, of the running one, and the ns that it has run."""
        words, state = self._words, (at + STATE) >> 3
        if now >= words[(at >> 3) + 2]:
            return 0, 0, 0
        number, passed = divmod(now - words[state + 2], self._window)
        current, previous = words[state + (number & 1)], words[state + (~number & 1)]
        return (
            previous & MOST if previous >> 32 == (number - 1) & MOST else 0,
            current & MOST if current >> 32 == number & MOST else 0,
            passed,
        )

    def _fades(self, previous: int, spare: int) -> int:
        """The ns into a window after which `previous` hits of the one before it, which are more, weigh only `spare`."""
        return self._window + 1 - -(-(spare + 1) * self._window // previous)


def moving_window(cells: Cells, limit: int, window: int) -> Window:
    """The moving window for this limit: each hit by itself where they fit into a cell, else by segments."""
    return MovingLog(cells, limit, window) if limit <= STATE_BYTES // 8 else MovingSegments(cells, limit, window)


class MovingLog:
    """The time at which each hit will be given back: exact to the nanosecond, for limits of up to 8."""

    __slots__ = ("_buffer", "_ints", "_window", "_words", "capacity")

    def __init__(self, cells: Cells, limit: int, window: int) -> None:
        self._words, self._ints, self._buffer = cells.words, cells.ints, cells.buffer
        self._window = window
        self.capacity = limit

    def used(self, at: int, now: int) -> int:
        return len(self.leaving(at, now))

    def charge(self, at: int, now: int, used: int, cost: int) -> None:
        words, state = self._words, (at + STATE) >> 3
        if not used:
            self._buffer[at + STATE : at + CELL] = _ZEROS
        self._ints[(at >> 2) + 6] = used + cost
        oldest = sorted(range(state, state + self.capacity), key=words.__getitem__)
        for slot in oldest[:cost]:
            words[slot] = now + self._window
        words[(at >> 3) + 2] = now + self._window

    def wait(self, at: int, now: int, cost: int) -> int:
        leaving = self.leaving(at, now)
        return leaving[len(leaving) + cost - self.capacity - 1] - now

    def leaving(self, at: int, now: int) -> list[int]:
        """When each of the hits that count at `now` will be given back, soonest first."""
        if now >= self._words[(at >> 3) + 2]:
            return []
        state = (at + STATE) >> 3
        times = sorted(self._words[state : state + self.capacity].tolist())
        return times[bisect_right(times, now) :]


class MovingSegments:
    """A log cut into segments: the running one, and as many before it as make a window, each counted whole.

    A window's length before `now` touches only segments that are counted, so no more than `capacity` are ever admitted
    in it. A hit is given back when its segment has wholly left, at most one segment late; or, with all the others, when
    a window has passed since the last hit. Segments begin at the same times for all keys.
    """

    __slots__ = (
        "_begun",
        "_buffer",
        "_ints",
        "_over",
        "_ring",
        "_running",
        "_segment",
        "_shift",
        "_slot",
        "_slots",
        "_window",
        "_words",
        "capacity",
    )

    def __init__(self, cells: Cells, limit: int, window: int) -> None:
        self._words, self._ints, self._buffer = cells.words, cells.ints, cells.buffer
        # No counter exceeds the limit, so a smaller limit leaves room for more and finer ones.
        self._ring, self._shift = (
            (cells.buffer, 0) if limit < 2**8 else (cells.shorts, 1) if limit < 2**16 else (cells.ints, 2)
        )
        self._slots = STATE_BYTES >> self._shift
        self._segment = -(-window // (self._slots - 1))
        self._window = window
        self.capacity = limit
        self._run(0)

    def used(self, at: int, now: int) -> int:
        expires = self._words[(at >> 3) + 2]
        if now >= expires:
            return 0
        if not self._begun <= now < self._over:
            self._run(now)
        if expires - self._window >= self._begun:
            return self._ints[(at >> 2) + 6]
        # As sum(self.counts(at, now)), at half the price: the newest segments but those that have left.
        newest, slots, ring = (expires - self._window) // self._segment, self._slots, self._ring
        first = (at + STATE) >> self._shift
        end = newest % slots + 1
        begin = end - slots + self._running - newest
        if begin >= 0:
            return sum(ring[first + begin : first + end].tolist())
        return sum(ring[first : first + end].tolist()) + sum(ring[first + slots + begin : first + slots].tolist())

    def charge(self, at: int, now: int, used: int, cost: int) -> None:
        words, index = self._words, (at >> 3) + 2
        last = words[index] - self._window
        first = (at + STATE) >> self._shift
        if not self._begun <= now < self._over:
            self._run(now)
        if now >= words[index]:
            self._buffer[at + STATE : at + CELL] = _ZEROS
        elif last < self._begun:
            self._clear(at, last // self._segment + 1)
        self._ints[(at >> 2) + 6] = used + cost
        self._ring[first + self._slot] += cost
        words[index] = now + self._window

    def wait(self, at: int, now: int, cost: int) -> int:
        expires = self._words[(at >> 3) + 2]
        excess = self.used(at, now) + cost - self.capacity
        for leaves, count in enumerate(self.counts(at, now), now // self._segment + 1):
            excess -= count
            if excess <= 0:
                return min(leaves * self._segment, expires) - now
        return expires - now

    def counts(self, at: int, now: int) -> list[int]:
        """Hits of each segment that counts at `now`, oldest first; the last one is the running segment."""
        newest = (self._words[(at >> 3) + 2] - self._window) // self._segment
        first, oldest = (at + STATE) >> self._shift, (newest + 1) % self._slots
        ring = self._ring[first : first + self._slots].tolist()
        gone = now // self._segment - newest
        return (ring[oldest:] + ring[:oldest])[gone:] + [0] * gone

    def _clear(self, at: int, oldest: int) -> None:
        """Forget what is in the slots of the segments from `oldest` to the running one."""
        begin, end, state = oldest % self._slots << self._shift, self._slot + 1 << self._shift, at + STATE
        if begin < end:
            self._buffer[state + begin : state + end] = _ZEROS[begin:end]
        else:
            self._buffer[state + begin : state + STATE_BYTES] = _ZEROS[begin:]
            self._buffer[state : state + end] = _ZEROS[:end]

    def _run(self, now: int) -> None:
        """Remember the segment that runs at `now`, for the many hits that follow in it."""
        self._running = now // self._segment
        self._begun = self._running * self._segment
        self._over = self._begun + self._segment
        self._slot = self._running % self._slots
