"""Keeps a fresh interpreter ready for the next trial while somebody edits the config.

An interpreter takes a third of a second to start and some 30 MB, so there is none while nothing changes, and one for
the whole site from the first sign of a change on, started while that settles, until a minute has passed without
another. The worker that has it is the one that tries the changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from dispatcher.record import Lock, Records
from dispatcher.trial import Trial

_KEPT_SECONDS: Final = 60.0


class Spare:
    """This worker's part in it; `warm` is called at a change, `tend` now and then."""

    def __init__(
        self,
        records: Records,
        environ: Mapping[str, str],
        *,
        clock: Callable[[], float],
        start: Callable[[Mapping[str, str]], Trial] = Trial,
    ) -> None:
        self._records = records
        self._environ = environ
        self._clock = clock
        self._start = start
        self._lock: Lock | None = None
        self._trial: Trial | None = None
        self._until = 0.0

    @property
    def is_ours(self) -> bool:
        """Whether this worker is the one that keeps it."""
        return self._lock is not None

    def warm(self) -> None:
        """Something changes: have one ready, unless another worker has."""
        self._until = self._clock() + _KEPT_SECONDS
        if self._lock is None:
            self._lock = self._records.lock("spare")
        if self._lock is None:
            return
        if self._trial is not None and not self._trial.is_usable:
            self._trial.close()
            self._trial = None
        if self._trial is None:
            self._trial = self._start(self._environ)

    @property
    def trial(self) -> Trial | None:
        """The interpreter if there is one."""
        return self._trial

    def tend(self) -> None:
        """End it when nothing has changed for a while."""
        if self._lock is not None and self._clock() >= self._until:
            self.close()

    def close(self) -> None:
        trial, self._trial = self._trial, None
        if trial is not None:
            trial.close()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()
