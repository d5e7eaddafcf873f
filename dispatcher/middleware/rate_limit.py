"""Admits a client so many requests in so much time, and no more, for all workers of this host together.

.. code-block:: yaml

    middleware:
      - rate_limit: {limits: [50/second, 3000/minute]}
    mounts:
      /todos:
        app: apps.todos:create_app
        middleware:
          - rate_limit: {limits: [5/second], methods: [POST]}

Every request counts when it comes in, whatever becomes of it: 404s, static files, apps that are not Flask's. Who is
over a limit is answered 429, with a `Retry-After` that is true. Several entries compose: each counts on its own, and
one that stands in a mount counts that mount alone.

The client is `REMOTE_ADDR`. Behind a proxy that is the proxy, until something outside this middleware puts the
client's address there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import blake2b
from math import ceil
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from dispatcher.fields import Site, SitePath, Size
from dispatcher.limiting import matching
from dispatcher.limiting.announcing import HeaderStyle, announcer, announcing
from dispatcher.limiting.counted import counted
from dispatcher.limiting.decision import Limiter
from dispatcher.limiting.keys import key_function
from dispatcher.limiting.notation import (
    By,
    ErrorStatus,
    Exempt,
    Match,
    Method,
    Rate,
    StorageUri,
    check_strategy,
    largest_burst,
    parse_rate,
)
from dispatcher.limiting.opening import SHARED, Counting, OnStorageError, default_table, open_limiter
from dispatcher.limiting.refusing import refuse, refuse_unavailable
from dispatcher.limiting.rehearsal import Rehearsal
from dispatcher.limiting.remote import Unavailable
from dispatcher.shm.cells import MOST
from dispatcher.shm.table import DEFAULT_SIZE, SMALLEST
from dispatcher.wsgi import MOUNT, StartResponse, WSGIApplication, WSGIEnvironment

# The options that say what is counted. Limiters that differ in them have their own counters; a change of the others
# (how a denial looks, where the counters are) keeps what was counted.
_COUNTED_OPTIONS: Final = ("name", "by", "methods", "match", "exempt", "strategy", "burst", "cost", "ipv6_prefix")


class RateLimit:
    """Counts each request before the app sees it, and answers 429 itself when a limit is used up.

    `options` are the fields of `RateLimit.Options`; ValidationError where they are wrong. `limiter` replaces the one
    that they describe.
    """

    class Options(BaseModel):
        model_config = ConfigDict(frozen=True, extra="forbid")

        limits: tuple[Rate, ...] = Field(
            json_schema_extra={"minItems": 1},
            description="Rates such as 50/second, 3000/minute or 10 per 5 minutes; all of them hold.",
        )
        by: By = Field(
            default="client",
            description="What is counted apart: client (address), header:NAME, cookie:NAME, path, global (nothing), "
            "or an import string of a function that takes the environ and returns a text.",
        )
        match: Match = Field(default=Match(), description="Which requests count; without it, all.")
        methods: tuple[Method, ...] = Field(default=(), description="Short for match: {methods: [...]}.")
        exempt: Exempt = Field(default=Exempt(), description="Which requests never count.")
        strategy: Literal["moving-window", "sliding-window-counter", "fixed-window", "token-bucket"] = Field(
            default="moving-window", description="How hits are counted; docs/limits-storage.md says what each promises."
        )
        burst: int | None = Field(
            default=None, ge=1, le=MOST, description="With token-bucket: how many requests may come at once."
        )
        cost: int = Field(default=1, ge=1, description="How many hits a request counts as.")
        storage: StorageUri = Field(
            default=SHARED,
            description="Where is counted: shared (memory of this host), or the URI of a store that the limits "
            "library knows, such as redis://localhost:6379, for several hosts.",
        )
        table: SitePath | None = Field(
            default=None,
            validate_default=True,
            description="The file of the shared memory; without it, one in the runtime folder of the site.",
        )
        size: Size = Field(
            default=DEFAULT_SIZE, description="The size of the shared memory; entries of one size share it."
        )
        on_storage_error: OnStorageError = Field(
            default="local",
            description="While a store does not answer: count in shared memory (local), allow or deny every request.",
        )
        status: ErrorStatus = Field(default=429, description="The status of a denial.")
        headers: HeaderStyle = Field(
            default="draft",
            description="What clients are told: RateLimit-Policy and RateLimit (draft), X-RateLimit-* (legacy), none.",
        )
        dry_run: bool = Field(default=False, description="Deny nothing, only log what would have been denied.")
        ipv6_prefix: int = Field(
            default=64, ge=1, le=128, description="How many bits of an IPv6 address identify a client."
        )
        name: str = Field(default="", description="Keeps counters apart that would be the same without it.")

        @field_validator("limits")
        @classmethod
        def _each_limit_once(cls, limits: tuple[str, ...]) -> tuple[str, ...]:
            if not limits:
                raise _wrong("write at least one rate, such as 50/second")
            parsed = [parse_rate(limit) for limit in limits]
            for index, limit in enumerate(parsed):
                if limit in parsed[:index]:
                    raise _wrong(f"{limits[index]!r} stands here twice, leave one out")
            return limits

        @field_validator("methods")
        @classmethod
        def _methods_once(cls, methods: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
            if methods and "match" in info.data and info.data["match"].methods:
                raise _wrong("match has methods too, write them in one place")
            return methods

        @field_validator("burst")
        @classmethod
        def _burst_has_a_bucket(cls, burst: int | None, info: ValidationInfo) -> int | None:
            if burst is not None and info.data.get("strategy", "token-bucket") != "token-bucket":
                raise _wrong("only token-bucket has a burst, write strategy: token-bucket")
            limits = info.data.get("limits", ())
            if burst is not None and len(limits) > 1:
                raise _wrong("a burst is for one limit, write an entry for each of the limits")
            if burst is not None and limits and (most := largest_burst(parse_rate(limits[0]))) < burst:
                raise _wrong(f"a burst of {burst} takes more than 100 years to come back, write at most {most}")
            return burst

        @field_validator("cost")
        @classmethod
        def _cost_can_be_paid(cls, cost: int, info: ValidationInfo) -> int:
            burst = info.data.get("burst")
            most = min([parse_rate(limit).amount for limit in info.data.get("limits", ())], default=cost)
            most = most if burst is None else burst
            if cost > most:
                raise _wrong(f"a request that counts as {cost} is never admitted, write at most {most}")
            return cost

        @field_validator("storage")
        @classmethod
        def _storage_knows_the_strategy(cls, storage: str, info: ValidationInfo) -> str:
            if storage != SHARED and "strategy" in info.data:
                check_strategy(storage, info.data["strategy"])
            return storage

        @field_validator("size")
        @classmethod
        def _size_holds_a_counter(cls, size: int) -> int:
            if size < SMALLEST:
                raise _wrong(f"too small for a table of counters, write at least {SMALLEST} bytes")
            return size

        @field_validator("table", mode="before")
        @classmethod
        def _table_of_the_site(cls, table: object, info: ValidationInfo) -> object:
            site: Site | None = (info.context or {}).get("site")
            return site.runtime / "limits" if table is None and site is not None else table

    def __init__(self, app: WSGIApplication, *, limiter: Limiter | None = None, **options: Any) -> None:
        given = self.Options(**options)
        limits = tuple(map(parse_rate, given.limits))
        self._app = app
        self._namespace = _namespace(given)
        self._counter = (self._namespace, given.storage, given.table, given.size)
        self._wanted = matching.wanted(given.methods or given.match.methods, given.match.paths)
        self._exempt = matching.exempt(given.exempt.cidrs, given.exempt.paths)
        self._key = key_function(given.by, ipv6_prefix=given.ipv6_prefix)
        self._cost = given.cost
        self._status = given.status
        self._denies_in_outage = given.on_storage_error == "deny" and not given.dry_run
        self._rehearsal = Rehearsal(given.by) if given.dry_run else None
        self._announcer = None if given.dry_run else announcer(given.headers, limits)
        self._limiter = limiter or open_limiter(
            Counting(
                limits=limits,
                strategy=given.strategy,
                burst=given.burst,
                namespace=self._namespace,
                storage=given.storage,
                table=given.table or default_table(),
                size_bytes=given.size,
                on_storage_error=given.on_storage_error,
            )
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self._wanted is not None and not self._wanted(environ):
            return self._app(environ, start_response)
        if self._exempt is not None and self._exempt(environ):
            return self._app(environ, start_response)
        mount = environ.get(MOUNT, "")
        key = self._key(environ)
        known, counter = counted(environ), (self._counter, mount)
        try:
            # Outside the mounts there is none in environ: a limiter of the whole site has one counter for a client.
            decision = known.by.get(counter) or self._limiter.hit(f"{mount}\n{key}", self._cost)
        except Unavailable as error:
            if self._denies_in_outage:
                return refuse_unavailable(environ, start_response, ceil(error.retry_after))
            return self._app(environ, start_response)
        known.by[counter] = decision
        if self._rehearsal is None:
            decision = known.binding(decision)
        if self._announcer is not None:
            start_response = announcing(environ, start_response, (self._announcer, decision))
        if decision.allowed:
            return self._app(environ, start_response)
        if self._rehearsal is not None:
            self._rehearsal.denied(mount, key, decision)
            return self._app(environ, start_response)
        return refuse(environ, start_response, self._status, decision)


def _namespace(options: RateLimit.Options) -> str:
    """What keeps these counters apart from others, the same in every process and after every restart."""
    counted = options.model_dump(mode="json", include=set(_COUNTED_OPTIONS))
    counted["limits"] = [repr(parse_rate(limit)) for limit in options.limits]
    return blake2b(json.dumps(counted, sort_keys=True).encode(), digest_size=8).hexdigest()


def _wrong(what: str) -> PydanticCustomError:
    return PydanticCustomError("rate_limit", "{what}", {"what": what})
