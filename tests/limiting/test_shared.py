from __future__ import annotations

import re
from pathlib import Path

import pytest
from limits import RateLimitItem, parse

from dispatcher.limiting.decision import Decision
from dispatcher.limiting.shared import STRATEGIES, SharedLimiter


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def _limiter(path: Path, *limits: str, clock: Clock, strategy: str = "moving-window") -> SharedLimiter:
    return SharedLimiter(
        path / "limiter", tuple(map(parse, limits)), strategy=strategy, clock=clock, size=2**16, namespace="test"
    )


def _admitted(limiter: SharedLimiter, hits: int, key: str = "client") -> int:
    return sum(limiter.hit(key).allowed for _ in range(hits))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("amount", [1, 10, 255, 256, 1000])
def test_of_many_hits_at_once_exactly_the_limit_is_admitted(tmp_path: Path, strategy: str, amount: int) -> None:
    limiter = _limiter(tmp_path, f"{amount}/minute", clock=Clock(), strategy=strategy)

    assert _admitted(limiter, 2 * amount + 1) == amount


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_who_waits_as_told_is_admitted_and_a_moment_earlier_is_not(tmp_path: Path, strategy: str) -> None:
    clock = Clock()
    limiter = _limiter(tmp_path, "10/minute", clock=clock, strategy=strategy)
    _admitted(limiter, 10)
    wait = limiter.hit("client").retry_after

    clock.now += wait - 0.001
    early = limiter.hit("client").allowed
    clock.now += 0.001

    assert (early, limiter.hit("client").allowed) == (False, True)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("amount", [5, 500, 2**32 - 1])
def test_the_longest_window_is_counted(tmp_path: Path, strategy: str, amount: int) -> None:
    years = Clock(100 * 366 * 86_400)  # of uptime
    limiter = _limiter(tmp_path, f"{amount} per 100 years", clock=years, strategy=strategy)

    decisions = [limiter.hit("client", amount), limiter.hit("client")]

    assert [decision.allowed for decision in decisions] == [True, False]
    assert 0 < decisions[1].retry_after < 100 * 366 * 86_400


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("limits", [("10/minute",), ("10/minute", "30/hour")], ids=["one limit", "two"])
@pytest.mark.parametrize("cost", [1, 3])
def test_a_hit_that_is_allowed_says_when_the_next_one_is(
    tmp_path: Path, strategy: str, limits: tuple[str, ...], cost: int
) -> None:
    clock = Clock()
    limiter = _limiter(tmp_path, *limits, clock=clock, strategy=strategy)

    for _ in range(100):
        last = limiter.hit("client", cost)
        assert last.allowed
        if last.retry_after:
            denied = limiter.hit("client", cost)
            assert (denied.allowed, denied.retry_after) == (False, last.retry_after)
        clock.now += last.retry_after


def test_a_denied_hit_charges_no_limit(tmp_path: Path) -> None:
    clock = Clock()
    limiter = _limiter(tmp_path, "10/minute", "2/second", clock=clock)
    _admitted(limiter, 100)
    clock.now += 1

    decision = limiter.hit("client")

    assert (decision.allowed, decision.limit, decision.remaining) == (True, parse("2/second"), 1)


def test_of_several_limits_the_one_that_denies_for_longest_decides(tmp_path: Path) -> None:
    limiter = _limiter(tmp_path, "3/hour", "3/second", "5/minute", clock=Clock())
    _admitted(limiter, 3)

    decision = limiter.hit("client")

    assert (decision.limit, decision.remaining, decision.reset_after) == (parse("3/hour"), 0, 3600.0)


def test_keys_and_namespaces_are_counted_apart(tmp_path: Path) -> None:
    items: tuple[RateLimitItem, ...] = (parse("5/minute"),)
    one, other = (SharedLimiter(tmp_path / "t", items, namespace=name, size=2**16) for name in ("one", "other"))

    assert [_admitted(one, 9, "a"), _admitted(one, 9, "b"), _admitted(other, 9, "a")] == [5, 5, 5]


def test_limiters_of_one_namespace_count_together(tmp_path: Path) -> None:
    items: tuple[RateLimitItem, ...] = (parse("5/minute"),)
    one, other = (SharedLimiter(tmp_path / "t", items, size=2**16) for _ in range(2))

    assert [_admitted(one, 3), _admitted(other, 9)] == [3, 2]


def test_a_cost_of_nothing_only_looks_and_one_above_the_limit_never_fits(tmp_path: Path) -> None:
    limiter = _limiter(tmp_path, "5/minute", clock=Clock())
    item = parse("5/minute")

    assert limiter.hit("client", cost=0) == Decision(True, item, 5, 0.0, 0.0)
    assert limiter.hit("client", cost=6) == Decision(False, item, 5, 0.0, 60.000001)
    assert limiter.hit("client", cost=4) == Decision(True, item, 1, 60.0, 60.000001)
    assert limiter.hit("client", cost=0) == Decision(True, item, 1, 60.0, 0.0)
    assert limiter.hit("client", cost=2).allowed is False


@pytest.mark.parametrize(
    ("limits", "options", "message"),
    [
        ((), {}, "a limiter needs at least one limit"),
        (("5/minute",), {"strategy": "leaky"}, f"unknown strategy 'leaky'; there are {', '.join(STRATEGIES)}"),
        (("5/minute",), {"burst": 5}, "burst is for the strategy token-bucket, not for moving-window"),
        (("5/minute",), {"strategy": "token-bucket", "burst": 0}, "a burst is between 1 and 4294967295, not 0"),
        (("4294967296/minute",), {}, "a limit is between 1 and 4294967295, not 4294967296"),
        (("0/minute",), {}, "a limit is between 1 and 4294967295, not 0"),
        (("5 per 101 year",), {}, "5 per 101 year takes more than 100 years to give everything back"),
        (
            ("1/year",),
            {"strategy": "token-bucket", "burst": 101},
            "1 per 1 year takes more than 100 years to give everything back",
        ),
        (("5/minute",), {"size": 100}, "a table of counters needs at least 4096 bytes, not 100"),
    ],
    ids=[
        "no limit",
        "unknown strategy",
        "burst without bucket",
        "no burst",
        "too much",
        "nothing",
        "too long",
        "too large a burst",
        "small table",
    ],
)
def test_what_cannot_be_counted_is_refused(
    tmp_path: Path, limits: tuple[str, ...], options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        SharedLimiter(tmp_path / "t", tuple(map(parse, limits)), **options)  # type: ignore[arg-type]


def test_a_negative_cost_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^a cost is at least 0, not -1$"):
        _limiter(tmp_path, "5/minute", clock=Clock()).hit("client", cost=-1)
