"""A limiter over a store that may die or hang: no hit fails because of it, and almost none waits for it.

Each process has its own connection and its own circuit. The first hit that gets no answer (within the timeout that
`connect` sets) opens the circuit; from then on hits go to `instead`, and a thread asks the store twice a second until
it answers. Both changes are logged, once in each process. Hits that are under way at that moment wait out their
timeout; no later one does.

Nothing is connected and no thread started before the first hit of a process: neither survives a fork.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final

from dispatcher.limiting.circuit import PROBE_EVERY_SECONDS, Circuit
from dispatcher.limiting.decision import Decision, Limiter

_log: Final = logging.getLogger("dispatcher.rate_limit")
_ERROR_LENGTH: Final = 200  # a client's error may print its whole configuration
PROBE_KEY: Final = "probe"  # no client's key: those have the mount and a line break in front


class Unavailable(Exception):  # noqa: N818 - a state of the store, not a mistake of the caller
    """There is nothing to count in; `retry_after` in seconds is when the store is asked again."""

    def __init__(self, retry_after: float = PROBE_EVERY_SECONDS) -> None:
        super().__init__("the rate limit storage does not answer")
        self.retry_after = retry_after


class RemoteLimiter:
    """Counts in the limiter that `connect()` gives, while that does not raise, else in `instead`.

    Without `instead`, `hit` raises `Unavailable` while the circuit is open. `name` is how log records call the store,
    `outage` says in them what happens meanwhile. `watch` starts whatever calls `Process.probe` while the circuit is
    open: a thread, by default.
    """

    def __init__(
        self,
        connect: Callable[[], Limiter],
        *,
        name: str,
        outage: str,
        instead: Limiter | None = None,
        clock: Callable[[], float] = time.monotonic,
        watch: Callable[[Process], object] | None = None,
    ) -> None:
        self._connect = connect
        self._name = name
        self._outage = outage
        self._instead = instead
        self._clock = clock
        self._watch = watch or start_watching
        self._processes: dict[int, Process] = {}

    def hit(self, key: str, cost: int = 1) -> Decision:
        process = self._processes.get(os.getpid()) or self._this_process()
        circuit = process.circuit
        if not circuit.is_open:
            try:
                return process.store(circuit).hit(key, cost)
            except Exception as error:  # noqa: BLE001 - each client has its own errors; none may become a 500
                process.hit_failed(error, circuit)
        if self._instead is None:
            raise Unavailable
        return self._instead.hit(key, cost)

    def _this_process(self) -> Process:
        made = Process(self._connect, name=self._name, outage=self._outage, clock=self._clock, watch=self._watch)
        return self._processes.setdefault(os.getpid(), made)  # atomic: two threads get the same one


class Process:
    """What one process knows of the store: its connection and its circuit."""

    def __init__(
        self,
        connect: Callable[[], Limiter],
        *,
        name: str,
        outage: str,
        clock: Callable[[], float],
        watch: Callable[[Process], object],
    ) -> None:
        self.circuit = Circuit()
        self._connect = connect
        self._name = name
        self._outage = outage
        self._clock = clock
        self._watch = watch
        self._store: Limiter | None = None
        self._failed_at = 0.0
        self._changing = threading.Lock()
        self._connecting = threading.Lock()

    def store(self, circuit: Circuit) -> Limiter:
        """The store, connected by the first caller; those who waited for one that failed do not try again."""
        store = self._store
        if store is not None:
            return store
        with self._connecting:
            if self.circuit is not circuit:
                raise Unavailable
            if self._store is None:
                self._store = self._connect()
            return self._store

    def hit_failed(self, error: Exception, circuit: Circuit) -> None:
        """Open the circuit, if the hit that began in state `circuit` is the first one to fail."""
        with self._changing:
            now = self._clock()
            opened = self.circuit.hit_failed(now, changes_before=circuit.changes)
            if opened is self.circuit:
                return
            self.circuit, self._failed_at = opened, now
        reason = f"{type(error).__name__}: {error}"[:_ERROR_LENGTH]
        _log.warning("rate limit storage %s does not answer (%s); until it does, %s", self._name, reason, self._outage)
        try:
            self._watch(self)
        except RuntimeError:  # no thread to be had: then the next hit is the probe
            with self._changing:
                self.circuit = Circuit(changes=opened.changes + 1)

    def probe(self) -> None:
        """Ask the store, and close the circuit if it answers; for one caller at a time."""
        try:
            self.store(self.circuit).hit(PROBE_KEY)  # a real hit: a store that is read-only, or full, answers a ping
        except Exception:  # noqa: BLE001 - as in RemoteLimiter.hit
            answered = False
        else:
            answered = True
        now = self._clock()
        with self._changing:
            self.circuit = self.circuit.probed(now, answered=answered)
        if answered:
            _log.warning("rate limit storage %s answers again, after %.1f s", self._name, now - self._failed_at)

    def probe_in(self) -> float:
        """Seconds until the next probe is due."""
        return max(0.0, self.circuit.probe_at - self._clock())


def start_watching(process: Process) -> None:
    """Probe in a thread, so that no request is delayed, until the circuit is closed or the limiter is forgotten."""
    target = weakref.ref(process)
    threading.Thread(target=_watch_until_closed, args=(target,), name="rate-limit-probe", daemon=True).start()


def _watch_until_closed(target: weakref.ref[Process]) -> None:
    pause = PROBE_EVERY_SECONDS
    while True:
        time.sleep(pause)
        process = target()
        if process is None:
            return
        process.probe()
        if not process.circuit.is_open:
            return
        pause = process.probe_in()
        del process  # a reload that drops the limiter ends this thread too
