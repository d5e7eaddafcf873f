from __future__ import annotations

import time

import pytest
from limits import RateLimitItem, parse

from dispatcher.limiting.announcing import (
    HeaderStyle,
    Notice,
    announce,
    announcer,
    policy_name,
    retry_after_seconds,
)
from dispatcher.limiting.decision import Decision
from dispatcher.wsgi import Headers


def allowed(limit: str, remaining: int, reset_after: float = 9.2) -> Decision:
    return Decision(True, parse(limit), remaining, reset_after, 0.0)


def denied(limit: str, retry_after: float, reset_after: float = 60.0) -> Decision:
    return Decision(False, parse(limit), 0, reset_after, retry_after)


def notice(decision: Decision, *limits: str, style: HeaderStyle = "draft") -> Notice:
    words = announcer(style, [parse(limit) for limit in limits] or [decision.limit])
    assert words is not None
    return words, decision


@pytest.mark.parametrize(
    ("limit", "name"),
    [
        ("50/second", "50-per-second"),
        ("10 per 5 minutes", "10-per-5-minutes"),
        ("1 per 1 day", "1-per-day"),
        ("5/2 month", "5-per-2-months"),
    ],
)
def test_a_policy_is_named_after_its_limit(limit: str, name: str) -> None:
    assert policy_name(parse(limit)) == name


@pytest.mark.parametrize(("retry_after", "told"), [(0.001, 1), (1.0, 1), (1.0001, 2), (59.5, 60), (0.0, 1)])
def test_retry_after_is_never_too_early(retry_after: float, told: int) -> None:
    assert retry_after_seconds(denied("5/minute", retry_after)) == told


@pytest.mark.parametrize(
    ("notices", "headers"),
    [
        pytest.param(
            [notice(allowed("5/second", 4))],
            [("RateLimit-Policy", '"5-per-second";q=5;w=1'), ("RateLimit", '"5-per-second";r=4;t=10')],
            id="one limit",
        ),
        pytest.param(
            [notice(allowed("9/minute", 3), "5/second", "9/minute")],
            [
                ("RateLimit-Policy", '"5-per-second";q=5;w=1, "9-per-minute";q=9;w=60'),
                ("RateLimit", '"9-per-minute";r=3;t=10'),
            ],
            id="two limits of one limiter",
        ),
        pytest.param(
            [notice(denied("5/minute", 12.5))],
            [("RateLimit-Policy", '"5-per-minute";q=5;w=60'), ("RateLimit", '"5-per-minute";r=0;t=13')],
            id="denied: not later than Retry-After",
        ),
        pytest.param(
            [notice(allowed("50/second", 49)), notice(allowed("5/second", 2))],
            [
                ("RateLimit-Policy", '"50-per-second";q=50;w=1, "5-per-second";q=5;w=1'),
                ("RateLimit", '"5-per-second";r=2;t=10'),
            ],
            id="two limiters: the inner one is stricter",
        ),
        pytest.param(
            [notice(allowed("50/second", 0)), notice(denied("5/second", 0.5))],
            [
                ("RateLimit-Policy", '"50-per-second";q=50;w=1, "5-per-second";q=5;w=1'),
                ("RateLimit", '"5-per-second";r=0;t=1'),
            ],
            id="two limiters: what denies comes first",
        ),
        pytest.param(
            [notice(allowed("5/second", 3)), notice(allowed("5/second", 4))],
            [("RateLimit-Policy", '"5-per-second";q=5;w=1'), ("RateLimit", '"5-per-second";r=3;t=10')],
            id="two limiters with the same policy",
        ),
    ],
)
def test_the_client_is_told_every_policy_and_the_strictest_state(notices: list[Notice], headers: Headers) -> None:
    assert announce(notices) == headers


@pytest.mark.parametrize(
    ("decision", "reset_in"),
    [
        pytest.param(allowed("5/minute", 4, 30.0), 30.0, id="allowed: the whole quota"),
        pytest.param(denied("5/minute", 12.0), 12.0, id="denied: the next request"),
    ],
)
def test_the_legacy_fields_name_the_moment_of_the_reset(decision: Decision, reset_in: float) -> None:
    before = time.time()

    headers = dict(announce([notice(decision, style="legacy")]))

    assert headers["X-RateLimit-Limit"] == "5"
    assert headers["X-RateLimit-Remaining"] == str(decision.remaining)
    assert before + reset_in <= int(headers["X-RateLimit-Reset"]) <= time.time() + reset_in + 1
    assert len(headers) == 3


def test_limiters_of_both_styles_are_heard() -> None:
    outer, inner = notice(allowed("50/second", 49)), notice(allowed("5/second", 2), style="legacy")

    names = [name for name, _ in announce([outer, inner])]

    assert names == [
        "RateLimit-Policy",
        "RateLimit",
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "X-RateLimit-Reset",
    ]


def test_nothing_is_announced_in_the_style_none() -> None:
    limits: list[RateLimitItem] = [parse("5/second")]

    assert announcer("none", limits) is None
