from __future__ import annotations

import pytest

from dispatcher.limiting.circuit import PROBE_EVERY_SECONDS, Circuit

CLOSED = Circuit()
OPEN = Circuit(True, 1, 10.0)
CLOSED_AGAIN = Circuit(False, 2)


@pytest.mark.parametrize(
    ("circuit", "changes_before", "after"),
    [
        pytest.param(CLOSED, 0, Circuit(True, 1, 20.0 + PROBE_EVERY_SECONDS), id="the first failure opens it"),
        pytest.param(OPEN, 0, OPEN, id="one that was under way as well changes nothing"),
        pytest.param(OPEN, 1, OPEN, id="nor does one in the open circuit"),
        pytest.param(CLOSED_AGAIN, 0, CLOSED_AGAIN, id="one from before the outage comes too late"),
        pytest.param(CLOSED_AGAIN, 1, CLOSED_AGAIN, id="one from the outage comes too late"),
        pytest.param(CLOSED_AGAIN, 2, Circuit(True, 3, 20.0 + PROBE_EVERY_SECONDS), id="a new one opens it again"),
    ],
)
def test_a_hit_that_fails_opens_the_circuit_once(circuit: Circuit, changes_before: int, after: Circuit) -> None:
    assert circuit.hit_failed(20.0, changes_before=changes_before) == after


@pytest.mark.parametrize(
    ("circuit", "answered", "after"),
    [
        pytest.param(OPEN, True, Circuit(False, 2), id="an answer closes it"),
        pytest.param(OPEN, False, Circuit(True, 1, 20.0 + PROBE_EVERY_SECONDS), id="none sets the next probe"),
        pytest.param(CLOSED, True, CLOSED, id="closed it stays closed"),
        pytest.param(CLOSED, False, CLOSED, id="closed, only hits can open it"),
    ],
)
def test_a_probe_that_is_answered_closes_the_circuit(circuit: Circuit, answered: bool, after: Circuit) -> None:
    assert circuit.probed(20.0, answered=answered) == after


def test_a_store_that_is_back_is_used_within_a_second() -> None:
    assert PROBE_EVERY_SECONDS < 0.9
