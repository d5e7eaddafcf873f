"""What a hit costs, and whether the limit holds: the shared limiter against `limits` in memory and `limits` with Redis.

    python -m benchmarks.limits

Every contender runs in 1, 2 and 4 processes and in 4 threads of one, in turns, so that a busy machine is unfair to none
of them; the figures are medians of the turns. µs is what one worker waits for one hit; there are 100 clients, who come
again and again. Admitted says how many hits of 4,000 were let through, over all workers, where 1,000 were allowed.

A second table has more clients than a process remembers, in turn, so that each counter has to be found first: µs of
processor time in one process, under 50/second.
"""

from __future__ import annotations

import os
import pickle
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerSecond
from limits.storage import storage_from_string
from limits.strategies import STRATEGIES

import dispatcher.limiting.storage  # noqa: F401  # registers shared://
from dispatcher.limiting.shared import SharedLimiter

Hit = Callable[[str], bool]
Contender = Callable[[RateLimitItem], Hit]

TURNS = 7
HITS = 10_000
HITS_WITH_SERVER = 1_500
ALLOWED = 1_000
CROWDS = (100, 5_000, 50_000)
WORKERS = {"1 process": (1, 1), "2 processes": (2, 1), "4 processes": (4, 1), "4 threads": (1, 4)}
BASE, OURS, SERVER = "limits memory, fixed", "shared limiter, fixed", "limits redis, fixed"


def limits_with(uri: str, strategy: str) -> Contender:
    def make(item: RateLimitItem) -> Hit:
        limiter = STRATEGIES[strategy](storage_from_string(uri))
        return lambda key: limiter.hit(item, key)

    return make


def shared_limiter(path: Path, strategy: str) -> Contender:
    def make(item: RateLimitItem) -> Hit:
        limiter = SharedLimiter(path, (item,), strategy=strategy)
        return lambda key: limiter.hit(key).allowed

    return make


def contenders(folder: Path, redis: str | None) -> dict[str, Contender]:
    shared = f"shared://{folder}/storage"
    found = {
        BASE: limits_with("memory://", "fixed-window"),
        "limits memory, moving": limits_with("memory://", "moving-window"),
        "limits shared://, fixed": limits_with(shared, "fixed-window"),
        "limits shared://, moving": limits_with(shared, "moving-window"),
        OURS: shared_limiter(folder / "limiter", "fixed-window"),
        "shared limiter, moving (default)": shared_limiter(folder / "limiter", "moving-window"),
        "shared limiter, sliding counter": shared_limiter(folder / "limiter", "sliding-window-counter"),
        "shared limiter, token bucket": shared_limiter(folder / "limiter", "token-bucket"),
    }
    if redis:
        found[SERVER] = limits_with(f"{redis}/0", "fixed-window")
        found["limits redis, moving"] = limits_with(f"{redis}/1", "moving-window")
    return found


def run(make: Contender, item: RateLimitItem, processes: int, threads: int, hits: int) -> tuple[float, float, int]:
    """Seconds for a hit as a worker sees it, hits a second of all workers, and how many hits were admitted."""
    go_read, go_write = os.pipe()
    children = []
    for _ in range(processes):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(go_write)
                os.write(write, pickle.dumps(work(make, item, threads, hits, go_read)))
            finally:
                os._exit(0)
        os.close(write)
        children.append((pid, read))
    time.sleep(0.05)  # until all have imported, connected and wait at the pipe, which ends for all of them at once
    os.close(go_write)
    answers = []
    for pid, read in children:
        answers.append(pickle.loads(os.read(read, 1000)))
        os.close(read)
        os.waitpid(pid, 0)
    os.close(go_read)
    slowest = max(seconds for seconds, _ in answers)
    return slowest / hits, processes * threads * hits / slowest, sum(admitted for _, admitted in answers)


def work(make: Contender, item: RateLimitItem, threads: int, hits: int, go: int) -> tuple[float, int]:
    hit = make(item)
    hit("warm")
    keys = (
        [f"10.0.0.{number}" for number in range(100)] * (hits // 100) if item.amount > 2 * ALLOWED else ["one"] * hits
    )
    admitted = [0] * threads

    def loop(thread: int) -> None:
        admitted[thread] = sum(map(hit, keys))

    crew = [threading.Thread(target=loop, args=(thread,)) for thread in range(1, threads)]
    os.read(go, 1)
    start = time.perf_counter()
    for thread in crew:
        thread.start()
    loop(0)
    for thread in crew:
        thread.join()
    return time.perf_counter() - start, sum(admitted)


@contextmanager
def redis_server(folder: Path) -> Iterator[str | None]:
    program = shutil.which("redis-server")
    if program is None:
        print("redis-server is not installed: the rows for Redis are left out.\n")
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        uri = f"redis://127.0.0.1:{port}"
        while not reachable(port):
            time.sleep(0.02)
        yield uri
    finally:
        server.terminate()
        server.wait()


def reachable(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def table(found: dict[str, Contender]) -> dict[tuple[str, str], float]:
    """Measure and print everything; the median µs of each contender and kind of worker."""
    samples: dict[tuple[str, str], list[tuple[float, float]]] = {}
    admitted: dict[tuple[str, str], int] = {}
    for turn in range(TURNS):
        for workers, (processes, threads) in WORKERS.items():
            for name, make in found.items():
                hits = HITS_WITH_SERVER if "redis" in name else HITS
                seconds, rate, _ = run(make, RateLimitItemPerHour(10**9 + turn), processes, threads, hits)
                samples.setdefault((name, workers), []).append((seconds * 1e6, rate))
    for workers, (processes, threads) in WORKERS.items():
        for number, (name, make) in enumerate(found.items()):
            item = RateLimitItemPerHour(ALLOWED, 100 * processes + 10 * threads + number)  # nobody has counted that yet
            admitted[name, workers] = run(make, item, processes, threads, 4 * ALLOWED // (processes * threads))[2]
    print(f"{'':34}" + "".join(f"{workers:>32}" for workers in WORKERS))
    print(f"{'':34}" + f"{'µs':>8}{'hits/s':>12}{'admitted':>12}" * len(WORKERS))
    micros = {}
    for name in found:
        line = f"{name:34}"
        for workers in WORKERS:
            micros[name, workers] = median(one for one, _ in samples[name, workers])
            rate = median(two for _, two in samples[name, workers])
            line += (
                f"{micros[name, workers]:8.2f}{rate:12,.0f}{admitted[name, workers]:>7} of 1k"[:-6].rstrip().rjust(32)
            )
        print(line)
    return micros


def crowds(found: dict[str, Contender]) -> None:
    """Measure and print the median µs of a hit by the number of clients, in one process and without a server."""
    print(f"\n{'µs of CPU a hit, for clients:':34}" + "".join(f"{clients:>12,}" for clients in CROWDS))
    samples: dict[tuple[str, int], list[float]] = {}
    hits = {name: make(RateLimitItemPerSecond(50)) for name, make in found.items() if "redis" not in name}
    for _ in range(TURNS):
        for clients in CROWDS:
            keys = [f"10.{one >> 16}.{one >> 8 & 255}.{one & 255}" for one in range(clients)]
            keys *= max(1, 50_000 // clients)
            for name, hit in hits.items():
                start = time.process_time()
                for key in keys:
                    hit(key)
                samples.setdefault((name, clients), []).append((time.process_time() - start) / len(keys) * 1e6)
    for name in hits:
        print(f"{name:34}" + "".join(f"{median(samples[name, clients]):12.2f}" for clients in CROWDS))


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="limits-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    try:
        with redis_server(folder) as redis:
            found = contenders(folder, redis)
            micros = table(found)
            crowds(found)
    finally:
        shutil.rmtree(folder)
    print()
    for name in found:
        print(f"{name:34} {micros[name, '1 process'] / micros[BASE, '1 process']:6.2f} x limits memory, fixed window")
    if redis:
        ratio = micros[SERVER, "1 process"] / micros[OURS, "1 process"]
        print(f"\nRedis costs {ratio:.0f} x as much as the shared limiter with the same strategy")
    return 0


if __name__ == "__main__":
    sys.exit(main())
