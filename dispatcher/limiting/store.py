"""Counts hits in a store that `limits` knows (Redis, Valkey, memcached, …), with its strategies and its notation.

Nothing here handles a store that fails: see `remote`. Constructing a `Store` opens no connection, except for
``redis+cluster``, which asks its nodes for their slots.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple, cast

from limits import RateLimitItem
from limits.storage import MovingWindowSupport, SlidingWindowCounterSupport, Storage, storage_from_string
from limits.strategies import STRATEGIES

from dispatcher.limiting.decision import Decision

TIMEOUT_SECONDS: Final = 0.05

_PACKAGES: Final = {"redis": "redis", "valkey": "valkey", "memcached": "pymemcache", "mongodb": "pymongo"}

# Redis gives the time to live in whole seconds, rounded to the nearest: this much later it is true.
_TTL_ROUNDING_SECONDS: Final = 0.5
# `limits` counts an entry that is as old as the window to the window: a moment later it does not.
_TICK_SECONDS: Final = 0.001


class Peek(NamedTuple):
    """What one limit says without being hit: `retry_after` is 0.0 where the hit would be allowed; times in seconds.

    What holds once the hit has been counted: `reset_after` is how long until the whole quota is there again,
    `again_after` how long until the same hit is allowed once more; or upper bounds.
    """

    remaining: int
    retry_after: float
    reset_after: float
    again_after: float = 0.0


class Store:
    """A `Limiter` over one `limits` storage; raises whatever the storage's client raises.

    The limits are looked at first and hit only when all of them would allow it. Each hit is one atomic step in the
    store, so none ever admits too many; but where clients race for the last hit of one limit, another one may have
    been counted for the loser.
    """

    def __init__(
        self, storage: Storage, limits: Sequence[RateLimitItem], *, strategy: str, namespace: str = ""
    ) -> None:
        self._strategy = STRATEGIES[strategy](storage)
        self._peek = _PEEKS[strategy]
        self._limits = tuple(limits)
        # The strategies keep different types under one key: without its name in it Redis says WRONGTYPE.
        self._names = (namespace, strategy)

    def hit(self, key: str, cost: int = 1) -> Decision:
        # Hashed: a key may be a secret (an API key), longer than memcached takes (250 bytes), or hold a space.
        names = (*self._names, blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest())
        peeks = [self._look(limit, names, cost) for limit in self._limits]
        if not any(peek.retry_after for peek in peeks):
            for index, limit in enumerate(self._limits):
                if not self._strategy.hit(limit, *names, cost=cost):
                    lost = self._look(limit, names, cost)
                    peeks[index] = lost._replace(retry_after=max(lost.retry_after, _TICK_SECONDS))
        return decide(self._limits, peeks, cost)

    def _look(self, limit: RateLimitItem, names: Sequence[str], cost: int) -> Peek:
        return self._peek(self._strategy.storage, limit, limit.key_for(*names), cost)


def decide(limits: Sequence[RateLimitItem], peeks: Sequence[Peek], cost: int) -> Decision:
    """The decision over all limits: the one that denies for longest, else the one with the least remaining."""
    limit, peek = max(zip(limits, peeks, strict=True), key=lambda pair: (pair[1].retry_after, -pair[1].remaining))
    allowed = not peek.retry_after
    return Decision(
        allowed=allowed,
        limit=limit,
        remaining=peek.remaining - cost if allowed else peek.remaining,
        reset_after=max(peek.reset_after, peek.retry_after),
        retry_after=max(one.again_after for one in peeks) if allowed else peek.retry_after,
    )


def _peek_fixed(storage: Storage, limit: RateLimitItem, key: str, cost: int) -> Peek:
    window = limit.get_expiry()
    remaining = max(0, limit.amount - storage.get(key))
    ends_after = float(window)
    if remaining < limit.amount:
        ends_after = min(window, max(0.0, storage.get_expiry(key) - time.time()) + _TTL_ROUNDING_SECONDS)
    return _peek(remaining, cost, ends_after, ends_after)


def _peek_moving(storage: Storage, limit: RateLimitItem, key: str, cost: int) -> Peek:
    window = limit.get_expiry()
    oldest, count = cast(MovingWindowSupport, storage).get_moving_window(key, limit.amount, window)
    # Only the oldest entry's time is told. For a cost of more than one, the whole window is a bound that is true.
    one_leaves_after = max(0.0, oldest + window - time.time()) if count and cost == 1 else window
    return _peek(max(0, limit.amount - count), cost, one_leaves_after + _TICK_SECONDS, window)


def _peek(remaining: int, cost: int, wait: float, reset_after: float) -> Peek:
    """Where it takes `wait` until `cost` is free, whether or not it is counted now."""
    return Peek(
        remaining,
        retry_after=0.0 if remaining >= cost else wait,
        reset_after=reset_after,
        again_after=0.0 if remaining >= 2 * cost else wait,
    )


def _peek_counter(storage: Storage, limit: RateLimitItem, key: str, cost: int) -> Peek:
    window = limit.get_expiry()
    before, before_ttl, now, now_ttl = cast(SlidingWindowCounterSupport, storage).get_sliding_window(key, window)
    now_ttl = now_ttl or 2.0 * window
    remaining = max(0, limit.amount - int(before * before_ttl / window) - now)

    def wait(counted: int) -> float:
        free = limit.amount - cost - counted
        if free >= 0:  # in this window, when enough of the one before has faded
            return _faded_after(before, before_ttl, free, window)
        # In the next one, in which this window is the one before; `limits` keeps a window for twice its length.
        return now_ttl - window + _faded_after(counted, window, limit.amount - cost, window)

    return Peek(
        remaining,
        retry_after=0.0 if remaining >= cost else wait(now),
        reset_after=now_ttl,
        again_after=0.0 if remaining >= 2 * cost else wait(now + cost),
    )


def _faded_after(count: int, ttl: float, free: int, window: float) -> float:
    """Seconds until ``floor(count * ttl / window)``, with `ttl` running down, is at most `free`."""
    return max(0.0, ttl - (free + 1) * window / count) + _TICK_SECONDS


_PEEKS: Final[Mapping[str, Callable[[Storage, RateLimitItem, str, int], Peek]]] = {
    "fixed-window": _peek_fixed,
    "moving-window": _peek_moving,
    "sliding-window-counter": _peek_counter,
}


def connect(uri: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> Storage:
    """The storage for `uri`, with timeouts, so that a store that hangs costs a request no more than that."""
    return cast(Storage, storage_from_string(uri, **client_options(uri, timeout_seconds)))


def client_package(uri: str) -> str | None:
    """The package that talks to the store at `uri`; None where `limits` needs none."""
    scheme = uri.partition(":")[0]
    return next((package for prefix, package in _PACKAGES.items() if scheme.startswith(prefix)), None)


def client_options(uri: str, timeout_seconds: float) -> dict[str, Any]:
    """How the client for `uri` is told its timeouts, and to give up after one try."""
    package = client_package(uri)
    if package in ("redis", "valkey"):
        return _redis_options(uri, package, timeout_seconds)
    if package == "pymemcache":
        return {"connect_timeout": timeout_seconds, "timeout": timeout_seconds}
    if package == "pymongo":
        names = ("serverSelectionTimeoutMS", "connectTimeoutMS", "socketTimeoutMS")
        return dict.fromkeys(names, round(timeout_seconds * 1000))
    return {}


def _redis_options(uri: str, package: str, timeout_seconds: float) -> dict[str, Any]:
    options: dict[str, Any] = {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "retry": _no_retry(package),  # by default redis-py tries four times, with pauses
    }
    if uri.startswith(f"{package}+sentinel:"):
        # The sentinels are other servers, asked by other clients. A replica lags behind what was just counted.
        return {**options, "sentinel_kwargs": dict(options), "use_replicas": False}
    return options


def _no_retry(package: str) -> object:
    backoff = importlib.import_module(f"{package}.backoff")
    return importlib.import_module(f"{package}.retry").Retry(backoff.NoBackoff(), 0)
