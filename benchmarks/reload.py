"""Prints what it takes to bring a change live: an edit of our config, and HUP for gunicorn with the same apps by hand.

    python benchmarks/reload.py [--quick]

A site of 200 Flask apps, two gthread workers; the change concerns one of the apps. For each: the seconds until the new
text is answered by every worker (ours has `watch: 200ms`), the CPU time that this costs a worker while nobody asks, and
with clients that ask another app all the time the slowest of their requests in as many seconds before, and during it.
Medians of the rounds; for the slowest request the middle and the worst of them.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGHUP

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.load import load
from tests.serving import GUNICORN, Serving, serving, write_site

MOUNTS = 200
ROUNDS = 8
SECONDS = 1.5
WORKERS = ("--workers", "2", "--threads", "4")
LAB = """
    import os
    from flask import Flask

    def create_app(word):
        app = Flask("lab", static_folder=None)
        app.add_url_rule("/", "index", lambda: f"{os.getpid()} {word}")
        return app
"""
BY_HAND = """
    from pathlib import Path
    from flask import Flask
    from werkzeug.middleware.dispatcher import DispatcherMiddleware
    from lab import create_app

    word = Path(__file__).with_name("word").read_text()
    apps = {{f"/app{{number}}": create_app(word if number == 7 else "still") for number in range({mounts})}}
    app = DispatcherMiddleware(create_app("root"), apps)
"""


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds until all workers have the new text, CPU seconds of a worker, slowest requests before and during."""

    live: float
    cpu: float
    before: float
    during: float


def config(word: str) -> str:
    mounts = [
        f"  /app{number}: {{app: 'lab:create_app', args: {{word: {word if number == 7 else 'still'}}}}}"
        for number in range(MOUNTS)
    ]
    return "\n".join(["reload: {watch: 200ms}", "middleware: [request_id]", "mounts:", *mounts, ""])


def wait_for(site: Serving, word: str) -> float:
    """The seconds until ten answers in a row have the new word and every worker has given one."""
    begun = time.monotonic()
    row: list[str] = []
    while len(row) < 10 or len(set(row)) < 2:
        pid, found = site.request("/app7/").text.split()
        row = [*row, pid] if found == word else []
        if time.monotonic() - begun > 60:
            raise AssertionError(site.printed())
    return time.monotonic() - begun


def cpu_seconds(site: Serving) -> dict[int, float]:
    """What each worker has used: the first number of schedstat is nanoseconds on a CPU."""
    return {
        pid: sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
        for pid in site.workers()
    }


def run_round(site: Serving, change: Callable[[str], object], word: str) -> Round:
    before_cpu = cpu_seconds(site)
    change(f"{word}-idle")
    time.sleep(SECONDS)
    cpu = statistics.mean(used - before_cpu.get(pid, 0.0) for pid, used in cpu_seconds(site).items())
    with load(site, ["/app1/"], clients=2) as asked:
        time.sleep(SECONDS)
        before = asked.slowest()
        asked.asked.clear()
        begun = time.monotonic()
        change(word)
        live = wait_for(site, word)
        time.sleep(max(0.0, SECONDS - (time.monotonic() - begun)))
        during = asked.slowest()
        failed = asked.failed()
    if failed:
        print(f"  {len(failed)} requests failed, such as {failed[0]}")
    return Round(live, cpu, before, during)


@contextmanager
def ours(folder: Path) -> Iterator[tuple[Serving, Callable[[str], object]]]:
    write_site(folder, config("first"), lab=LAB)
    with serving(folder, *WORKERS) as site:
        yield site, lambda word: (folder / "config.yaml").write_text(config(word))


@contextmanager
def by_hand(folder: Path) -> Iterator[tuple[Serving, Callable[[str], object]]]:
    write_site(folder, "", lab=LAB, by_hand=BY_HAND.format(mounts=MOUNTS))
    (folder / "gunicorn.conf.py").write_text("")
    (folder / "word").write_text("first")
    with serving(folder, *WORKERS, command=(*GUNICORN, "by_hand:app", "--no-control-socket")) as site:

        def change(word: str) -> None:
            (folder / "word").write_text(word)
            site.process.send_signal(SIGHUP)

        yield site, change


def row(name: str, rounds: Sequence[Round]) -> str:
    live = statistics.median(one.live for one in rounds)
    cpu = 1000 * statistics.median(one.cpu for one in rounds)
    before, during = [[1000 * getattr(one, name) for one in rounds] for name in ("before", "during")]
    slowest = "".join(f"{statistics.median(times):9.1f} ({max(times):5.1f})" for times in (before, during))
    return f"{name:26}{live:10.2f}{cpu:10.1f}{slowest}"


def main() -> None:
    count = 2 if "--quick" in sys.argv[1:] else ROUNDS
    print(f"{MOUNTS} mounts, one changed{'':2}{'live, s':>10}{'CPU, ms':>10}{'before, ms':>17}{'during, ms':>17}")
    for name, start in {"edit of config.yaml": ours, "gunicorn by hand, HUP": by_hand}.items():
        folder = Path(tempfile.mkdtemp())
        try:
            with start(folder) as (site, change):
                print(row(name, [run_round(site, change, f"word-{number}") for number in range(count)]))
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
