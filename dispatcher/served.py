"""The stack that answers now, and those before it that still answer requests which began on them.

A request takes the stack that it finds and keeps it to its end, streams too. A stack that has been replaced is let go
when its last response has been closed; then the mounts that no later stack has are stopped, and nothing here refers to
their apps any more.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from dispatcher import lifecycle
from dispatcher.compose import MountedApp, Stack
from dispatcher.config import Contents
from dispatcher.wsgi import StartResponse, WSGIEnvironment


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """A stack with the `contents` it was built from, and the keys of its mounts that are `waiting` to be loaded."""

    stack: Stack
    contents: Contents
    waiting: tuple[str, ...] = ()
    flights: set[int] = field(default_factory=set)  # the numbers of the requests that it answers

    @property
    def digest(self) -> str:
        return self.contents.digest

    @property
    def left_out(self) -> tuple[str, ...]:
        """The keys of the mounts that this worker alone could not load."""
        return tuple(
            one.mount.key for one in self.stack.mounts if one.app is None and one.mount.key not in self.waiting
        )


class Served:
    """A WSGI callable that answers with the current generation.

    Requests may come in any number of threads; `start`, `swap`, `release_idle` and `stop` are one thread's to call.
    """

    def __init__(self, generation: Generation) -> None:
        self._current = generation
        self._retired: list[Generation] = []
        self._numbers = itertools.count()
        self._running = False

    @property
    def current(self) -> Generation:
        return self._current

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        number = next(self._numbers)
        while True:
            generation = self._current
            generation.flights.add(number)
            if generation is self._current:
                break
            generation.flights.discard(number)  # replaced in between: it may have been found idle before we came
        return generation.stack.answer(environ, start_response, partial(generation.flights.discard, number))

    def start(self) -> None:
        """Start the mounts in this process."""
        self._running = True
        for one in self._current.stack.mounts:
            lifecycle.start(self._current.stack, one)

    def swap(self, generation: Generation) -> None:
        """Answer with `generation` from now on; its new mounts are started first."""
        old = self._current
        if self._running:
            known = {_identity(one) for one in old.stack.mounts}
            for one in generation.stack.mounts:
                if _identity(one) not in known:
                    lifecycle.start(generation.stack, one)
        self._current = generation
        generation.stack.door.table = generation.stack.table
        if self._running:
            self._retired.append(old)

    def release_idle(self) -> None:
        """Let go of the generations before this one that answer no request any more."""
        idle = [one for one in self._retired if not one.flights]
        if idle:
            self._retired = [one for one in self._retired if one not in idle]
            self._stop_mounts(idle, keep=[self._current, *self._retired])

    def stop(self) -> None:
        """Stop every mount: the process ends."""
        if self._running:
            self._running = False
            self._stop_mounts([*self._retired, self._current], keep=[])

    def _stop_mounts(self, generations: list[Generation], *, keep: list[Generation]) -> None:
        kept = {_identity(one) for generation in keep for one in generation.stack.mounts}
        for generation in generations:
            for one in generation.stack.mounts:
                if _identity(one) not in kept:
                    kept.add(_identity(one))  # once, in however many generations it was
                    lifecycle.stop(generation.stack, one)


def _identity(one: MountedApp) -> tuple[int, object, object]:
    return id(one.app), one.on_start, one.on_stop
