from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from limits import parse
from pydantic import ValidationError
from werkzeug.test import create_environ, run_wsgi_app
from werkzeug.wrappers import Response

from dispatcher.fields import Site
from dispatcher.limiting.decision import Decision
from dispatcher.limiting.notation import Exempt
from dispatcher.limiting.remote import Unavailable
from dispatcher.limiting.shared import SharedLimiter
from dispatcher.middleware.rate_limit import RateLimit
from dispatcher.mounts import MountTable
from dispatcher.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class FakeLimiter:
    """Allows `amount` hits of a key, for ever."""

    def __init__(self, amount: int = 2, counts: Counter[str] | None = None) -> None:
        self.limit = parse(f"{amount}/minute")
        self.hits: Counter[str] = Counter() if counts is None else counts

    def hit(self, key: str, cost: int = 1) -> Decision:
        if self.hits[key] + cost > self.limit.amount:
            return Decision(False, self.limit, 0, 60.0, 12.5)
        self.hits[key] += cost
        return Decision(True, self.limit, self.limit.amount - self.hits[key], 60.0, 0.0)


class PatientLimiter:
    """Allows every hit as if it were the last one for an hour."""

    def hit(self, key: str, cost: int = 1) -> Decision:
        return Decision(True, parse("1/hour"), 0, 3600.0, 3600.0)


class DeadLimiter:
    def hit(self, key: str, cost: int = 1) -> Decision:
        raise Unavailable(0.5)


def limited(
    app: WSGIApplication, limiter: FakeLimiter | PatientLimiter | DeadLimiter | None = None, **options: Any
) -> RateLimit:
    limiter = limiter or FakeLimiter()
    limits = [f"{limiter.limit.amount}/minute"] if isinstance(limiter, FakeLimiter) else ["2/minute"]
    return RateLimit(app, limiter=limiter, **{"limits": limits, **options})


def ask(app: WSGIApplication, path: str = "/", **environ: Any) -> Response:
    environ.setdefault("environ_base", {"REMOTE_ADDR": "127.0.0.1"})
    return Response(*run_wsgi_app(app, create_environ(path, **environ), buffered=True))


def hello(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def missing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"no"]


def generated(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"hel"
    yield b"lo"


def written(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"hel")
    return [b"lo"]


def changes_its_mind(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        raise ValueError("late")
    except ValueError:
        start_response("500 Internal Server Error", [("Content-Type", "text/plain")], sys.exc_info())
    return [b"hello"]


def raises(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    raise LookupError("from the app")


def strictly(app: WSGIApplication, **options: Any) -> WSGIApplication:
    """A limiter between two validators."""
    return validator(limited(validator(app), **options))


def ask_strictly(app: WSGIApplication, method: str = "GET") -> tuple[str, dict[str, str], bytes]:
    seen: dict[str, Any] = {}
    parts: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        seen.update(status=status, headers=dict(headers))
        return parts.append

    environ = create_environ("/", method=method)
    body = app(environ, start_response)
    try:
        parts.extend(body)
    finally:
        getattr(body, "close", lambda: None)()
    return seen["status"], seen["headers"], b"".join(parts)


@pytest.mark.parametrize("app", [hello, generated, written, changes_its_mind], ids=lambda app: app.__name__)
def test_every_kind_of_app_stays_valid_wsgi_and_gets_the_header(app: WSGIApplication) -> None:
    wrapped = strictly(app)

    _, headers, body = ask_strictly(wrapped)

    assert body == b"hello"
    assert headers["RateLimit"] == '"2-per-minute";r=1;t=60'
    assert headers["RateLimit-Policy"] == '"2-per-minute";q=2;w=60'


def test_an_app_that_raises_still_does() -> None:
    with pytest.raises(LookupError, match="from the app"):
        ask_strictly(strictly(raises))


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_denial_is_valid_wsgi(method: str) -> None:
    wrapped = strictly(hello, limiter=FakeLimiter(1))
    ask_strictly(wrapped, "GET")

    status, headers, _ = ask_strictly(wrapped, method)

    assert status == "429 Too Many Requests"
    assert headers["Retry-After"] == "13"
    assert headers["RateLimit"] == '"1-per-minute";r=0;t=13'
    assert headers["Cache-Control"] == "no-store"


def test_the_app_does_not_see_a_request_that_is_denied() -> None:
    asked: list[str] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        asked.append(environ["PATH_INFO"])
        return hello(environ, start_response)

    wrapped = limited(app)

    statuses = [ask(wrapped, f"/{number}").status_code for number in range(4)]

    assert statuses == [200, 200, 429, 429]
    assert asked == ["/0", "/1"]


def test_a_404_counts_too() -> None:
    wrapped = limited(missing)

    assert [ask(wrapped).status_code for _ in range(3)] == [404, 404, 429]


def test_clients_are_counted_apart() -> None:
    wrapped = limited(hello, FakeLimiter(1))

    statuses = [
        ask(wrapped, environ_base={"REMOTE_ADDR": client}).status_code
        for client in ("1.1.1.1", "1.1.1.2", "1.1.1.1:80")
    ]

    assert statuses == [200, 200, 429]


def test_clients_that_cannot_be_told_apart_are_counted_together() -> None:
    wrapped = limited(hello, FakeLimiter(1))

    assert [ask(wrapped, environ_base={"REMOTE_ADDR": ""}).status_code for _ in range(2)] == [200, 429]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"methods": ["POST"]}, id="methods"),
        pytest.param({"match": {"methods": ["POST"]}}, id="match"),
    ],
)
def test_methods_can_be_given_short_or_in_match(options: dict[str, Any]) -> None:
    wrapped = limited(hello, FakeLimiter(1), **options)

    statuses = [ask(wrapped, method=method).status_code for method in ("GET", "POST", "GET", "POST")]

    assert statuses == [200, 200, 200, 429]


def test_what_does_not_match_or_is_exempt_does_not_count() -> None:
    limiter = FakeLimiter(1)
    options = {"match": {"paths": ["/api/*"]}, "exempt": {"paths": ["/api/health"], "cidrs": ["10.0.0.0/8"]}}
    wrapped = limited(hello, limiter, **options)

    answers = [ask(wrapped, path) for path in ("/", "/api/health", "/api/x", "/api//x", "/api/health")]
    local = ask(wrapped, "/api/x", environ_base={"REMOTE_ADDR": "10.2.3.4"})

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 200]
    assert ["RateLimit" in answer.headers for answer in answers] == [False, False, True, True, False]
    assert local.status_code == 200
    assert limiter.hits.total() == 1


def test_the_cost_is_what_a_request_counts_as() -> None:
    wrapped = limited(hello, FakeLimiter(5), cost=2)

    assert [ask(wrapped).status_code for _ in range(3)] == [200, 200, 429]


def test_a_denial_can_have_another_status() -> None:
    wrapped = limited(hello, FakeLimiter(1), status=503)

    assert [ask(wrapped).status for _ in range(2)] == ["200 OK", "503 Service Unavailable"]


def test_the_limiter_of_a_mount_counts_that_mount_alone() -> None:
    counts: Counter[str] = Counter()
    inner = {key: limited(hello, FakeLimiter(1, counts)) for key in ("/a", "/b")}
    site = limited(MountTable(missing, inner), FakeLimiter(5, counts), name="site")

    statuses = [ask(site, path).status_code for path in ("/a", "/b", "/a", "/b", "/", "/")]

    assert statuses == [200, 200, 429, 429, 404, 429]
    assert counts == {"\n127.0.0.1": 5, "/a\n127.0.0.1": 1, "/b\n127.0.0.1": 1}


def test_of_several_limiters_the_client_sees_the_strictest() -> None:
    site = limited(MountTable(missing, {"/a": limited(hello, FakeLimiter(2))}), FakeLimiter(5))

    answers = [ask(site, path) for path in ("/a", "/", "/a", "/a")]

    both = '"5-per-minute";q=5;w=60, "2-per-minute";q=2;w=60'
    assert [answer.headers["RateLimit"] for answer in answers] == [
        '"2-per-minute";r=1;t=60',
        '"5-per-minute";r=3;t=60',
        '"2-per-minute";r=0;t=60',
        '"2-per-minute";r=0;t=13',
    ]
    assert [answer.headers["RateLimit-Policy"] for answer in answers] == [both, '"5-per-minute";q=5;w=60', both, both]
    assert [len(answer.headers.getlist("RateLimit")) for answer in answers] == [1, 1, 1, 1]


def test_an_entry_that_stands_twice_counts_a_request_once() -> None:
    limiter = FakeLimiter(5)
    wrapped = limited(limited(hello, limiter), limiter)

    ask(wrapped)

    assert limiter.hits.total() == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param({"dry_run": True}, {}, id="a dry run above"),
        pytest.param({}, {"dry_run": True}, id="a dry run below"),
        pytest.param({"headers": "none"}, {}, id="silent above"),
        pytest.param({"status": 503}, {}, id="another status above"),
    ],
)
def test_entries_that_share_a_counter_count_a_request_once_and_the_limit_holds(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    limiter = FakeLimiter(3)
    wrapped = limited(limited(hello, limiter, **second), limiter, **first)

    answers = [ask(wrapped) for _ in range(5)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, *[first.get("status", 429)] * 2]
    assert [answer.headers["RateLimit"] for answer in answers[:3]] == [
        f'"3-per-minute";r={left};t=60' for left in (2, 1, 0)
    ]
    assert limiter.hits.total() == 3


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"storage": "redis://127.0.0.1:1", "on_storage_error": "allow"}, id="another store"),
        pytest.param({"table": "/srv/other"}, id="another table"),
        pytest.param({"size": 65536}, id="another size"),
    ],
)
def test_entries_that_count_in_different_places_both_count(options: dict[str, Any]) -> None:
    elsewhere, here = FakeLimiter(3), FakeLimiter(3)
    wrapped = limited(limited(hello, here), elsewhere, **options)

    ask(wrapped)

    assert (elsewhere.hits.total(), here.hits.total()) == (1, 1)


def test_an_entry_without_its_store_leaves_the_request_to_the_next_one_of_the_same_counter() -> None:
    limiter = FakeLimiter(2)
    wrapped = limited(limited(hello, limiter), DeadLimiter(), on_storage_error="allow")

    assert [ask(wrapped).status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(
    ("style", "names"),
    [
        ("draft", ["RateLimit", "RateLimit-Policy"]),
        ("legacy", ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]),
        ("none", []),
    ],
)
def test_the_style_of_the_headers_is_an_option(style: str, names: list[str]) -> None:
    answer = ask(limited(hello, headers=style))

    assert sorted(name for name, _ in answer.headers if "RateLimit" in name) == names


def test_a_dry_run_denies_nothing_tells_the_client_nothing_and_logs(caplog: pytest.LogCaptureFixture) -> None:
    wrapped = limited(hello, FakeLimiter(1), dry_run=True)

    answers = [ask(wrapped) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert "RateLimit" not in answers[0].headers
    assert caplog.messages == [
        "dry run: 1-per-minute by client would have denied '127.0.0.1'; 0 more since the last such record"
    ]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        pytest.param({"on_storage_error": "deny"}, "503 Service Unavailable", id="deny"),
        pytest.param({"on_storage_error": "allow"}, "200 OK", id="allow"),
        pytest.param({"on_storage_error": "deny", "dry_run": True}, "200 OK", id="a dry run denies nothing"),
    ],
)
def test_without_a_store_requests_are_allowed_or_denied(options: dict[str, Any], status: str) -> None:
    answer = ask(limited(hello, DeadLimiter(), **options))

    assert answer.status == status
    assert answer.headers.get("Retry-After") == ("1" if answer.status_code == 503 else None)
    assert "RateLimit" not in answer.headers


@pytest.mark.parametrize(
    ("options", "where", "what"),
    [
        pytest.param(
            {"limits": ["5/sec"]},
            ("limits", 0),
            "'5/sec' is not a rate, write one such as 50/second, 3000/minute or 10 per 5 minutes",
            id="no unit",
        ),
        pytest.param(
            {"limits": ["5/second; 9/minute"]},
            ("limits", 0),
            "'5/second; 9/minute' is not a rate, write one such as 50/second, 3000/minute or 10 per 5 minutes",
            id="two in one",
        ),
        pytest.param(
            {"limits": [50]},
            ("limits", 0),
            "expected a rate such as 50/second, 3000/minute or 10 per 5 minutes",
            id="a number",
        ),
        pytest.param(
            {"limits": ["0/second"]},
            ("limits", 0),
            "'0/second' would admit nothing, write a rate of at least 1",
            id="zero",
        ),
        pytest.param(
            {"limits": ["5 per 0 minutes"]},
            ("limits", 0),
            "'5 per 0 minutes' has a window of no length, write one such as 50/second or 10 per 5 minutes",
            id="no window",
        ),
        pytest.param(
            {"limits": ["99999999999999999999/second"]},
            ("limits", 0),
            "'99999999999999999999/second' is more than can be counted, write at most 4294967295",
            id="too much",
        ),
        pytest.param(
            {"limits": ["5 per 101 year"]},
            ("limits", 0),
            "'5 per 101 year' has a window that is too long, write at most 100 years",
            id="too long",
        ),
        pytest.param({"limits": []}, ("limits",), "write at least one rate, such as 50/second", id="no rate"),
        pytest.param(
            {"limits": ["5/second", "5 per 1 second"]},
            ("limits",),
            "'5 per 1 second' stands here twice, leave one out",
            id="a rate twice",
        ),
        pytest.param(
            {"by": "ip"},
            ("by",),
            "expected client, header:NAME, cookie:NAME, path, global or an import string such as "
            "package.module:function",
            id="unknown key",
        ),
        pytest.param({"by": "header:"}, ("by",), "name the header, as in header:X-API-Key", id="no header"),
        pytest.param({"by": "cookie:a b"}, ("by",), "name the cookie, as in cookie:session", id="no cookie"),
        pytest.param(
            {"by": "a.b:f()"},
            ("by",),
            "'a.b:f()' is a call; name the function itself, without parentheses",
            id="a call",
        ),
        pytest.param({"methods": ["PSOT"]}, ("methods", 0), "unknown method 'PSOT', did you mean 'POST'?", id="a slip"),
        pytest.param({"methods": ["A B"]}, ("methods", 0), "'A B' is not an HTTP method", id="no method"),
        pytest.param(
            {"match": {"methods": ["GET"]}, "methods": ["POST"]},
            ("methods",),
            "match has methods too, write them in one place",
            id="methods twice",
        ),
        pytest.param(
            {"match": {"paths": ["api/*"]}},
            ("match", "paths", 0),
            "a path starts with a slash, write '/api/*'",
            id="relative path",
        ),
        pytest.param(
            {"exempt": {"paths": ["/a%20b"]}},
            ("exempt", "paths", 0),
            "paths are matched after decoding, write the character itself instead of '%20'",
            id="encoded path",
        ),
        pytest.param(
            {"exempt": {"cidrs": ["10.0.0.1/8"]}},
            ("exempt", "cidrs", 0),
            "'10.0.0.1/8' is an address in a network, write '10.0.0.0/8' or the address alone",
            id="address in a network",
        ),
        pytest.param(
            {"exempt": {"cidrs": ["lan"]}},
            ("exempt", "cidrs", 0),
            "'lan' is not a network, write one such as 10.0.0.0/8 or 2001:db8::/32",
            id="no network",
        ),
        pytest.param(
            {"burst": 9}, ("burst",), "only token-bucket has a burst, write strategy: token-bucket", id="burst"
        ),
        pytest.param(
            {"limits": ["1/year"], "strategy": "token-bucket", "burst": 101},
            ("burst",),
            "a burst of 101 takes more than 100 years to come back, write at most 100",
            id="burst too large",
        ),
        pytest.param(
            {"limits": ["5/second", "9/minute"], "strategy": "token-bucket", "burst": 9},
            ("burst",),
            "a burst is for one limit, write an entry for each of the limits",
            id="one burst for two limits",
        ),
        pytest.param(
            {"cost": 3},
            ("cost",),
            "a request that counts as 3 is never admitted, write at most 2",
            id="cost over the limit",
        ),
        pytest.param(
            {"strategy": "token-bucket", "storage": "redis://localhost:6379"},
            ("storage",),
            "redis:// cannot count by token-bucket; it can by moving-window, sliding-window-counter, fixed-window",
            id="strategy that the store lacks",
        ),
        pytest.param(
            {"storage": "shared:///srv/limits"},
            ("storage",),
            "name the file of the shared memory as table, and its size as size; write storage: shared",
            id="table in the storage",
        ),
        pytest.param(
            {"storage": "redis://localhost:port"},
            ("storage",),
            "'localhost:port' is not a host and a port, write them as in localhost:6379",
            id="no port",
        ),
        pytest.param(
            {"storage": "redis+cluster://a:1,b:x"},
            ("storage",),
            "'b:x' is not a host and a port, write them as in localhost:6379",
            id="no port in a cluster",
        ),
        pytest.param(
            {"storage": "nosuch://localhost"},
            ("storage",),
            "'nosuch://localhost' is not a storage, write shared or a URI such as redis://localhost:6379; known "
            "schemes are memcached, memory, mongodb, mongodb+srv, redis, redis+cluster, redis+sentinel, redis+unix, "
            "rediss, valkey, valkey+cluster, valkey+sentinel, valkey+unix, valkeys",
            id="unknown store",
        ),
        pytest.param(
            {"size": "1KB"}, ("size",), "too small for a table of counters, write at least 4096 bytes", id="size"
        ),
        pytest.param(
            {"status": 200},
            ("status",),
            "200 is not the status of an error, write one such as 429 or 503",
            id="no error",
        ),
    ],
)
def test_a_wrong_option_is_named_with_its_way_out(
    options: Mapping[str, Any], where: tuple[str | int, ...], what: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        RateLimit.Options(**{"limits": ["2/minute"], **options})

    assert [(error["loc"], error["msg"]) for error in caught.value.errors()] == [(where, what)]


def test_a_missing_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatcher.limiting.notation.find_spec", lambda name: None)

    with pytest.raises(ValidationError) as caught:
        RateLimit.Options(limits=("2/minute",), storage="redis://localhost")

    (error,) = caught.value.errors()
    assert error["msg"] == ("redis:// needs the package 'redis', install it with: pip install 'wsgi-dispatcher[redis]'")


def test_the_table_is_in_the_runtime_folder_of_the_site() -> None:
    context = {"site": Site(Path("/site"), Path("/run/site"))}

    default = RateLimit.Options.model_validate({"limits": ["2/minute"]}, context=context)
    given = RateLimit.Options.model_validate({"limits": ["2/minute"], "table": "var/limits"}, context=context)

    assert (default.table, given.table) == (Path("/run/site/limits"), Path("/site/var/limits"))


@pytest.mark.parametrize(
    ("option", "written", "read"),
    [
        ("storage", "shared", "shared"),
        ("storage", "shared://", "shared"),
        ("storage", "redis://localhost", "redis://localhost"),
        ("storage", "redis+sentinel://:pass:word@a:1,b:2/main", "redis+sentinel://:pass:word@a:1,b:2/main"),
        ("size", "64MiB", 64 * 2**20),
        ("methods", ["post", "Purge"], ("POST", "PURGE")),
        ("status", 503, 503),
        ("ipv6_prefix", 56, 56),
        ("exempt", {"cidrs": ["::ffff:10.0.0.0/104", "::ffff:a01:203"]}, Exempt(cidrs=("10.0.0.0/8", "10.1.2.3/32"))),
        ("exempt", {"cidrs": ["::/0", "2001:db8::/32"]}, Exempt(cidrs=("::/0", "2001:db8::/32"))),
        ("limits", ["5 per 100 years"], ("5 per 100 years",)),
    ],
)
def test_options_are_read(option: str, written: Any, read: Any) -> None:
    options = RateLimit.Options.model_validate({"limits": ["2/minute"], option: written})

    assert getattr(options, option) == read


def namespace(**options: Any) -> str:
    return limited(hello, **options)._namespace


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"limits": ["2 per 1 minute"]}, id="the same limit, written otherwise"),
        pytest.param({"status": 503, "headers": "none"}, id="how a denial looks"),
        pytest.param({"dry_run": True}, id="a dry run that becomes serious"),
        pytest.param({"storage": "redis://localhost", "on_storage_error": "deny"}, id="where is counted"),
    ],
)
def test_counters_survive_a_change_of_options_that_do_not_change_what_is_counted(options: dict[str, Any]) -> None:
    assert namespace(**options) == namespace()


@pytest.mark.parametrize(
    "options",
    [
        {"limits": ["3/minute"]},
        {"by": "global"},
        {"methods": ["POST"]},
        {"match": {"paths": ["/a"]}},
        {"exempt": {"paths": ["/a"]}},
        {"strategy": "fixed-window"},
        {"name": "other"},
    ],
    ids=str,
)
def test_limiters_that_count_something_else_have_their_own_counters(options: dict[str, Any]) -> None:
    assert namespace(**options) != namespace()


def test_a_namespace_is_the_same_in_every_process() -> None:
    assert namespace() == "e4a8015fed40af58"


def examples() -> Iterator[Any]:
    """Every `rate_limit:` in the YAML of the page for users."""
    page = Path(__file__).parents[2] / "docs" / "rate-limits.md"
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL):
        yield from entries(yaml.safe_load(block))


def entries(data: Any) -> Iterator[Any]:
    if isinstance(data, dict):
        if "rate_limit" in data:
            yield data["rate_limit"]
        data = list(data.values())
    for value in data if isinstance(data, list) else ():
        yield from entries(value)


@pytest.mark.parametrize("options", list(examples()), ids=str)
def test_the_examples_for_users_are_right(options: dict[str, Any]) -> None:
    RateLimit.Options.model_validate(options)


def test_every_option_is_explained_to_users() -> None:
    page = (Path(__file__).parents[2] / "docs" / "rate-limits.md").read_text()

    explained = re.findall(r"^\| `(\w+)` \|", page.partition("## Options")[2].partition("###")[0], re.MULTILINE)

    assert explained == list(RateLimit.Options.model_fields)
    assert all(field.description for field in RateLimit.Options.model_fields.values())


@pytest.mark.parametrize("strategy", ["moving-window", "sliding-window-counter", "fixed-window", "token-bucket"])
@pytest.mark.parametrize("pause", [0.0, 0.37, 1.9])
def test_who_waits_as_long_as_retry_after_says_is_admitted(strategy: str, pause: float, tmp_path: Path) -> None:
    now = 1000.0
    limits = ["3/second", "10/10 second"]
    counted = SharedLimiter(
        tmp_path / "limits", [parse(limit) for limit in limits], strategy=strategy, clock=lambda: now
    )
    wrapped = RateLimit(hello, limits=limits, strategy=strategy, limiter=counted)
    denied = 0

    for _ in range(60):
        answer = ask(wrapped)
        if answer.status_code == 429:
            denied += 1
            now += int(answer.headers["Retry-After"])
            assert ask(wrapped).status_code == 200
        now += pause / 3

    assert denied > 0


@pytest.mark.parametrize("strategy", ["moving-window", "sliding-window-counter", "fixed-window", "token-bucket"])
@pytest.mark.parametrize("outside", [("10/20 second",), ("10/20 second", "11/minute")], ids=["one limit", "two limits"])
def test_who_is_denied_inside_waits_for_the_limits_outside_too(
    strategy: str, outside: tuple[str, ...], tmp_path: Path
) -> None:
    now = 1000.0

    def wrap(app: WSGIApplication, *limits: str) -> RateLimit:
        counted = SharedLimiter(
            tmp_path / "limits", [parse(limit) for limit in limits], strategy=strategy, clock=lambda: now
        )
        return RateLimit(app, limits=limits, strategy=strategy, limiter=counted)

    wrapped = wrap(wrap(hello, "1/second"), *outside)
    waits = []

    for _ in range(40):
        answer = ask(wrapped)
        if answer.status_code == 429:
            waits.append(int(answer.headers["Retry-After"]))
            assert answer.headers["RateLimit"].endswith(f";r=0;t={waits[-1]}")
            now += waits[-1]
            assert ask(wrapped).status_code == 200

    assert min(waits) <= 2
    assert max(waits) > 2


def test_who_is_denied_does_not_wait_for_a_dry_run() -> None:
    wrapped = limited(limited(hello, FakeLimiter(1), name="inside"), PatientLimiter(), dry_run=True)

    assert [ask(wrapped).headers.get("Retry-After") for _ in range(2)] == [None, "13"]


@given(
    segments=st.lists(st.sampled_from(["a", "b", "secret", "a.b", "é"]), min_size=1, max_size=4),
    dodges=st.lists(st.sampled_from(["", "/", "//", "/.", "/./.", "/x/..", "/./x/../"]), min_size=5, max_size=5),
    method=st.sampled_from(["POST", "post", "Post"]),
)
def test_no_spelling_of_a_path_gets_round_its_limit(segments: list[str], dodges: list[str], method: str) -> None:
    limiter = FakeLimiter(1)
    path = "/" + "/".join(segments)
    wrapped = limited(hello, limiter, by="global", match={"methods": ["POST"], "paths": [path]}, headers="none")
    spelled = "".join(f"{dodge}/{segment}" for dodge, segment in zip(dodges, segments, strict=False)) + dodges[-1]
    environ = create_environ("/", method="POST")
    environ.update(PATH_INFO=spelled.encode().decode("latin-1"), REQUEST_METHOD=method)

    run_wsgi_app(wrapped, environ)

    assert limiter.hits.total() == 1
