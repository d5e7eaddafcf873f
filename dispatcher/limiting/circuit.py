"""When a remote store is asked and when it is not: a state machine without I/O, clock or lock.

Closed, every hit asks the store. The first failure opens the circuit: no hit asks any more, and from `probe_at` on a
probe does, again and again, until one is answered; that closes the circuit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# A store that is back is used within this time, the probe's own, and the scheduling of a thread: under a second.
PROBE_EVERY_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Circuit:
    """The state at one moment. `changes` counts how often it opened or closed; times are in seconds of one clock."""

    is_open: bool = False
    changes: int = 0
    probe_at: float = 0.0

    def hit_failed(self, now: float, *, changes_before: int) -> Circuit:
        """After a hit that began when `changes` was `changes_before` got no answer.

        Of the hits that were under way together only the first opens the circuit, and one that fails late, after the
        circuit closed again, says nothing of the store as it is now.
        """
        if self.changes != changes_before or self.is_open:
            return self
        return Circuit(True, self.changes + 1, now + PROBE_EVERY_SECONDS)

    def probed(self, now: float, *, answered: bool) -> Circuit:
        """After a probe; in a closed circuit it changes nothing."""
        if not self.is_open:
            return self
        if answered:
            return Circuit(False, self.changes + 1)
        return Circuit(True, self.changes, now + PROBE_EVERY_SECONDS)
