"""The limiter that needs no server: exact for all processes and threads of a host, in memory that they share.

    limiter = SharedLimiter(path, (parse("100/minute"),))
    limiter.hit("203.0.113.7").allowed

The file at `path` is made on construction, private to this user. Limiters of one process with the same path share one
mapping; all limiters with the same path share one table, in which limits keep separate counts unless their strategy,
amount, window and namespace are the same, and all of them must name the same `size`. Made before a fork or after it,
a limiter counts the same; should the file be replaced, it moves to the new one within a second. A table that is
damaged, or that cannot be locked because whoever holds it is stopped, is replaced by a new one.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from limits import RateLimitItem

from dispatcher.limiting.decision import Decision
from dispatcher.limiting.places import Place, Places, charge, expires, look
from dispatcher.limiting.windows import FixedWindow, SlidingWindowCounter, TokenBucket, Window, moving_window
from dispatcher.runtime import make_folder
from dispatcher.shm.cells import LONGEST_SECONDS, MOST, Cells
from dispatcher.shm.table import DAMAGE, DEFAULT_SIZE, Stats, Table, Tag, open_table

STRATEGIES: Final = ("moving-window", "fixed-window", "sliding-window-counter", "token-bucket")

_SECOND: Final = 10**9
_SAY_EVERY_SECONDS: Final = 60.0
_MARGIN: Final = 1000  # ns that a wait may lose as a float of seconds, on its way to a client and back


_log: Final = logging.getLogger("dispatcher.limiter")


class SharedLimiter:
    """Counts hits against `limits` by one of `STRATEGIES`; `burst` is the size of a token bucket, by default the
    limit's amount. OSError if the file cannot be made or its folder is not safe, ValueError for impossible limits."""

    def __init__(
        self,
        path: Path,
        limits: Sequence[RateLimitItem],
        *,
        strategy: str = "moving-window",
        burst: int | None = None,
        namespace: str = "",
        size: int = DEFAULT_SIZE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        _check(limits, strategy, burst)
        self._clock = clock
        self._limits = tuple(_Limit(item, strategy, burst, namespace) for item in limits)
        self._look_at = 0
        self._renew_at = self._say_at = -math.inf
        make_folder(path.parent)
        self._counters = _Counters(open_table(path, size), self._limits)

    def hit(self, key: str, cost: int = 1) -> Decision:
        """Count `cost` for `key` against every limit, or against none when one of them denies.

        A cost of 0 only looks. A cost above a limit is never allowed; `retry_after` is then that limit's window.
        """
        if cost < 0:
            raise ValueError(f"a cost is at least 0, not {cost}")
        counters = self._counters  # read once: another thread may be moving to a new table
        places = counters.places.known.get(key) or counters.places[key]
        table = counters.table
        try:
            if table.acquire():
                table.note_death()
            now = int(self._clock() * _SECOND)  # inside, so that the times a cell sees never go back
            if len(places) == 1:
                place = places[0]
                allowed, left, wait = _decide(table, place, now, cost)
            else:
                place, allowed, left, wait = _decide_all(table, places, now, cost)
            reset = table.cells.words[(place.at >> 3) + 2] - now if place.at else 0
        except DAMAGE as damage:
            return self._hit_anew(counters, damage, key, cost)
        finally:
            table.release()
        if now >= self._look_at:
            self._look(now)
        reset_after = reset / _SECOND if reset > 0 else 0.0
        return Decision(allowed, place.limit.item, left, reset_after, (wait + _MARGIN) / _SECOND if wait else 0.0)

    def _hit_anew(self, counters: _Counters, damage: Exception, key: str, cost: int) -> Decision:
        """The hit in a new table, as the old one is damaged; it is allowed where there is none to be had."""
        now = self._clock()
        try:
            if self._counters is counters:
                if now < self._renew_at:
                    raise damage
                self._renew_at = now + 1
                self._counters = _Counters(counters.table.renewed(damage), self._limits)
            return self.hit(key, cost)
        except DAMAGE as failure:
            if now >= self._say_at:
                self._say_at = now + _SAY_EVERY_SECONDS
                _log.error("%s cannot be used (%s): requests are let through uncounted", counters.table.path, failure)
        item = self._limits[0].item
        return Decision(True, item, max(0, item.amount - cost), 0.0, 0.0)

    def stats(self) -> Stats:
        """How full the table is, and whether it is too small; takes some milliseconds."""
        return self._counters.table.stats(int(self._clock() * _SECOND))

    def _look(self, now: int) -> None:
        """Once a second: what costs too much for each hit."""
        self._look_at = now + _SECOND
        table = self._counters.table
        table.warn()
        newer = table.follow()
        if newer is not table:
            self._counters = _Counters(newer, self._limits)


class _Limit:
    """One limit with its strategy, before it knows a table."""

    __slots__ = ("_burst", "_strategy", "item", "prefix", "window_ns")

    def __init__(self, item: RateLimitItem, strategy: str, burst: int | None, namespace: str) -> None:
        self.item = item
        self.window_ns = item.get_expiry() * _SECOND
        self._strategy, self._burst = strategy, burst
        # What makes two counts one; repr keeps its parts apart, whatever is in them.
        self.prefix = repr((namespace, strategy, item.amount, item.get_expiry(), burst)).encode()

    def window(self, cells: Cells) -> Window:
        amount = self.item.amount
        match self._strategy:
            case "fixed-window":
                return FixedWindow(cells, amount, self.window_ns)
            case "sliding-window-counter":
                return SlidingWindowCounter(cells, amount, self.window_ns)
            case "token-bucket":
                return TokenBucket(cells, amount, self.window_ns, self._burst or amount)
            case _:
                return moving_window(cells, amount, self.window_ns)


class _Place(Place):
    """A place that knows its limit; no room for 1 before `full_until`, as long as its cell's `expires` is `full_as`."""

    __slots__ = ("full_as", "full_until", "limit")

    def __init__(self, limit: _Limit, window: Window, tag: Tag) -> None:
        self.window = window  # not by the base class: this is done for each client that is not remembered
        self.first, self.second = tag
        self.at = self.used = self.full_as = self.full_until = 0
        self.limit = limit


class _Counters:
    """The limits in one table."""

    def __init__(self, table: Table, limits: Sequence[_Limit]) -> None:
        self.table = table
        self.places: Places[str, list[_Place]] = Places(self._find)
        self._limits = [(limit, limit.window(table.cells), table.tagger(limit.prefix)) for limit in limits]
        self._one = self._limits[0] if len(limits) == 1 else None

    def _find(self, key: str) -> list[_Place]:
        name = key.encode(errors="surrogatepass")
        if self._one is not None:
            limit, window, tag = self._one
            return [_Place(limit, window, tag(name))]
        return [_Place(limit, window, tag(name)) for limit, window, tag in self._limits]


def _decide(table: Table, place: _Place, now: int, cost: int) -> tuple[bool, int, int]:
    """Whether the hit is allowed, and so counted, what is left, and the ns until the next one is. Needs the mutex."""
    words, index = table.cells.words, place.at >> 3
    if words[index] == place.first and words[index + 1] == place.second:
        if now < place.full_until and words[index + 2] == place.full_as and cost == 1:
            return False, 0, place.full_until - now
        used = place.window.used(place.at, now)
    else:
        used = look(table, place, now)
    left = place.window.capacity - used - cost
    if left < 0:
        return False, max(left + cost, 0), _wait(table, place, now, cost)
    if cost:
        place.used = used
        charge(table, place, now, cost)
    return True, left, place.window.wait(place.at, now, cost) if left < cost else 0


def _wait(table: Table, place: _Place, now: int, cost: int) -> int:
    if cost > place.window.capacity:
        return place.limit.window_ns
    table.note_denial(place.at)
    wait = place.window.wait(place.at, now, cost)
    if cost == 1:  # remembered, because a client over its limit may knock a thousand times a second
        place.full_until, place.full_as = now + wait, expires(table, place)
    return wait


def _decide_all(table: Table, places: list[_Place], now: int, cost: int) -> tuple[_Place, bool, int, int]:
    """The place that decides, and the same as `_decide` for all of them."""
    chosen, least, longest = places[0], MOST, 0
    for place in places:
        left = place.window.capacity - look(table, place, now) - cost
        if left < 0:
            wait = _wait(table, place, now, cost)
            if wait > longest:
                chosen, least, longest = place, max(left + cost, 0), wait
        elif left < least and not longest:
            chosen, least = place, left
    if longest:
        return chosen, False, least, longest
    if cost:
        for place in places:
            charge(table, place, now, cost)
            if place.window.capacity - place.used < 2 * cost:
                longest = max(longest, place.window.wait(place.at, now, cost))
    return chosen, True, least, longest


def _check(limits: Sequence[RateLimitItem], strategy: str, burst: int | None) -> None:
    if strategy not in STRATEGIES:
        raise ValueError(f"unknown strategy {strategy!r}; there are {', '.join(STRATEGIES)}")
    if burst is not None and strategy != "token-bucket":
        raise ValueError(f"burst is for the strategy token-bucket, not for {strategy}")
    if burst is not None and not 1 <= burst <= MOST:
        raise ValueError(f"a burst is between 1 and {MOST}, not {burst}")
    if not limits:
        raise ValueError("a limiter needs at least one limit")
    for item in limits:
        if not 1 <= item.amount <= MOST:
            raise ValueError(f"a limit is between 1 and {MOST}, not {item.amount}")
        if max(item.amount, burst or 0) * item.get_expiry() > LONGEST_SECONDS * item.amount:
            raise ValueError(f"{item} takes more than 100 years to give everything back")
