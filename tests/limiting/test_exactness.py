"""The limit is the limit: whoever counts, whenever they were made, and whoever is killed meanwhile."""

from __future__ import annotations

import itertools
import os
import random
import select
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from limits import parse

from dispatcher import runtime
from dispatcher.limiting.shared import STRATEGIES, SharedLimiter
from dispatcher.shm.table import Table

# Python 3.12 and later warn of what is tested here: a fork while other threads run.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

ALLOWED = 1000


def _limiter(path: Path, strategy: str = "moving-window", limit: str = f"{ALLOWED}/hour") -> SharedLimiter:
    return SharedLimiter(path / "limiter", (parse(limit),), strategy=strategy, size=2**16)


def _admitted(limiter: SharedLimiter, hits: int) -> int:
    return sum(limiter.hit("client").allowed for _ in range(hits))


def _threads(count: int, work: Callable[[], int]) -> int:
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(work())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(results)


def _children(count: int, work: Callable[[], int]) -> int:
    """The sum of what `work` returns in so many processes."""
    read, write = os.pipe()
    pids = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            try:
                os.write(write, b"%9d" % work())
            finally:
                os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)
    os.close(write)
    with os.fdopen(read, "rb") as answers:
        text = answers.read()
    assert len(text) == 9 * count, "a child failed"
    return sum(int(text[start : start + 9]) for start in range(0, len(text), 9))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("made", ["before the fork", "after the fork"])
def test_processes_and_threads_together_are_admitted_the_limit(tmp_path: Path, strategy: str, made: str) -> None:
    early = _limiter(tmp_path, strategy) if made == "before the fork" else None

    def work() -> int:
        limiter = early or _limiter(tmp_path, strategy)
        return _threads(3, lambda: _admitted(limiter, ALLOWED // 4))

    assert _children(4, work) == ALLOWED


def test_what_was_counted_before_a_fork_counts_after_it(tmp_path: Path) -> None:
    limiter = _limiter(tmp_path)
    before = _admitted(limiter, 300)

    counts = [before, _children(2, lambda: _admitted(limiter, 300)), _admitted(limiter, 300)]

    assert counts == [300, 600, 100]


def test_counts_outlive_the_processes_that_made_them(tmp_path: Path) -> None:
    first = _children(1, lambda: _admitted(_limiter(tmp_path), 600))

    assert (first, _admitted(_limiter(tmp_path), 600)) == (600, 400)


def _hit_and_tell(limiter: SharedLimiter, tell: int) -> None:
    while True:
        if limiter.hit("client").allowed:
            os.write(tell, b".")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_processes_killed_at_any_moment_neither_stop_the_others_nor_grant_more(tmp_path: Path, strategy: str) -> None:
    kills, chance = 40, random.Random(strategy)
    limiter = SharedLimiter(
        tmp_path / "limiter", (parse("100000000/hour"),), strategy=strategy, size=2**16, clock=lambda: 1000.0
    )
    read, write = os.pipe()
    told = 0
    for _ in range(kills):
        pid = os.fork()
        if pid == 0:
            _hit_and_tell(limiter, write)
        told += len(os.read(read, 1))
        time.sleep(chance.uniform(0, 0.003))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        told += len(os.read(read, 2**20)) if select.select([read], [], [], 0)[0] else 0
        start = time.monotonic()
        limiter.hit("another")
        assert time.monotonic() - start < 0.1

    used = 100_000_000 - limiter.hit("client", cost=0).remaining
    assert told <= used <= told + kills, "each admitted hit was counted, and at most one by each that was killed"


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    ("limit", "before", "pause"),
    [(10, 3, 0), (10, 3, 400), (10, 0, 0), (5, 3, 400)],
    ids=["at once", "later", "a new client", "a small limit"],
)
def test_a_process_killed_between_any_two_steps_grants_nothing_more(
    tmp_path: Path, strategy: str, limit: int, before: int, pause: float
) -> None:
    def admitted(name: str, meanwhile: Callable[[SharedLimiter], object]) -> int:
        now = [10_000.0]
        item = parse(f"{limit}/hour")
        limiter = SharedLimiter(
            tmp_path / "limiter", (item,), strategy=strategy, namespace=name, size=2**18, clock=lambda: now[0]
        )
        first = _admitted(limiter, before)
        now[0] += pause
        meanwhile(limiter)
        return first + _admitted(limiter, 20)

    undisturbed = admitted("nobody is killed", lambda _: None)
    for step in itertools.count(0, 3):  # two writes are further apart than three bytecodes
        died: list[bool] = []
        counts = admitted(str(step), lambda limiter, step=step, died=died: died.append(_dies_at(step, limiter)))  # type: ignore[misc]

        assert undisturbed - 1 <= counts <= undisturbed, f"killed at step {step}"
        if died == [False]:
            break
    assert step > 50


def _dies_at(step: int, limiter: SharedLimiter) -> bool:
    """Whether a process that is to be killed at so many bytecodes into a hit comes as far as that."""
    pid = os.fork()
    if pid == 0:
        try:
            _die_at(step, lambda: limiter.hit("client"))
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def _die_at(step: int, work: Callable[[], object]) -> None:
    """Run `work`, and kill this process when it comes to its `step`th bytecode."""
    left = step

    def trace(frame: object, event: str, _argument: object) -> object:
        nonlocal left
        frame.f_trace_opcodes = True  # type: ignore[attr-defined]
        if event == "opcode":
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys._getframe().f_trace_opcodes = True  # Python 3.12 sends such events only if a frame had asked before
    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        work()
    finally:
        sys.settrace(None)


def test_a_step_of_the_wall_clock_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limiter = _limiter(tmp_path, limit="10/minute")
    before = _admitted(limiter, 10)

    monkeypatch.setattr(time, "time", lambda: 4e9)
    after = _admitted(limiter, 10)

    assert (before, after) == (10, 0)


@pytest.mark.soak
def test_two_hundred_thousand_clients_fit_into_the_table_and_one_over_its_limit_stays_over(tmp_path: Path) -> None:
    now = 1000.0
    limiter = SharedLimiter(tmp_path / "limiter", (parse("3/hour"),), size=2**20, clock=lambda: now)
    for _ in range(4):
        limiter.hit("over the limit")
    size = (tmp_path / "limiter").stat().st_size

    for number in range(200_000):
        limiter.hit(f"client {number}")

    stats = limiter.stats()
    assert limiter.hit("over the limit").allowed is False
    assert (size, stats.size, stats.used) == (2**20, 2**20, stats.cells)
    assert stats.evictions >= 200_001 - stats.cells
    assert len(limiter._counters.places.known) <= 1024


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("flood", ["1/day", "5/minute", "50/second"])
def test_keys_that_come_once_do_not_flush_out_who_is_over_its_limit(tmp_path: Path, strategy: str, flood: str) -> None:
    now = 1000.0

    def limiter(*limits: str) -> SharedLimiter:
        items = tuple(map(parse, limits))
        return SharedLimiter(tmp_path / "limiter", items, strategy=strategy, size=2**16, clock=lambda: now)

    login, site, flooded = limiter("5/minute"), limiter("5/hour", "9/day"), limiter(flood)
    for one in (login, site):
        _admitted(one, 6)

    for number in range(5000):
        flooded.hit(f"client {number}")

    assert [one.hit("client").allowed for one in (login, site)] == [False, False]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_who_has_waited_is_a_client_like_others_again(tmp_path: Path, strategy: str) -> None:
    now = [1000.0]
    limiter = SharedLimiter(
        tmp_path / "limiter", (parse("5/minute"),), strategy=strategy, size=2**16, clock=lambda: now[0]
    )
    _admitted(limiter, 6)
    now[0] += 120
    limiter.hit("client")

    for number in range(5000):
        for _ in range(2):
            limiter.hit(f"client {number}")

    assert limiter.hit("client").remaining == 4


def test_when_the_file_is_replaced_the_limiter_follows_within_a_second(tmp_path: Path) -> None:
    now = [1000.0]
    limiter = SharedLimiter(tmp_path / "limiter", (parse("10/hour"),), size=2**16, clock=lambda: now[0])
    _admitted(limiter, 10)
    (tmp_path / "limiter").unlink()
    replacement = Table(tmp_path / "limiter", 2**16)

    still = limiter.hit("client").allowed
    now[0] += 1
    limiter.hit("client")
    moved = limiter.hit("client")

    assert (still, moved.allowed, moved.remaining) == (False, True, 9)
    assert replacement.stats(int(now[0] * 1e9)).used == 1


def test_when_the_session_folder_goes_away_or_comes_back_all_limiters_meet_again_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    session = tmp_path / "session"
    session.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(session))
    monkeypatch.setattr(runtime, "_SHARED", (str(tmp_path),))

    def worker() -> SharedLimiter:
        path = runtime.site_folder(Path("/srv/config.yaml")) / "limits"
        return SharedLimiter(path, (parse("10/hour"),), size=2**16, clock=lambda: now[0])

    def admitted_by_all(*limiters: SharedLimiter) -> int:
        now[0] += 2
        for limiter in limiters:
            limiter.hit("another")
        return sum(_admitted(limiter, 10) for limiter in limiters)

    old = worker()
    before = admitted_by_all(old)
    shutil.rmtree(session)
    gone = admitted_by_all(old, worker())
    session.mkdir()
    back = admitted_by_all(old, worker(), worker())

    assert (before, gone, back) == (10, 10, 10)
    assert (session / f"dispatcher-{os.geteuid()}").is_dir()


def test_a_file_replaced_by_something_else_is_ignored(tmp_path: Path) -> None:
    now = [1000.0]
    limiter = SharedLimiter(tmp_path / "limiter", (parse("10/hour"),), size=2**16, clock=lambda: now[0])
    _admitted(limiter, 9)
    (tmp_path / "limiter").unlink()
    (tmp_path / "limiter").write_bytes(bytes(2**16))

    now[0] += 1

    assert [limiter.hit("client").remaining for _ in range(2)] == [0, 0]
