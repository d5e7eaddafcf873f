from __future__ import annotations

import pytest
from limits import parse

from dispatcher.limiting.counted import Counted, counted
from dispatcher.limiting.decision import Decision
from dispatcher.wsgi import WSGIEnvironment

LIMIT = parse("5/minute")


def test_a_request_has_one() -> None:
    environ: WSGIEnvironment = {}

    assert counted(environ) is counted(environ)
    assert counted(environ) is not counted({})


@pytest.mark.parametrize(
    ("before", "decision", "told"),
    [
        ([], Decision(False, LIMIT, 0, 9.0, 2.0), Decision(False, LIMIT, 0, 9.0, 2.0)),
        ([5.0, 1.0], Decision(False, LIMIT, 0, 9.0, 2.0), Decision(False, LIMIT, 0, 9.0, 5.0)),
        ([50.0], Decision(False, LIMIT, 0, 9.0, 2.0), Decision(False, LIMIT, 0, 50.0, 50.0)),
        ([50.0], Decision(True, LIMIT, 3, 9.0, 0.0), Decision(True, LIMIT, 3, 9.0, 0.0)),
    ],
    ids=["alone", "outside a longer wait", "outside a wait beyond its window", "allowed"],
)
def test_who_is_denied_waits_for_the_longest(before: list[float], decision: Decision, told: Decision) -> None:
    known = Counted()
    for wait in before:
        known.binding(Decision(True, LIMIT, 0, wait, wait))

    assert known.binding(decision) == told
