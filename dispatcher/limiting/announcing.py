"""What a client is told of its limits, as header fields.

``draft``: `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers (editor's copy of September 2025,
structured fields of RFC 9651). ``legacy``: `X-RateLimit-Limit`, `-Remaining` and `-Reset`, the last one in seconds
since the epoch, as GitHub and Flask-Limiter have it.

Where several limiters count one request, the client is told all policies, and what remains of the strictest one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any, Final, Literal

from limits import RateLimitItem

from dispatcher.limiting.decision import Decision
from dispatcher.wsgi import Headers, StartResponse, WSGIEnvironment

NOTICES: Final = "dispatcher.rate_limit.notices"  # in environ: what the outermost limiter is to tell the client

HeaderStyle = Literal["draft", "legacy", "none"]


def policy_name(limit: RateLimitItem) -> str:
    """A name for a limit that stays the same: ``50-per-second``, ``10-per-5-minutes``."""
    unit = limit.GRANULARITY.name
    window = unit if limit.multiples == 1 else f"{limit.multiples}-{unit}s"
    return f"{limit.amount}-per-{window}"


def retry_after_seconds(decision: Decision) -> int:
    """Whole seconds, rounded up and at least one: a client that waits that long is admitted."""
    return max(1, ceil(decision.retry_after))


class Draft:
    """Words decisions about `limits` as `RateLimit-Policy` and `RateLimit`."""

    def __init__(self, limits: Sequence[RateLimitItem]) -> None:
        self._names = tuple((limit, f'"{policy_name(limit)}"') for limit in limits)
        self.policies = tuple(f"{name};q={limit.amount};w={limit.get_expiry()}" for limit, name in self._names)
        self._joined = ", ".join(self.policies)

    def fields(self, decision: Decision, policies: Iterable[str] = ()) -> Headers:
        # "t" is when there is more quota, and not later than Retry-After; while nothing is denied the whole quota.
        reset = ceil(decision.reset_after) if decision.allowed else retry_after_seconds(decision)
        return [
            ("RateLimit-Policy", ", ".join(policies) or self._joined),
            ("RateLimit", f"{self._name(decision.limit)};r={decision.remaining};t={reset}"),
        ]

    def _name(self, limit: RateLimitItem) -> str:
        for known, name in self._names:
            if known is limit:  # as a rule: its hash and its comparison are Python code, and slow
                return name
        return f'"{policy_name(limit)}"'


class Legacy:
    """Words decisions as `X-RateLimit-Limit`, `-Remaining` and `-Reset`, which have no word for policies."""

    policies: tuple[str, ...] = ()

    def fields(self, decision: Decision, policies: Iterable[str] = ()) -> Headers:  # noqa: ARG002 - as Draft has it
        reset = decision.reset_after if decision.allowed else decision.retry_after
        return [
            ("X-RateLimit-Limit", str(decision.limit.amount)),
            ("X-RateLimit-Remaining", str(decision.remaining)),
            ("X-RateLimit-Reset", str(ceil(time.time() + reset))),
        ]


Announcer = Draft | Legacy
Notice = tuple[Announcer, Decision]

_STYLES: Final[tuple[type[Announcer], ...]] = (Draft, Legacy)


def announcer(style: HeaderStyle, limits: Sequence[RateLimitItem]) -> Announcer | None:
    """What words decisions in that style; None for ``none``."""
    if style == "none":
        return None
    return Draft(limits) if style == "draft" else Legacy()


def announce(notices: Sequence[Notice]) -> Headers:
    """The fields for all limiters that counted one request."""
    if len(notices) == 1:
        worded_by, decision = notices[0]
        return worded_by.fields(decision)
    headers: Headers = []
    for style in _STYLES:
        if same := [notice for notice in notices if isinstance(notice[0], style)]:
            worded_by, decision = min(same, key=_room)
            every = dict.fromkeys(policy for one, _ in same for policy in one.policies)
            headers += worded_by.fields(decision, every)
    return headers


def _room(notice: Notice) -> tuple[bool, int, float]:
    decision = notice[1]
    return decision.allowed, decision.remaining, -decision.reset_after


def announcing(environ: WSGIEnvironment, start_response: StartResponse, notice: Notice) -> StartResponse:
    """`start_response` with the fields for `notice`; the outermost limiter sets them, for those inside it too."""
    notices: list[Notice] | None = environ.get(NOTICES)
    if notices is not None:
        notices.append(notice)
        return start_response
    environ[NOTICES] = notices = [notice]

    def telling(status: str, headers: Headers, exc_info: Any = None) -> Any:
        told = [*headers, *announce(notices)]
        return start_response(status, told) if exc_info is None else start_response(status, told, exc_info)

    return telling
