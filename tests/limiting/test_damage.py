"""A table that was overwritten, or whose lock is never given back, stops nobody for long, and is made anew."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from limits import parse
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

from dispatcher import mutex
from dispatcher.limiting.shared import STRATEGIES, SharedLimiter
from dispatcher.limiting.storage import SharedStorage
from dispatcher.mapping import HEADER
from dispatcher.shm import table as table_module

SIZE = 2**16
MUTEX = slice(HEADER, HEADER + mutex.Mutex.SIZE)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "PATIENCE_SECONDS", 0.2)


def limiter_at(
    path: Path, strategy: str = "moving-window", clock: Callable[[], float] = time.monotonic
) -> SharedLimiter:
    return SharedLimiter(path / "limits", (parse("10/hour"),), strategy=strategy, size=SIZE, clock=clock)


def admitted(limiter: SharedLimiter) -> int:
    return sum(limiter.hit("client").allowed for _ in range(20))


def overwrite(path: Path, where: slice, byte: bytes) -> None:
    with (path / "limits").open("r+b") as file:
        file.seek(where.start)
        file.write(byte * (where.stop - where.start))


def lock_for_ever(path: Path) -> None:
    """What a holder leaves that is not there: its lock word, the depth and its thread id."""
    with (path / "limits").open("r+b") as file:
        file.seek(HEADER)
        file.write((2**22 + 1).to_bytes(4, "little") + (1).to_bytes(4, "little") + (2**22 + 1).to_bytes(4, "little"))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: overwrite(path, MUTEX, b"\xff"), id="the mutex"),
        pytest.param(lambda path: overwrite(path, slice(0, SIZE), b"\xff"), id="all of it"),
        pytest.param(lock_for_ever, id="a holder that is not there"),
    ],
)
@pytest.mark.skipif(not isinstance(mutex._native, mutex._Pthread), reason="the layout is that of a pthread mutex")
def test_a_damaged_table_is_replaced_and_the_limit_holds_again(
    tmp_path: Path, strategy: str, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    now = [1000.0]
    one, other = (limiter_at(tmp_path, strategy, lambda: now[0]) for _ in range(2))
    elsewhere = table_module.Table(tmp_path / "limits", SIZE)  # as another process has it
    other._counters = type(other._counters)(elsewhere, other._limits)
    before = admitted(one)
    damage(tmp_path)

    after = admitted(one)
    now[0] += 1
    other.hit("another")

    third = limiter_at(tmp_path, strategy, lambda: now[0])
    assert (before, after, admitted(other), admitted(third)) == (10, 10, 0, 0)
    assert caplog.messages[0].startswith(f"{tmp_path}/limits: the limiter's table is unusable (")
    assert caplog.messages[0].endswith("); a new one is in its place")


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[int]:
    """A process that is stopped in the middle of a hit."""
    limiter = limiter_at(tmp_path)
    pid = os.fork()
    if pid == 0:
        table = limiter._counters.table
        table.acquire()
        os.kill(os.getpid(), signal.SIGSTOP)
        table.release()
        limiter.hit("client")
        os._exit(limiter.hit("client").remaining)
    os.waitpid(pid, os.WUNTRACED)
    yield pid
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def test_a_process_that_is_stopped_in_the_middle_of_a_hit_is_not_waited_for_and_follows_later(
    tmp_path: Path, stopped: int
) -> None:
    limiter = limiter_at(tmp_path)
    start = time.monotonic()

    first = limiter.hit("client")
    waited = time.monotonic() - start
    second = limiter.hit("client")
    os.kill(stopped, signal.SIGCONT)
    status = os.waitpid(stopped, 0)[1]

    assert (first.remaining, second.remaining) == (9, 8)
    assert waited < 2
    assert os.waitstatus_to_exitcode(status) == 7, "counted in the new table"


def test_where_no_new_table_can_be_made_requests_are_let_through_and_it_is_said_once_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [1000.0]
    limiter = limiter_at(tmp_path, clock=lambda: now[0])
    overwrite(tmp_path, MUTEX, b"\xff")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(table_module, "open_mapping", full)
        for _ in range(3):
            assert admitted(limiter) == 20
            now[0] += 30
    said = caplog.messages.copy()
    recovered = admitted(limiter)

    assert recovered == 10
    assert (
        said
        == [
            f"{tmp_path}/limits cannot be used ([Errno 28] No space left on device): requests are let through uncounted"
        ]
        * 2
    )


@pytest.mark.parametrize("strategy", [FixedWindowRateLimiter, MovingWindowRateLimiter])
def test_the_storage_goes_on_in_a_new_table_too(
    tmp_path: Path, strategy: type[FixedWindowRateLimiter | MovingWindowRateLimiter]
) -> None:
    storage = SharedStorage(f"shared://{tmp_path}/limits", size=SIZE)
    limiter, item = strategy(storage), parse("2/hour")
    limiter.hit(item, "client")
    overwrite(tmp_path, MUTEX, b"\xff")
    looked = limiter.get_window_stats(item, "client").remaining
    overwrite(tmp_path, MUTEX, b"\xff")

    assert looked == 2
    assert [limiter.hit(item, "client") for _ in range(3)] == [True, True, False]
