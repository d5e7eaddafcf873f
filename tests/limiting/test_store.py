from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage, Storage

from dispatcher.limiting import store
from dispatcher.limiting.store import Peek, Store, client_options, decide
from tests.limiting.redis_server import RedisServer, redis_server

__all__ = ["redis_server"]

STRATEGIES = ["fixed-window", "moving-window", "sliding-window-counter"]


class Clock:
    """Stands in for the `time` that `limits` and the store read."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("limits.storage.memory.time", clock)
    monkeypatch.setattr("dispatcher.limiting.store.time", clock)
    return clock


@pytest.fixture
def memory(clock: Clock) -> Iterator[MemoryStorage]:
    storage = MemoryStorage()
    yield storage
    storage.timer.join()


def in_memory(storage: Storage, strategy: str, *limits: str, namespace: str = "") -> Store:
    return Store(storage, [parse(limit) for limit in limits], strategy=strategy, namespace=namespace)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_limit_admits_its_amount_and_says_what_remains(memory: MemoryStorage, strategy: str) -> None:
    limiter = in_memory(memory, strategy, "3/minute")

    answers = [limiter.hit("ann") for _ in range(5)]

    assert [answer.allowed for answer in answers] == [True, True, True, False, False]
    assert [answer.remaining for answer in answers] == [2, 1, 0, 0, 0]
    assert limiter.hit("bob").allowed


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("amount", [1, 2, 7])
@pytest.mark.parametrize("pause", [0.0, 3.0, 11.0, 59.0])
def test_who_waits_as_long_as_told_is_admitted(
    memory: MemoryStorage, clock: Clock, strategy: str, amount: int, pause: float
) -> None:
    limiter = in_memory(memory, strategy, f"{amount}/minute", f"{2 * amount}/2 minute")

    for _ in range(12):
        clock.now += pause / 7
        answer = limiter.hit("ann")
        if not answer.allowed:
            assert 0 < answer.retry_after <= 240.01
            clock.now += answer.retry_after
            assert limiter.hit("ann").allowed


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("cost", [1, 2])
@pytest.mark.parametrize("pause", [0.0, 7.0])
def test_a_hit_that_is_allowed_says_when_the_next_one_is(
    memory: MemoryStorage, clock: Clock, strategy: str, cost: int, pause: float
) -> None:
    limiter = in_memory(memory, strategy, "5/minute", "20/hour")
    waits = 0

    for _ in range(30):
        answer = limiter.hit("ann", cost)
        assert answer.allowed
        waits += answer.retry_after > 0
        assert limiter.hit("ann", cost=5).allowed is False
        clock.now += answer.retry_after + pause

    assert waits > 0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_cost_counts_as_so_many_hits(memory: MemoryStorage, clock: Clock, strategy: str) -> None:
    limiter = in_memory(memory, strategy, "5/minute")

    answers = [limiter.hit("ann", 2) for _ in range(3)]
    clock.now += answers[-1].retry_after

    assert [answer.allowed for answer in answers] == [True, True, False]
    assert [answer.remaining for answer in answers] == [3, 1, 1]
    assert limiter.hit("ann", 2).allowed


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_hit_that_one_limit_denies_is_counted_by_none(memory: MemoryStorage, strategy: str) -> None:
    strict = in_memory(memory, strategy, "9/hour", "1/minute")
    lenient = in_memory(memory, strategy, "9/hour")

    denied = [strict.hit("ann") for _ in range(5)][-1]

    assert (denied.allowed, denied.limit) == (False, parse("1/minute"))
    assert lenient.hit("ann").remaining == 9 - 1 - 1


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_namespaces_and_keys_do_not_mix(memory: MemoryStorage, strategy: str) -> None:
    one = in_memory(memory, strategy, "1/minute", namespace="one")
    other = in_memory(memory, strategy, "1/minute", namespace="other")

    assert [one.hit("a").allowed, other.hit("a").allowed, one.hit("a/b").allowed, one.hit("").allowed] == [True] * 4
    assert not one.hit("a").allowed


def test_no_key_is_stored_as_it_is(memory: MemoryStorage) -> None:
    limiter = in_memory(memory, "fixed-window", "5/minute")

    limiter.hit("secret key \N{SNOWMAN} \udcff " + "x" * 9000)

    (stored,) = memory.storage
    assert stored.isascii()
    assert "secret" not in stored
    assert len(stored) < 120


@pytest.mark.parametrize(
    ("peeks", "limit", "allowed", "remaining", "retry_after"),
    [
        pytest.param([Peek(4, 0, 1), Peek(2, 0, 60)], 1, True, 1, 0, id="the least remaining"),
        pytest.param([Peek(0, 0.5, 1), Peek(9, 0, 60)], 0, False, 0, 0.5, id="the one that denies"),
        pytest.param([Peek(0, 0.5, 1), Peek(0, 30, 60)], 1, False, 0, 30, id="the one that denies for longest"),
    ],
)
def test_of_several_limits_one_decides(
    peeks: list[Peek], limit: int, allowed: bool, remaining: int, retry_after: float
) -> None:
    limits: list[RateLimitItem] = [parse("5/second"), parse("10/minute")]

    decision = decide(limits, peeks, 1)

    assert decision.limit is limits[limit]
    assert (decision.allowed, decision.remaining, decision.retry_after) == (allowed, remaining, retry_after)


def no_retry(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value if name != "retry" else value.get_retries() for name, value in options.items()}


REDIS = {"socket_timeout": 0.05, "socket_connect_timeout": 0.05, "retry": 0}


@pytest.mark.parametrize(
    ("uri", "options"),
    [
        *((f"{scheme}://h:1", REDIS) for scheme in ("redis", "rediss", "redis+unix", "redis+cluster")),
        ("memcached://h:1", {"connect_timeout": 0.05, "timeout": 0.05}),
        ("mongodb://h:1", {"serverSelectionTimeoutMS": 50, "connectTimeoutMS": 50, "socketTimeoutMS": 50}),
        ("memory://", {}),
    ],
)
def test_every_client_is_told_not_to_wait(uri: str, options: dict[str, Any]) -> None:
    assert no_retry(client_options(uri, 0.05)) == options


def test_sentinels_are_not_waited_for_either() -> None:
    options = client_options("redis+sentinel://h:1/main", 0.05)

    assert no_retry(options.pop("sentinel_kwargs")) == REDIS
    assert no_retry(options) == {**REDIS, "use_replicas": False}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_redis_counts_exactly_for_all_connections(redis_server: RedisServer, strategy: str) -> None:
    limiters = [
        Store(store.connect(redis_server.uri), [parse("50/hour"), parse("60/day")], strategy=strategy) for _ in range(4)
    ]
    admitted: list[bool] = []

    def ask(limiter: Store) -> None:
        admitted.extend(limiter.hit("ann").allowed for _ in range(25))

    threads = [threading.Thread(target=ask, args=(limiter,)) for limiter in limiters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(admitted), sum(admitted)) == (100, 50)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_redis_admits_who_waits_as_long_as_told(redis_server: RedisServer, strategy: str) -> None:
    limiter = Store(store.connect(redis_server.uri), [parse("5/second")], strategy=strategy)

    for _ in range(2):
        while (answer := limiter.hit("ann")).allowed:
            pass
        assert 0 < answer.retry_after <= 2.01
        time.sleep(answer.retry_after)  # the clock is Redis's own
        assert limiter.hit("ann").allowed


def test_all_strategies_can_count_one_key_in_one_redis(redis_server: RedisServer) -> None:
    storage = store.connect(redis_server.uri)

    answers = [Store(storage, [parse("5/second")], strategy=strategy).hit("ann") for strategy in STRATEGIES]

    assert [answer.remaining for answer in answers] == [4, 4, 4]
