from __future__ import annotations

import mmap
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dispatcher import mutex
from dispatcher.mutex import Mutex

# Python 3.12 and later warn of what is tested here: a fork while other threads run.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.fixture(params=["native", "flock"], autouse=True)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    if request.param == "flock":
        monkeypatch.setattr(mutex, "_native", mutex._Flock())
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return str(request.param)


@pytest.fixture
def shared() -> mmap.mmap:
    buffer = mmap.mmap(-1, 4096)
    Mutex.create(buffer, 64)
    return buffer


def _child(work: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid


def _exit_code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _count(lock: Mutex, shared: mmap.mmap, times: int) -> None:
    for _ in range(times):
        try:
            lock.acquire()
            (value,) = struct.unpack_from("=Q", shared, 256)
            struct.pack_into("=Q", shared, 256, value + 1)
        finally:
            lock.release()


def _hold_until_killed(lock: Mutex, ready: int) -> None:
    lock.acquire()
    os.write(ready, b"!")
    signal.pause()


def test_a_free_mutex_is_taken_and_reports_no_death(shared: mmap.mmap) -> None:
    lock = Mutex(shared, 64)

    assert lock.acquire() is False

    lock.release()


def test_threads_and_processes_together_lose_no_count(shared: mmap.mmap) -> None:
    lock = Mutex(shared, 64)

    def work() -> None:
        threads = [threading.Thread(target=_count, args=(lock, shared, 2000)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    children = [_child(work) for _ in range(3)]
    work()

    assert [_exit_code(pid) for pid in children] == [0, 0, 0]
    assert struct.unpack_from("=Q", shared, 256) == (4 * 3 * 2000,)


def test_after_a_kill_of_the_holder_the_next_one_is_told_within_milliseconds(shared: mmap.mmap) -> None:
    lock = Mutex(shared, 64)
    ready, ready_child = os.pipe()
    waits = []
    for _ in range(20):
        pid = _child(lambda: _hold_until_killed(lock, ready_child))
        os.read(ready, 1)
        os.kill(pid, signal.SIGKILL)
        _exit_code(pid)
        start = time.monotonic()
        assert lock.acquire() is True
        waits.append(time.monotonic() - start)
        lock.release()
        assert lock.acquire() is False, "a death is told once"
        lock.release()

    assert sorted(waits)[10] < 0.005


def test_who_already_waits_when_the_holder_is_killed_goes_on(shared: mmap.mmap) -> None:
    lock = Mutex(shared, 64)
    ready, ready_child = os.pipe()
    holder = _child(lambda: _hold_until_killed(lock, ready_child))
    os.read(ready, 1)

    def wait() -> None:
        os.write(ready_child, b"!")
        assert lock.acquire() is True

    waiter = _child(wait)
    os.read(ready, 1)
    os.kill(holder, signal.SIGKILL)

    assert _exit_code(waiter) == 0
    _exit_code(holder)


def test_while_the_holder_is_stopped_other_threads_run_and_signals_are_handled(shared: mmap.mmap) -> None:
    lock = Mutex(shared, 64)
    ready, ready_child = os.pipe()
    holder = _child(lambda: _hold_until_killed(lock, ready_child))
    os.read(ready, 1)
    os.kill(holder, signal.SIGSTOP)
    handled: list[int] = []

    def on_signal(number: int, _frame: object) -> None:  # runs in the main thread, which waits for the mutex
        handled.append(number)
        os.kill(holder, signal.SIGKILL)

    before = signal.signal(signal.SIGUSR1, on_signal)
    other = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))  # needs the GIL to fire
    other.start()
    try:
        died = lock.acquire()
    finally:
        lock.release()
        signal.signal(signal.SIGUSR1, before)
        other.join()
        _exit_code(holder)

    assert (died, handled) == (True, [signal.SIGUSR1])


_INTERRUPTED = """
import mmap, signal, threading
from dispatcher.mutex import Mutex

def interrupt(number, frame):
    global armed
    if armed:
        armed = False
        raise InterruptedError

buffer = mmap.mmap(-1, 4096)
Mutex.create(buffer, 64)
lock = Mutex(buffer, 64)
interrupted = 0
armed = False
signal.signal(signal.SIGVTALRM, interrupt)
for turn in range(300):
    try:
        armed = True
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0001 + turn % 50 * 1e-6)
        while armed:
            try:
                lock.acquire()
                buffer[256] = buffer[256] ^ 1
            finally:
                lock.release()
    except InterruptedError:
        interrupted += 1
other = threading.Thread(target=lock.acquire)
other.start()
other.join(10)
print(interrupted > 200, other.is_alive(), flush=True)
"""


@pytest.mark.parametrize("kind", ["native"], indirect=True)
def test_exceptions_that_a_signal_handler_raises_at_any_moment_leave_it_free(kind: str) -> None:
    # In a process of its own: coverage has a lock in Python, which such an exception leaves locked.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    command = [sys.executable, "-c", _INTERRUPTED]

    process = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)

    assert process.stdout == "True False\n"


@pytest.mark.parametrize("holder", ["process", "thread"])
def test_patience_ends_the_wait_and_leaves_the_mutex_to_who_holds_it(shared: mmap.mmap, holder: str) -> None:
    lock = Mutex(shared, 64, patience_seconds=0.1)
    ready, ready_child = os.pipe()
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        lock.acquire()
        held.set()
        let_go.wait()
        lock.release()

    thread, pid = threading.Thread(target=hold), None
    if holder == "process":
        pid = _child(lambda: _hold_until_killed(lock, ready_child))
        os.read(ready, 1)
    else:
        thread.start()
        held.wait()

    with pytest.raises(TimeoutError, match="whoever holds the mutex does not give it back"):
        lock.acquire()
    lock.release()
    with pytest.raises(TimeoutError):
        lock.acquire()

    if pid is None:
        let_go.set()
        thread.join()
    else:
        os.kill(pid, signal.SIGKILL)
        _exit_code(pid)
    assert lock.acquire() is (holder == "process")
    lock.release()


def test_a_thread_that_waits_does_not_stop_the_thread_that_holds(shared: mmap.mmap) -> None:
    lock = Mutex(shared, 64)
    lock.acquire()
    waiter = threading.Thread(target=_count, args=(lock, shared, 1))
    waiter.start()
    while waiter.is_alive() and not struct.unpack_from("=Q", shared, 256)[0]:
        time.sleep(0)  # gives the GIL to the waiter, again and again
        lock.release()
        lock.acquire()
    lock.release()
    waiter.join()

    assert struct.unpack_from("=Q", shared, 256) == (1,)


def test_the_holder_may_take_it_again_and_frees_it_with_the_last_release(shared: mmap.mmap) -> None:
    lock, probe = Mutex(shared, 64), Mutex(shared, 64)
    for _ in range(2):
        lock.acquire()
    lock.release()
    waiter = threading.Thread(target=_count, args=(probe, shared, 1))
    waiter.start()
    waiter.join(0.02)
    still_held = waiter.is_alive()
    lock.release()
    waiter.join()

    assert still_held


def test_a_release_by_somebody_else_does_nothing(shared: mmap.mmap) -> None:
    lock = Mutex(shared, 64)
    lock.acquire()
    stranger = threading.Thread(target=lock.release)
    stranger.start()
    stranger.join()
    child = _child(lock.release)

    assert _exit_code(child) == 0
    waiter = threading.Thread(target=_count, args=(Mutex(shared, 64), shared, 1))
    waiter.start()
    waiter.join(0.02)
    assert waiter.is_alive()
    lock.release()
    waiter.join()


def test_a_child_forked_while_another_thread_holds_waits_for_that_thread(shared: mmap.mmap) -> None:
    lock = Mutex(shared, 64)
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        lock.acquire()
        held.set()
        let_go.wait()
        struct.pack_into("=Q", shared, 256, 41)
        lock.release()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    child = _child(lambda: _count(lock, shared, 1))
    let_go.set()
    holder.join()

    assert _exit_code(child) == 0
    assert struct.unpack_from("=Q", shared, 256) == (42,)


def test_the_memory_stays_mapped_while_a_mutex_refers_to_it(shared: mmap.mmap) -> None:
    lock = Mutex(shared, 64)

    with pytest.raises(BufferError, match="cannot close exported pointers exist"):
        shared.close()

    lock.acquire()
    lock.release()


@pytest.mark.parametrize("offset", [-16, 8, 4096 - 48], ids=["negative", "unaligned", "beyond the end"])
def test_a_place_that_cannot_hold_a_mutex_is_refused(shared: mmap.mmap, offset: int) -> None:
    expected = f"a mutex needs 64 bytes at a multiple of 16, not at {offset} of 4096 bytes"

    with pytest.raises(ValueError, match=f"^{expected}$"):
        Mutex.create(shared, offset)
    with pytest.raises(ValueError, match=f"^{expected}$"):
        Mutex(shared, offset)


def test_memory_that_holds_no_mutex_is_refused_by_the_file_lock(kind: str) -> None:
    if kind == "native":
        pytest.skip("a pthread mutex that is all zeros is an ordinary one")

    with pytest.raises(OSError, match="the memory holds no mutex"):
        Mutex(mmap.mmap(-1, 4096), 64)


def test_a_lock_file_that_somebody_prepared_is_refused(
    kind: str, shared: mmap.mmap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "native":
        pytest.skip("there is no lock file")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch()
    monkeypatch.setattr(mutex, "_lock_file", lambda _: tmp_path / "link")
    (tmp_path / "link").symlink_to(elsewhere)

    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        Mutex(shared, 64)
