"""CPython's own tests for its rotating handlers, run against ours, in a process without pytest's log handlers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

import pytest

RUN = """
import json, logging.handlers, sys, unittest
from dispatcher import rotation
from test import test_logging

cases = {"RotatingFileHandlerTest": "RotatingFileHandler", "TimedRotatingFileHandlerTest": "TimedRotatingFileHandler"}
outcomes = {}
for case, handler in cases.items():
    setattr(logging.handlers, handler, getattr(rotation, handler))
    for name in unittest.TestLoader().getTestCaseNames(getattr(test_logging, case)):
        result = unittest.TestResult()
        getattr(test_logging, case)(name).run(result)
        outcomes[f"{case}.{name}"] = "".join(text for _, text in result.errors + result.failures)
json.dump(outcomes, sys.stdout)
"""
NEEDED = pytest.mark.skipif(
    find_spec("test") is None or find_spec("test.test_logging") is None,
    reason="this Python was installed without its own tests (test.test_logging)",
)
# What cannot apply: the name, in which Python (by its tests), and why.
EXCLUDED: dict[str, tuple[Callable[[dict[str, str]], bool], str]] = {
    "RotatingFileHandlerTest.test_should_rollover": (
        lambda outcomes: "RotatingFileHandlerTest.test_max_bytes" not in outcomes,
        "before gh-116263 an empty file was rotated; ours, like the standard library since, leaves it",
    ),
}


@cache
def outcomes() -> dict[str, str]:
    run = subprocess.run([sys.executable, "-W", "error", "-c", RUN], capture_output=True, check=True, timeout=60)
    return dict(json.loads(run.stdout))


@NEEDED
def test_the_tests_of_cpython_pass() -> None:
    excluded = {name for name, (applies, _) in EXCLUDED.items() if applies(outcomes())}

    failed = {name: trace for name, trace in outcomes().items() if trace and name not in excluded}

    assert failed == {}
    assert len(outcomes()) > 15


@NEEDED
def test_what_is_excluded_fails() -> None:
    for name, (applies, reason) in EXCLUDED.items():
        if applies(outcomes()):
            assert outcomes()[name], f"{name} passes: it need not be excluded any more ({reason})"
