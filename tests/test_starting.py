from __future__ import annotations

import os
import textwrap
import time
from pathlib import Path

import pytest

from dispatcher import catalog, config, starting
from dispatcher.starting import Start
from tests import sites

pytestmark = pytest.mark.usefixtures("forget")

MODULES = {
    "good": "def app(environ, start_response): pass\n",
    "raises": "raise ValueError('no database')\n",
    "quits": "import sys\nsys.exit(2)\n",
    "exits": "import os\nos._exit(7)\n",
    "crashes": "import ctypes, faulthandler\nfaulthandler.disable()\nctypes.string_at(0)\n",
    "hangs": "import time\ntime.sleep(600)\n",
    "slow": "import time\ntime.sleep(0.6)\ndef app(environ, start_response): pass\n",
    "works": "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass\n"
    "def app(environ, start_response): pass\n",
    "spins": "while True: pass\n",
    "stops": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\n",
    "forks": "import os, time\nif os.fork() == 0: time.sleep(600)\nraise ValueError('parent')\n",
    "middle": "import os\ndef middle(app): return app\ndef exits(app): os._exit(3)\n",
}


def start(folder: Path, text: str, *, patience: float = 0.8) -> Start:
    file = sites.write(folder, textwrap.dedent(text), **MODULES)
    return starting.try_mounts(config.read(file, options=catalog.OPTIONS), patience=patience)


def reasons(found: Start) -> dict[str, str]:
    """Why each mount failed, without the place in the file and the line shown from it."""
    return {key: failure.problems[0].splitlines()[0].partition(".app: ")[2] for key, failure in found.failed.items()}


def test_a_site_whose_apps_load_has_nothing_to_tell(tmp_path: Path) -> None:
    assert start(tmp_path, "mounts: {/: 'good:app'}\n") == Start()


def test_every_kind_of_failure_is_found_beside_a_good_mount_and_none_waits_for_one_that_hangs(tmp_path: Path) -> None:
    text = """
        mounts:
          /hangs: hangs:app
          /raises: raises:app
          /quits: quits:app
          /exits: exits:app
          /crashes: crashes:app
          /stops: stops:app
          /missing: nowhere:app
          /good: good:app
    """
    began = time.monotonic()

    found = start(tmp_path, text)

    assert time.monotonic() - began < 3
    assert reasons(found) == {
        "/raises": "importing 'raises' raised ValueError: no database",
        "/quits": "importing 'quits' called sys.exit(2); move that below a __main__ guard",
        "/exits": "loading 'exits:app' ended the process with exit code 7",
        "/crashes": "loading 'crashes:app' ended the process with signal SIGSEGV",
        "/missing": "no module 'nowhere'; looked in the folder of the config and in the installed packages",
    }
    assert found.undecided == ("/hangs", "/stops")
    assert "ValueError: no database" in found.failed["/raises"].traceback


def test_a_slow_app_is_undecided_when_patience_ends_and_decided_when_it_does_not(tmp_path: Path) -> None:
    text = "mounts: {/slow: 'slow:app', /: 'good:app'}\n"

    assert start(tmp_path, text, patience=0.3) == Start(undecided=("/slow",))
    assert start(tmp_path, text, patience=20) == Start()


def test_an_app_that_is_at_work_is_waited_for_but_not_one_that_never_ends(tmp_path: Path) -> None:
    assert start(tmp_path, "mounts: {/: 'good:app', /works: 'works:app'}\n", patience=0.1) == Start()

    began = time.monotonic()
    assert start(tmp_path, "mounts: {/: 'good:app', /spins: 'spins:app'}\n", patience=0.1).undecided == ("/spins",)
    assert time.monotonic() - began < 8  # one second of CPU time on a machine that has much to do


def test_where_nothing_can_be_served_yet_patience_has_no_end_but_the_load_timeout(tmp_path: Path) -> None:
    found = start(
        tmp_path, "mounts: {/slow: 'slow:app', /hangs: {app: 'hangs:app', load_timeout: 300ms}}\n", patience=0
    )

    assert reasons(found) == {"/hangs": "loading 'hangs:app' took longer than load_timeout (0.3s)"}
    assert found.undecided == ()


def test_a_strict_site_waits_for_every_verdict(tmp_path: Path) -> None:
    text = "strict: true\nload_timeout: 1s\nmounts: {/hangs: 'hangs:app', /: 'good:app'}\n"

    found = start(tmp_path, text, patience=0)

    assert reasons(found) == {"/hangs": "loading 'hangs:app' took longer than load_timeout (1s)"}


def test_middleware_that_cannot_be_made_is_fatal_however_it_fails(tmp_path: Path) -> None:
    problem = start(tmp_path, "middleware: ['nowhere:Middle']\nmounts: {/: 'good:app'}\n").fatal[0]
    assert "no module 'nowhere'" in problem

    text = "middleware: ['middle:exits']\nmounts: {/: 'good:app'}\n"
    assert "middleware: preparing the middleware ended the process with exit code 3" in start(tmp_path, text).fatal[0]


def test_a_site_without_mounts_has_its_middleware_tried(tmp_path: Path) -> None:
    assert start(tmp_path, "middleware: ['middle:middle']\nmounts: {}\n") == Start()
    assert "nowhere" in start(tmp_path, "middleware: ['nowhere:Middle']\nmounts: {}\n").fatal[0]


def test_many_that_hang_are_taken_on_a_few_at_a_time(tmp_path: Path) -> None:
    mounts = ", ".join(f"/{number}: 'hangs:app'" for number in range(12))

    found = start(tmp_path, f"load_timeout: 300ms\nmounts: {{{mounts}, /good: 'good:app'}}\n", patience=0)

    assert len(found.failed) >= 8  # those that were over before the good one was come to
    assert sorted([*found.failed, *found.undecided]) == sorted(f"/{number}" for number in range(12))


def test_no_process_is_left_behind(tmp_path: Path) -> None:
    start(tmp_path, "mounts: {/forks: 'forks:app', /hangs: 'hangs:app', /: 'good:app'}\n", patience=0.3)

    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_mount_that_waits_is_not_tried(tmp_path: Path) -> None:
    file = sites.write(tmp_path, "mounts: {/exits: 'exits:app', /: 'good:app'}\n", **MODULES)

    assert starting.try_mounts(config.read(file, options=catalog.OPTIONS), waiting=["/exits"]) == Start()


@pytest.mark.parametrize("strict", ["false", "true"])
def test_nothing_is_waited_for_longer_than_the_caller_may_wait(strict: str, tmp_path: Path) -> None:
    file = sites.write(tmp_path, f"strict: {strict}\nmounts: {{/hangs: 'hangs:app'}}\n", **MODULES)

    found = starting.try_mounts(config.read(file, options=catalog.OPTIONS), longest=0.3)

    assert found == Start(undecided=("/hangs",))
