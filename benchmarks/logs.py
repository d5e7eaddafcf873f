"""How many records a second do log handlers write, and how many do they lose?

    python benchmarks/logs.py [--rounds 5] [--records 50000]

Every handler logs the same records of about 120 bytes, only the message (formatting a time costs more than any handler
and would hide the differences), rotating at 1 MB, by 1 process, 4 processes,
and 1 process with 4 threads. The handlers take turns; the table shows medians, the ratios to a plain `FileHandler` and
to concurrent-log-handler (CLH) of the same round, and the largest numbers of records lost and doubled in a round.
"""

from __future__ import annotations

import argparse
import logging
import logging.handlers
import os
import platform
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from concurrent_log_handler import ConcurrentRotatingFileHandler

sys.path.insert(0, str(Path(__file__).parent.parent))

from dispatcher.logfile import BatchedLog
from dispatcher.rotation import RotatingFileHandler

MAX_BYTES = 1_000_000
BACKUPS = 1000
FILLER = "x" * 100
SHAPES = {"1 process": (1, 1), "4 processes": (4, 1), "1 process, 4 threads": (1, 4)}


class BatchedHandler(RotatingFileHandler):
    """Ours, with `buffer: 64KB, flush: 1s` as `access_log` has them."""

    def __init__(self, path: str) -> None:
        super().__init__(path, maxBytes=MAX_BYTES, backupCount=BACKUPS)
        self._batched = BatchedLog(self.log)

    def emit(self, record: logging.LogRecord) -> None:
        self._batched.write((self.format(record) + "\n").encode())

    def close(self) -> None:
        self._batched.close()
        super().close()


def rotating(kind: Callable[..., logging.Handler]) -> Callable[[str], logging.Handler]:
    return lambda path: kind(path, maxBytes=MAX_BYTES, backupCount=BACKUPS)


HANDLERS: dict[str, Callable[[str], logging.Handler]] = {
    "FileHandler (no rotation)": logging.FileHandler,
    "ours": rotating(RotatingFileHandler),
    "ours, no rotation": RotatingFileHandler,
    "ours, buffer: 64KB": BatchedHandler,
    "RotatingFileHandler": rotating(logging.handlers.RotatingFileHandler),
    "concurrent-log-handler": rotating(ConcurrentRotatingFileHandler),
    "WatchedFileHandler + mv": logging.handlers.WatchedFileHandler,
}


def write_records(make: Callable[[str], logging.Handler], path: str, process: int, threads: int, records: int) -> None:
    handler = make(path)
    logger = logging.Logger("benchmark")
    logger.addHandler(handler)

    def write(thread: int) -> None:
        for number in range(records // threads):
            logger.info("id=%d.%d.%d %s", process, thread, number, FILLER)

    workers = [threading.Thread(target=write, args=(thread,)) for thread in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    handler.close()


def rename_repeatedly(path: Path, stop: threading.Event) -> None:
    number = 0
    while not stop.wait(0.005):
        if path.exists() and path.stat().st_size > MAX_BYTES:
            number += 1
            path.rename(f"{path}.{number}")


class Round(NamedTuple):
    rate: float
    """Records a second."""
    lost: int
    """Records that are in no file."""
    doubled: int
    """Lines that are there once more."""


def round_of(name: str, processes: int, threads: int, records: int) -> Round:
    folder = Path(tempfile.mkdtemp(prefix="logs-"))
    path = folder / "app.log"
    ready, go = os.pipe()
    children = []
    for process in range(processes):
        child = os.fork()
        if child == 0:
            os.read(ready, 1)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # tracebacks of handlers that fail to rotate
            write_records(HANDLERS[name], str(path), process, threads, records)
            os._exit(0)
        children.append(child)
    stop = threading.Event()
    mover = threading.Thread(target=rename_repeatedly, args=(path, stop))
    if name.endswith("mv"):
        mover.start()
    begin = time.perf_counter()
    os.write(go, b"x" * processes)
    for child in children:
        os.waitpid(child, 0)
    seconds = time.perf_counter() - begin
    stop.set()
    if name.endswith("mv"):
        mover.join()
    written = processes * (records // threads) * threads
    lines = count_records(folder)
    for descriptor in (ready, go):
        os.close(descriptor)
    shutil.rmtree(folder)
    return Round(written / seconds, written - len(lines), lines.total() - len(lines))


def count_records(folder: Path) -> Counter[bytes]:
    """How often each id is in the files."""
    seen: Counter[bytes] = Counter()
    for file in folder.iterdir():
        if not file.name.startswith("."):
            seen.update(
                line.split(b"id=")[1].split(b" ")[0] for line in file.read_bytes().splitlines() if b"id=" in line
            )
    return seen


Results = dict[tuple[str, str], list[Round]]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--records", type=int, default=50_000, help="for each process")
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores; medians of {options.rounds} rounds\n")
    print(f"| {'handler':25} | " + " | ".join(f"{shape:>20} | / FH | /CLH | lost | doubled" for shape in SHAPES) + " |")
    print("|---|" + "--:|" * 5 * len(SHAPES))
    results: Results = {}
    for _ in range(options.rounds):
        for shape, (processes, threads) in SHAPES.items():
            for name in HANDLERS:
                results.setdefault((name, shape), []).append(round_of(name, processes, threads, options.records))
    for name in HANDLERS:
        cells = [cell(results, name, shape) for shape in SHAPES]
        print(f"| {name:25} | " + " | ".join(cells) + " |")
    return 0


def cell(results: Results, name: str, shape: str) -> str:
    rounds = results[name, shape]
    rate = statistics.median(one.rate for one in rounds)
    # The ratio of each round, and then the median: what else the machine does meanwhile hits both alike.
    plain, concurrent = (
        statistics.median(mine.rate / its.rate for mine, its in zip(rounds, results[other, shape], strict=True))
        for other in ("FileHandler (no rotation)", "concurrent-log-handler")
    )
    lost, doubled = max(one.lost for one in rounds), max(one.doubled for one in rounds)
    return f"{rate:20,.0f} | {plain:4.2f} | {concurrent:4.1f} | {lost:4d} | {doubled:7d}"


if __name__ == "__main__":
    raise SystemExit(main())
