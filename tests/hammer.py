"""Many requests at once for tests, bounded in count, with every answer kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.client import HTTPException
from queue import Empty, SimpleQueue

from tests.serving import Serving


@dataclass(slots=True)
class Tally:
    """What came back: the statuses by the request's path, and the paths of those that got no answer."""

    statuses: dict[str, int] = field(default_factory=dict)
    unanswered: list[str] = field(default_factory=list)

    def count(self, status: int) -> int:
        return sum(found == status for found in self.statuses.values())


@dataclass(slots=True)
class _Run:
    """The requests that are still to be made, and what has come back."""

    site: Serving
    method: str
    after: dict[int, Callable[[], object]]
    queue: SimpleQueue[str] = field(default_factory=SimpleQueue)
    tally: Tally = field(default_factory=Tally)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def work(self) -> None:
        while True:
            try:
                path = self.queue.get_nowait()
            except Empty:
                return
            try:
                self.note(path, self.site.request(path, self.method).status)
            except (OSError, HTTPException):  # the connection ended without a whole answer
                self.note(path, None)

    def note(self, path: str, status: int | None) -> None:
        with self.lock:
            if status is None:
                self.tally.unanswered.append(path)
            else:
                self.tally.statuses[path] = status
            action = self.after.pop(len(self.tally.statuses) + len(self.tally.unanswered), None)
        if action is not None:
            action()


def hammer(
    site: Serving,
    paths: Iterable[str],
    *,
    clients: int = 16,
    method: str = "GET",
    after: dict[int, Callable[[], object]] | None = None,
) -> Tally:
    """Ask for each of `paths` (all different) once, from `clients` threads.

    `after` maps a number of answers to what is done once so many have come (a HUP, a kill).
    """
    run = _Run(site, method, dict(after or {}))
    for path in paths:
        run.queue.put(path)
    threads = [threading.Thread(target=run.work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return run.tally
