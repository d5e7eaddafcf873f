"""Trials start interpreters, so each kind of failure is tried in one of them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from dispatcher import catalog, config
from dispatcher.trial import Outcome, Trial, try_all
from tests import sites

LAB = """
def app(environ, start_response):
    start_response("200 OK", [])
    return []

"""
MODULES = {
    "lab": LAB,
    "fine": "print('hello')\nfrom lab import app\n",
    "quits": "import sys\nsys.exit(3)\n",
    "ends": "import os\nos._exit(7)\n",
    "crashes": "import ctypes\nctypes.string_at(0)\n",
    "hangs": "import time\ntime.sleep(60)\n",
    "raises": "1 / 0\n",
    "signals": "import signal\nsignal.signal(signal.SIGUSR1, signal.SIG_IGN)\nfrom lab import app\n",
}


def attempt(folder: Path, text: str, keys: Sequence[str] | None = None) -> Outcome:
    file = sites.write(folder, text, **MODULES)
    site = config.read(file, options=catalog.OPTIONS, environ={})
    keys = [mount.key for mount in site.mounts] if keys is None else keys
    return try_all(site, config.read_contents(file), keys, environ=os.environ)


def first_lines(outcome: Outcome) -> dict[str, str]:
    """The first line of each failure, from the line number on."""
    return {
        key: failure.problems[0].splitlines()[0].partition("config.yaml:")[2] for key, failure in outcome.failed.items()
    }


def test_an_app_that_loads_is_not_complained_of(tmp_path: Path) -> None:
    assert attempt(tmp_path, "mounts: {/: 'fine:app'}") == Outcome()


def test_each_mount_that_fails_is_named_with_its_reason_whatever_it_did(tmp_path: Path) -> None:
    text = """
        load_timeout: 0.5s
        mounts:
          /raises: raises:app
          /ends: ends:app
          /fine: fine:app
          /hangs: hangs:app
          /crashes: crashes:app
          /quits: quits:app
          /signals: signals:app
    """

    outcome = attempt(tmp_path, text)

    assert (outcome.untried, outcome.fatal) == ((), ())
    assert first_lines(outcome) == {
        "/raises": "4:12: mounts./raises.app: importing 'raises' raised ZeroDivisionError: division by zero",
        "/ends": "5:10: mounts./ends.app: loading 'ends:app' ended the process with exit code 7",
        "/hangs": "7:11: mounts./hangs.app: loading 'hangs:app' took longer than load_timeout (0.5s)",
        "/crashes": "8:13: mounts./crashes.app: loading 'crashes:app' ended the process with signal SIGSEGV",
        "/quits": "9:11: mounts./quits.app: importing 'quits' called sys.exit(3); move that below a __main__ guard",
        "/signals": "10:13: mounts./signals.app: importing 'signals' raised ValueError: "
        "signal only works in main thread of the main interpreter",
    }
    assert "1 / 0" in outcome.failed["/raises"].traceback


def test_only_the_mounts_in_question_are_loaded(tmp_path: Path) -> None:
    assert attempt(tmp_path, "mounts: {/: 'fine:app', /ends: 'ends:app'}", keys=["/"]) == Outcome()


def test_a_mount_has_a_load_timeout_of_its_own(tmp_path: Path) -> None:
    outcome = attempt(tmp_path, "mounts: {/: 'fine:app', /hangs: {app: 'hangs:app', load_timeout: 300ms}}")

    assert first_lines(outcome) == {
        "/hangs": "1:39: mounts./hangs.app: loading 'hangs:app' took longer than load_timeout (0.3s)"
    }


def test_middleware_that_cannot_be_made_is_wrong_for_the_whole_site(tmp_path: Path) -> None:
    outcome = attempt(tmp_path, "middleware: ['lab:nothing']\nmounts: {/: 'fine:app'}", keys=[])

    assert [problem.splitlines()[0].partition("config.yaml:")[2] for problem in outcome.fatal] == [
        "1:14: middleware.lab:nothing: module 'lab' has no attribute 'nothing'"
    ]


def test_a_trial_ends_what_an_app_has_started(tmp_path: Path) -> None:
    (tmp_path / "starts.py").write_text(
        "import subprocess, pathlib\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "pathlib.Path(__file__).with_name('pid').write_text(str(child.pid))\n"
        "from lab import app\n"
    )

    outcome = attempt(tmp_path, "mounts: {/: 'starts:app'}")

    assert outcome == Outcome()
    pid = (tmp_path / "pid").read_text()
    deadline = time.monotonic() + 5
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _runs(pid)


def _runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_trial_that_is_not_needed_ends_at_once() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    begun = time.monotonic()

    Trial(os.environ).close()

    assert time.monotonic() - begun < 5
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("environ", [{"LAB_WORD": "own"}, {}], ids=["the process's own wins", "the .env gives it"])
def test_a_trial_has_the_environment_that_it_is_given(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / ".env").write_text("LAB_WORD=file\n")
    (tmp_path / "words.py").write_text("import os\nraise RuntimeError(os.environ['LAB_WORD'])\n")
    file = sites.write(tmp_path, "mounts: {/: 'words:app'}", **MODULES)
    site = config.read(file, options=catalog.OPTIONS, environ=environ)

    outcome = try_all(site, config.read_contents(file), ["/"], environ=environ)

    assert f"RuntimeError: {environ.get('LAB_WORD', 'file')}" in outcome.failed["/"].problems[0]


def test_an_interpreter_is_for_any_number_of_runs_and_each_finds_it_new(tmp_path: Path) -> None:
    file = sites.write(tmp_path, "mounts: {/a: 'once:app', /ends: 'ends:app'}", **MODULES)
    (tmp_path / "once.py").write_text("import os\nassert 'LAB_ONCE' not in os.environ\n" + ONCE)
    site = config.read(file, options=catalog.OPTIONS, environ={})
    contents = config.read_contents(file)
    trial = Trial(os.environ)
    try:
        outcomes = [try_all(site, contents, ["/a", "/ends"], environ={}, trial=trial) for _ in range(3)]
        usable = trial.is_usable
    finally:
        trial.close()

    assert [list(outcome.failed) for outcome in outcomes] == [["/ends"]] * 3
    assert (usable, trial.is_usable) == (True, False)


ONCE = "os.environ['LAB_ONCE'] = 'x'\nfrom lab import app\n"
