"""The same outages as in `test_outage`, under real gunicorn: four workers, and clients that come over the network."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.limiting.redis_server import RedisServer, redis_server
from tests.serving import Serving, serving, wait_until, write_site

__all__ = ["redis_server"]

WORKERS = 4
LIMIT = 100

CONFIG = """
server: {{workers: 4, threads: 2}}
middleware:
  - rate_limit: {{limits: [{limit}/hour], by: "header:X-Client", storage: "{uri}", table: limits}}
mounts:
  /: hello:app
"""

HELLO = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""


class Clients:
    """Clients that ask without a pause until they are ended; each asks under its own name."""

    def __init__(self, site: Serving, count: int = 8) -> None:
        self._site = site
        self._ended = threading.Event()
        self.statuses: Counter[int] = Counter()
        self.seconds: list[float] = []
        self._threads = [threading.Thread(target=self._run, args=(f"load {number}",)) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self, name: str) -> None:
        while not self._ended.wait(0.005):
            started = time.perf_counter()
            status = self._site.request("/", headers={"X-Client": name}).status
            self.seconds.append(time.perf_counter() - started)
            self.statuses[status] += 1

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def p99(self) -> float:
        return sorted(self.seconds)[len(self.seconds) * 99 // 100]


def ask(site: Serving, client: str, requests: int) -> Counter[int]:
    """Ask from 8 threads at once; how often which status was answered."""
    statuses: Counter[int] = Counter()

    def run() -> None:
        for _ in range(requests // 8):
            statuses[site.request("/", headers={"X-Client": client}).status] += 1

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


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
@pytest.mark.parametrize("arguments", [(), ("--preload",)], ids=["each worker loads", "preload"])
def test_workers_count_together_through_an_outage(
    arguments: tuple[str, ...],
    away: Callable[[RedisServer], None],
    back: Callable[[RedisServer], None],
    redis_server: RedisServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = write_site(tmp_path, CONFIG.format(limit=LIMIT, uri=redis_server.uri), hello=HELLO)
    with serving(folder, *arguments) as site:
        clients = Clients(site)
        try:
            before = ask(site, "before", 2 * LIMIT)
            away(redis_server)
            wait_until(lambda: site.printed().count("does not answer") == WORKERS)
            during = ask(site, "during", 2 * LIMIT)
            back(redis_server)
            returned = time.monotonic()
            wait_until(lambda: site.printed().count("answers again") == WORKERS)
            recovered = time.monotonic() - returned
            after = ask(site, "after", 2 * LIMIT)
        finally:
            clients.end()
        printed = site.printed()

    with capsys.disabled():
        print(f"\n{len(clients.seconds)} requests: p99 {clients.p99() * 1000:.0f} ms; back after {recovered:.2f} s")
    assert [statuses[200] for statuses in (before, during, after)] == [LIMIT] * 3
    assert set(clients.statuses) <= {200, 429}
    assert printed.count("does not answer") == printed.count("answers again") == WORKERS
    # The figures are printed; on a busy machine only a request that waited for the store would be this slow.
    assert clients.p99() < 1
    assert recovered < 5
