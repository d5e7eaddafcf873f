"""The start of a site some of whose apps cannot be loaded, under real gunicorn."""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.load import wait_until
from tests.serving import DISPATCHER, Serving, run, serving, write_site

CONFIG: Final = """
    server: {workers: 2, threads: 2}
    reload: {watch: 200ms}
    load_timeout: LOAD_TIMEOUT
    logging: {file: logs/app.log, console: false}
    mounts:
      /hangs: hangs:app
      /raises: raises:app
      /quits: quits:app
      /exits: exits:app
      /crashes: crashes:app
      /: good:app
"""

MODULES: Final = {
    "good": """
        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"good"]
    """,
    "hangs": "import time\ntime.sleep(60)\n",
    "raises": "raise ValueError('a secret detail')\n",
    "quits": "import sys\nsys.exit(2)\n",
    "exits": "import os\nos._exit(7)\n",
    "crashes": "import ctypes\nctypes.string_at(0)\n",
}
BAD: Final = ("/hangs", "/raises", "/quits", "/exits", "/crashes")


def config(load_timeout: str = "30s") -> str:
    return CONFIG.replace("LOAD_TIMEOUT", load_timeout)


def log_of(folder: Path) -> str:
    file = folder / "logs" / "app.log"
    return file.read_text() if file.exists() else ""


def state_of(folder: Path) -> dict[str, Any]:
    found = json.loads(run(folder, *DISPATCHER, "status", "--json").stdout)
    return {mount["key"]: (mount["state"], mount["reason"]) for mount in found["mounts"]}


@contextmanager
def _timed(folder: Path, *args: str) -> Iterator[tuple[Serving, float]]:
    begun = time.monotonic()
    with serving(folder, *args) as site:
        yield site, time.monotonic() - begun


@pytest.mark.parametrize("conf", [True, False], ids=["with a conf file", "without one"])
def test_each_kind_of_failure_is_503_beside_a_good_mount_that_answers_at_once(conf: bool, tmp_path: Path) -> None:
    folder = write_site(tmp_path, config(), **MODULES)
    if not conf:
        (folder / "gunicorn.conf.py").unlink()

    with _timed(folder, *(() if conf else ("--workers", "2", "--threads", "2"))) as (site, seconds):
        good = site.request("/")
        bad = [site.request(path) for path in BAD]
        wait_until(lambda: log_of(folder).count("answers 503; it is tried again") >= 4)
        states = state_of(folder)

    assert (good.status, good.text) == (200, "good")
    print(f"\nthe good mount answered after {seconds:.2f} s")
    assert seconds < 20  # the import that hangs would take longer
    for answer in bad:
        assert (answer.status, answer.text) == (503, "503 Service Unavailable\n")
        assert answer.headers["retry-after"] == "5"
    assert states["/"] == ("serving", "")
    assert states["/hangs"] == ("loading", "")
    assert [states[path][0] for path in BAD[1:]] == ["disabled"] * 4
    assert "importing 'raises' raised ValueError: a secret detail" in states["/raises"][1]
    log = log_of(folder)
    assert log.count("ValueError: a secret detail\n") == 2  # the problem, and the last line of its traceback
    assert "loading 'exits:app' ended the process with exit code 7" in log
    assert "loading 'crashes:app' ended the process with signal SIGSEGV" in log


def test_a_mount_that_can_be_loaded_later_is_brought_in_without_a_restart(tmp_path: Path) -> None:
    folder = write_site(tmp_path, config(), **MODULES)
    with serving(folder) as site:
        wait_until(lambda: len(site.workers()) == 2)
        before = sorted(site.workers())
        assert site.request("/raises").status == 503

        (folder / "raises.py").write_text((folder / "good.py").read_text())
        wait_until(lambda: [site.request("/raises").status for _ in range(8)] == [200] * 8, seconds=15)

        assert sorted(site.workers()) == before
        assert site.request("/quits").status == 503
        assert "/raises could be loaded now, and is served" in log_of(folder)


@pytest.mark.soak
def test_an_app_that_takes_long_to_load_keeps_nobody_waiting_and_serves_when_it_has(tmp_path: Path) -> None:
    slow = "import time\ntime.sleep(1.5)\n" + "from good import app as good\ndef app(e, s): return good(e, s)\n"
    text = "reload: {watch: 200ms}\nmounts: {/: 'good:app', /slow: 'slow:app'}\n"
    folder = write_site(tmp_path, text, good=MODULES["good"], slow=slow)
    with serving(folder, "--workers", "2") as site:
        assert (site.request("/").status, site.request("/slow").status) == (200, 503)
        wait_until(lambda: [site.request("/slow").status for _ in range(8)] == [200] * 8, seconds=20)
        assert "/slow takes its time to load; it answers 503 until then" in site.printed()


@pytest.mark.soak
def test_an_import_that_hangs_is_given_up_at_its_load_timeout(tmp_path: Path) -> None:
    folder = write_site(tmp_path, config("1s"), **MODULES)
    with serving(folder):
        wait_until(lambda: "loading 'hangs:app' took longer than load_timeout (1s)" in log_of(folder), seconds=15)
        wait_until(lambda: state_of(folder)["/hangs"][0] == "disabled")
        time.sleep(1.5)  # for what failed at the start to be tried again
    assert log_of(folder).count("answers 503; it is tried again") == len(BAD)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("strict: true\n" + config("1s"), "took longer than load_timeout (1s)", id="strict"),
        pytest.param(
            "mounts: {/: 'quits:app', /a: 'exits:app'}\n", "ended the process with exit code 7", id="none loads"
        ),
        pytest.param("middleware: ['exits:Middle']\nmounts: {/: 'good:app'}\n", "exit code 7", id="middleware"),
    ],
)
def test_a_start_that_is_refused_says_why_and_leaves_nothing_running(text: str, why: str, tmp_path: Path) -> None:
    folder = write_site(tmp_path, "", **MODULES)
    (folder / "config.yaml").write_text("\n".join(line.removeprefix("    ") for line in text.splitlines()) + "\n")

    ended = run(folder, *DISPATCHER, "serve", "--bind", "127.0.0.1:0")

    assert ended.returncode == 1
    assert why in ended.stderr
    assert "Booting worker" not in ended.stderr


def test_an_import_that_takes_hold_of_the_process_does_not_keep_it(tmp_path: Path) -> None:
    greedy = """
        import logging.config, os, signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.chdir("/")
        logging.config.dictConfig({"version": 1, "root": {"level": "CRITICAL", "handlers": []}})
        def app(environ, start_response):
            start_response("200 OK", [])
            return [os.getcwd().encode()]
    """
    text = "logging: {file: logs/app.log, console: false}\nmounts: {/: 'good:app', /greedy: 'greedy:app'}\n"
    folder = write_site(tmp_path, text, good=MODULES["good"], greedy=greedy)
    with serving(folder) as site:
        where = site.request("/greedy").text
        site.process.terminate()
        ended = site.process.wait(5)

    assert (where, ended) == (str(folder), 0)
    told = "changed the handler of SIGTERM, the working directory, the root logger, what other loggers write, which"
    assert told in log_of(folder)


def test_of_two_apps_with_a_module_of_one_name_the_second_is_refused_with_both_paths(tmp_path: Path) -> None:
    text = """
        load_timeout: 5s
        logging: {file: logs/app.log, console: false}
        mounts: {/one: "one.main:app", /two: "two.main:app"}
    """
    main = """
        import pathlib, sys
        sys.path.insert(0, str(pathlib.Path(__file__).parent))
        import settings
        def app(environ, start_response):
            start_response("200 OK", [])
            return [settings.WHOSE]
    """
    folder = write_site(tmp_path, text)
    for name in ("one", "two"):
        (folder / name).mkdir()
        (folder / name / "main.py").write_text(textwrap.dedent(main))
        (folder / name / "settings.py").write_text(f"WHOSE = {name.encode()!r}\n")

    with serving(folder, "--workers", "2") as site:
        wait_until(lambda: "it is tried again in 1 s" in log_of(folder))
        time.sleep(3.5)  # two tries: it loads alone, in the interpreter that tries it again
        answers = [site.request("/one").text, site.request("/two").status]
        state, reason = state_of(folder)["/two"]

    assert answers == ["one", 503]
    assert state == "disabled"
    assert (
        f"the module 'settings' of this app, {folder}/two/settings.py, has the name of {folder}/one/settings.py"
        in reason
    )
    assert log_of(folder).count("has the name of") == 1
