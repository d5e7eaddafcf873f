from __future__ import annotations

import pytest
from limits import parse

from dispatcher.limiting.decision import Decision
from dispatcher.limiting.rehearsal import LOG_EVERY_SECONDS, Rehearsal

DENIED = Decision(False, parse("5/second"), 0, 1.0, 1.0)


def test_denials_are_logged_at_most_once_in_an_interval(caplog: pytest.LogCaptureFixture) -> None:
    now = 1000.0
    rehearsal = Rehearsal("client", clock=lambda: now)

    for _ in range(100):
        rehearsal.denied("", "1.2.3.4", DENIED)
    now += LOG_EVERY_SECONDS
    rehearsal.denied("", "1.2.3.5", DENIED)

    assert [record.getMessage() for record in caplog.records] == [
        "dry run: 5-per-second by client would have denied '1.2.3.4'; 0 more since the last such record",
        "dry run: 5-per-second by client would have denied '1.2.3.5'; 99 more since the last such record",
    ]


def test_each_mount_has_its_own_interval(caplog: pytest.LogCaptureFixture) -> None:
    rehearsal = Rehearsal("path", clock=lambda: 1000.0)

    rehearsal.denied("/a", "/a/x", DENIED)
    rehearsal.denied("/b", "/b/\r\nx", DENIED)
    rehearsal.denied("/b", "/b/x", DENIED)

    assert [record.getMessage() for record in caplog.records] == [
        "dry run: 5-per-second by path in /a would have denied '/a/x'; 0 more since the last such record",
        r"dry run: 5-per-second by path in /b would have denied '/b/\r\nx'; 0 more since the last such record",
    ]


@pytest.mark.parametrize("by", ["header:X-API-Key", "cookie:session", "package.module:function"])
def test_a_key_that_may_be_secret_is_not_logged(by: str, caplog: pytest.LogCaptureFixture) -> None:
    Rehearsal(by, clock=lambda: 1000.0).denied("", "s3cret", DENIED)

    assert caplog.messages == [
        f"dry run: 5-per-second by {by} would have denied a request; 0 more since the last such record"
    ]
