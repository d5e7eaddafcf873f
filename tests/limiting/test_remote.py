from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable

import pytest
from limits import parse

from dispatcher.limiting.circuit import PROBE_EVERY_SECONDS
from dispatcher.limiting.decision import Decision, Limiter
from dispatcher.limiting.remote import Process, RemoteLimiter, Unavailable

LIMIT = parse("5/minute")


class Fake:
    """A limiter that says who answered, by what remains; it fails while `error` is set."""

    def __init__(self, remaining: int, error: Exception | None = None) -> None:
        self.remaining = remaining
        self.error = error
        self.keys: list[str] = []

    def hit(self, key: str, cost: int = 1) -> Decision:
        self.keys.append(key)
        if self.error is not None:
            raise self.error
        return Decision(True, LIMIT, self.remaining, 60.0, 0.0)


STORE, LOCAL = 1, 2


class Remote:
    """A remote limiter over fakes, whose probes the test runs itself."""

    def __init__(self, connect: Callable[[], Limiter] | None = None, *, local: bool = True) -> None:
        self.now = 100.0
        self.store = Fake(STORE)
        self.watched: list[Process] = []
        self.limiter = RemoteLimiter(
            connect or (lambda: self.store),
            name="redis://host",
            outage="this process counts elsewhere",
            instead=Fake(LOCAL) if local else None,
            clock=lambda: self.now,
            watch=self.watched.append,
        )

    def hits(self, count: int = 1) -> list[int]:
        return [self.limiter.hit("ann").remaining for _ in range(count)]


def test_hits_are_counted_in_the_store() -> None:
    remote = Remote()

    assert remote.hits(3) == [STORE] * 3
    assert remote.watched == []


def test_the_first_hit_that_fails_and_all_after_it_are_counted_elsewhere() -> None:
    remote = Remote()
    remote.store.error = TimeoutError("timed out")

    assert remote.hits(3) == [LOCAL] * 3
    assert remote.store.keys == ["ann"]
    assert len(remote.watched) == 1


def test_a_probe_that_is_answered_brings_the_store_back() -> None:
    remote = Remote()
    remote.store.error = TimeoutError()
    remote.hits()
    (process,) = remote.watched

    process.probe()
    still_out = remote.hits()
    remote.store.error = None
    process.probe()

    assert (still_out, remote.hits()) == ([LOCAL], [STORE])


def test_each_change_is_logged_once_and_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    remote = Remote()
    remote.store.error = TimeoutError("timed out")
    remote.hits(3)
    remote.watched[0].probe()
    remote.store.error = None
    remote.now += 7.25
    remote.watched[0].probe()
    remote.hits(3)

    assert [(record.name, record.levelno, record.getMessage()) for record in caplog.records] == [
        (
            "dispatcher.rate_limit",
            logging.WARNING,
            "rate limit storage redis://host does not answer (TimeoutError: timed out); until it does, "
            "this process counts elsewhere",
        ),
        ("dispatcher.rate_limit", logging.WARNING, "rate limit storage redis://host answers again, after 7.2 s"),
    ]


def test_the_reason_is_cut_short(caplog: pytest.LogCaptureFixture) -> None:
    remote = Remote()
    remote.store.error = ValueError("x" * 5000)

    remote.hits()

    assert len(caplog.messages[0]) < 400


def test_without_anything_instead_the_outage_is_told() -> None:
    remote = Remote(local=False)
    remote.store.error = TimeoutError()

    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            remote.limiter.hit("ann")
        assert caught.value.retry_after == PROBE_EVERY_SECONDS
    assert remote.store.keys == ["ann"]


def test_nothing_is_connected_before_the_first_hit_and_once_after_it() -> None:
    connected: list[Fake] = []

    def connect() -> Fake:
        connected.append(Fake(STORE))
        return connected[-1]

    remote = Remote(connect)
    before = list(connected)
    remote.hits(3)

    assert (before, len(connected)) == ([], 1)


def test_a_store_that_cannot_be_connected_is_an_outage_too() -> None:
    answers: list[Fake | Exception] = [OSError("no route"), OSError("no route"), Fake(STORE)]

    def connect() -> Fake:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    remote = Remote(connect)

    first = remote.hits()
    remote.watched[0].probe()
    second = remote.hits()
    remote.watched[0].probe()

    assert (first, second, remote.hits()) == ([LOCAL], [LOCAL], [STORE])


def test_hits_that_are_under_way_at_once_open_the_circuit_once(caplog: pytest.LogCaptureFixture) -> None:
    all_here = threading.Barrier(8)

    class Hanging:
        def hit(self, key: str, cost: int = 1) -> Decision:
            all_here.wait(5)
            raise TimeoutError

    remote = Remote(Hanging)
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.extend(remote.hits())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [LOCAL] * 8
    assert len(caplog.records) == len(remote.watched) == 1


def test_those_who_wait_for_a_connection_do_not_try_it_one_after_the_other() -> None:
    tries: list[float] = []
    waiting = threading.Event()

    def connect() -> Fake:
        tries.append(0.0)
        waiting.wait(5)
        raise TimeoutError

    remote = Remote(connect)
    threads = [threading.Thread(target=remote.hits) for _ in range(8)]
    for thread in threads:
        thread.start()
    waiting.set()
    for thread in threads:
        thread.join()

    assert len(tries) <= 2  # the second may have looked at the circuit just before it opened


def test_without_a_thread_to_watch_the_next_hit_asks_again() -> None:
    def no_thread(process: Process) -> None:
        raise RuntimeError("can't start new thread")

    store = Fake(STORE, TimeoutError())
    limiter = RemoteLimiter(lambda: store, name="", outage="", instead=Fake(LOCAL), watch=no_thread)

    during = [limiter.hit("ann").remaining for _ in range(2)]
    store.error = None

    assert (during, limiter.hit("ann").remaining) == ([LOCAL] * 2, STORE)


def watcher_of(limiter: RemoteLimiter) -> threading.Thread:
    """The thread that a failing hit starts."""
    others = set(threading.enumerate())
    limiter.hit("ann")
    (watcher,) = set(threading.enumerate()) - others
    return watcher


def test_the_thread_ends_when_the_store_is_back() -> None:
    store = Fake(STORE, TimeoutError())
    limiter = RemoteLimiter(lambda: store, name="", outage="", instead=Fake(LOCAL))

    thread = watcher_of(limiter)
    store.error = None
    thread.join(5)

    assert not thread.is_alive()
    assert limiter.hit("ann").remaining == STORE


def test_the_thread_ends_when_the_limiter_is_forgotten() -> None:
    limiter = RemoteLimiter(lambda: Fake(STORE, TimeoutError()), name="", outage="", instead=Fake(LOCAL))
    thread = watcher_of(limiter)
    forgotten = weakref.ref(limiter)

    del limiter
    gc.collect()
    thread.join(5)

    assert forgotten() is None
    assert not thread.is_alive()


FORKING = """
import os, sys
from dispatcher.limiting.decision import Decision
from dispatcher.limiting.remote import RemoteLimiter
from limits import parse

class Store:
    def __init__(self):
        self.made_by = os.getpid()
    def hit(self, key, cost=1):
        return Decision(True, parse("5/minute"), self.made_by, 60.0, 0.0)

limiter = RemoteLimiter(Store, name="", outage="")
assert limiter.hit("ann").remaining == os.getpid()
child = os.fork()
if child == 0:
    os._exit(0 if limiter.hit("ann").remaining == os.getpid() else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_connection_never_crosses_a_fork() -> None:
    done = subprocess.run([sys.executable, "-c", FORKING], check=False, capture_output=True, text=True, timeout=30)

    assert (done.returncode, done.stderr) == (0, "")
