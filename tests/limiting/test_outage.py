"""A real Redis dies, hangs and comes back while requests keep coming: what they get, and how long they wait."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import create_environ, run_wsgi_app

from dispatcher.limiting.store import TIMEOUT_SECONDS
from dispatcher.middleware.rate_limit import RateLimit
from dispatcher.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
from tests.limiting.redis_server import RedisServer, redis_server

__all__ = ["redis_server"]

THREADS = 4
LIMIT = 100


def hello(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def ask(app: WSGIApplication, client: str) -> int:
    environ = create_environ("/", environ_base={"REMOTE_ADDR": "127.0.0.1", "HTTP_X_CLIENT": client})
    return int(run_wsgi_app(app, environ)[1].split()[0])


def limited(uri: str, table: Path, **options: Any) -> RateLimit:
    return RateLimit(hello, limits=[f"{LIMIT}/hour"], by="header:X-Client", storage=uri, table=table, **options)


class Load:
    """Requests of `THREADS` clients, one after the other each; what they were answered and how long it took."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self._ended = threading.Event()
        self.statuses: Counter[int] = Counter()
        self.seconds: list[list[float]] = [[] for _ in range(THREADS)]
        self.errors: list[BaseException] = []

    def _run(self, seconds: list[float], client: str) -> None:
        try:
            while not self._ended.wait(0.001):
                started = time.perf_counter()
                status = ask(self._app, client)
                seconds.append(time.perf_counter() - started)
                self.statuses[status] += 1
        except BaseException as error:
            self.errors.append(error)

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [
            threading.Thread(target=self._run, args=(seconds, f"load {number}"))
            for number, seconds in enumerate(self.seconds)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in threads:
                thread.join()

    def waited_out(self) -> list[int]:
        """How many requests of each thread waited for the timeout."""
        return [sum(one >= TIMEOUT_SECONDS for one in seconds) for seconds in self.seconds]

    def __str__(self) -> str:
        every = sorted(second * 1000 for seconds in self.seconds for second in seconds)
        middle, late, last = every[len(every) // 2], every[len(every) * 99 // 100], every[-1]
        return f"{len(every)} requests: p50 {middle:.2f} ms, p99 {late:.2f} ms, longest {last:.1f} ms"

    def p99(self) -> float:
        every = sorted(second for seconds in self.seconds for second in seconds)
        return every[len(every) * 99 // 100]


def ask_at_once(app: WSGIApplication, client: str, requests: int) -> Counter[int]:
    statuses: Counter[int] = Counter()
    threads = [
        threading.Thread(target=lambda: statuses.update(ask(app, client) for _ in range(requests // THREADS)))
        for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def wait_for_record(caplog: pytest.LogCaptureFixture, count: int) -> float:
    """Seconds until the limiter has logged `count` records."""
    started = time.monotonic()
    while len(changes(caplog)) < count:
        assert time.monotonic() - started < 10, "no change was logged within 10 s"
        time.sleep(0.002)
    return time.monotonic() - started


def changes(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "dispatcher.rate_limit" and record.levelno == logging.WARNING
    ]


def stop(server: RedisServer) -> None:
    server.signal(signal.SIGSTOP)


def go_on(server: RedisServer) -> None:
    server.signal(signal.SIGCONT)


@pytest.mark.parametrize(
    ("away", "back"),
    [
        pytest.param(RedisServer.kill, RedisServer.start, id="killed and started again"),
        pytest.param(stop, go_on, id="stopped and continued"),
    ],
)
def test_an_outage_costs_each_thread_one_timeout_and_no_request(
    away: Callable[[RedisServer], None],
    back: Callable[[RedisServer], None],
    redis_server: RedisServer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    app = limited(redis_server.uri, tmp_path / "limits")
    load = Load(app)

    with load.running():
        before = ask_at_once(app, "before", 2 * LIMIT)
        away(redis_server)
        noticed = wait_for_record(caplog, 1)
        during = ask_at_once(app, "during", 4 * LIMIT)
        back(redis_server)
        recovered = wait_for_record(caplog, 2)
        after = ask_at_once(app, "after", 2 * LIMIT)

    with capsys.disabled():
        print(f"\n{load}; noticed after {noticed * 1000:.0f} ms, back after {recovered * 1000:.0f} ms")
    assert load.errors == []
    assert set(load.statuses) <= {200, 429}
    assert [answers[200] for answers in (before, during, after)] == [LIMIT] * 3
    assert max(load.waited_out()) <= 1
    assert load.p99() < 0.1
    assert noticed < 1
    assert recovered < 1
    assert len(changes(caplog)) == 2


def test_deny_answers_503_during_an_outage(redis_server: RedisServer, tmp_path: Path) -> None:
    app = limited(redis_server.uri, tmp_path / "limits", on_storage_error="deny")

    before = ask(app, "ann")
    redis_server.kill()
    during = [ask(app, "ann") for _ in range(3)]

    assert (before, during) == (200, [503, 503, 503])
    assert not (tmp_path / "limits").exists()


def test_allow_lets_everything_through_during_an_outage(redis_server: RedisServer, tmp_path: Path) -> None:
    app = limited(redis_server.uri, tmp_path / "limits", on_storage_error="allow")
    redis_server.kill()

    assert ask_at_once(app, "ann", 3 * LIMIT) == {200: 3 * LIMIT}


def test_a_password_is_never_logged(
    redis_server: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    uri = redis_server.uri.replace("redis://", "redis://user:s3cret@") + "/0?socket_timeout=0.05"
    app = limited(uri, tmp_path / "limits")

    status = ask(app, "ann")  # this Redis knows no such user

    (change,) = changes(caplog)
    assert status == 200
    assert change.startswith(f"rate limit storage {redis_server.uri}/0 does not answer (AuthenticationError: ")
    assert "s3cret" not in caplog.text
