"""Clients that ask all the time, and keep every answer: what a site does while something happens to it."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.serving import Serving


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: when it `begun` and `ended` (monotonic seconds), and the answer, or the `error` in its place."""

    path: str
    begun: float
    ended: float
    status: int = 0
    text: str = ""
    error: str = ""

    @property
    def seconds(self) -> float:
        return self.ended - self.begun


@dataclass(slots=True)
class Load:
    """What the clients have asked so far."""

    asked: list[Asked] = field(default_factory=list)

    def of(self, path: str) -> list[Asked]:
        return [one for one in self.asked if one.path == path]

    def failed(self) -> list[Asked]:
        return [one for one in self.asked if one.status != 200]

    def slowest(self) -> float:
        return max(one.seconds for one in self.asked)


@contextmanager
def load(site: Serving, paths: Sequence[str], *, clients: int = 3, pause: float = 0.005) -> Iterator[Load]:
    """Ask for `paths` in turn with several clients, until the block ends; each request has a connection of its own."""
    found = Load()
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            for path in paths:
                found.asked.append(_ask(site.port, path))
                stop.wait(pause)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _ask(port: int, path: str) -> Asked:
    begun = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read().decode()
    except (OSError, http.client.HTTPException) as error:
        return Asked(path, begun, time.monotonic(), error=repr(error))
    else:
        return Asked(path, begun, time.monotonic(), response.status, text)
    finally:
        connection.close()


def wait_until(done: Callable[[], object], seconds: float = 10.0) -> float:
    """Wait until `done()` is true; the seconds that took. AssertionError after `seconds`."""
    begun = time.monotonic()
    while not done():
        if time.monotonic() - begun > seconds:
            raise AssertionError(f"not within {seconds} s")
        time.sleep(0.01)
    return time.monotonic() - begun
