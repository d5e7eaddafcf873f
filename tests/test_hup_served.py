"""HUP under real gunicorn, with clients that ask all the time; every answer is counted."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.load import Load, load, wait_until
from tests.serving import DISPATCHER, Serving, run, serving, write_site

CONFIG: Final = """
    server: {workers: 2, threads: 4}
    reload: {watch: 200ms}
    load_timeout: 4s
    mounts:
      /: code:app
"""
CODE: Final = """
import os
SLEEP
def app(environ, start_response):
    body = b"VERSION %d" % os.getpid()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]

def other(environ, start_response):
    return app(environ, start_response)
"""


def code(version: str, before: str = "") -> str:
    return CODE.replace("VERSION", version).replace("SLEEP", before)


@contextmanager
def code_site(folder: Path, *args: str) -> Iterator[Serving]:
    write_site(folder, CONFIG, code=code("one"))
    with serving(folder, *args) as site:
        wait_until(lambda: len(site.workers()) == 2 and all(pid in pids_that_answer(site) for pid in site.workers()))
        yield site


def pids_that_answer(site: Serving) -> set[int]:
    return {int(site.request("/").text.split()[1]) for _ in range(20)}


def hup(site: Serving) -> None:
    os.kill(site.process.pid, signal.SIGHUP)


def refused(site: Serving) -> int:
    return site.printed().count("Hang up: not done")


def write_code(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "code.py").write_text(text)


def write_config(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "config.yaml").write_text(text)


def write_conf(folder: Path) -> None:
    with (folder / "gunicorn.conf.py").open("a") as file:
        file.write("this is no Python\n")


BAD: Final[dict[str, tuple[Callable[[Path], object], str]]] = {
    "a syntax error in an app": (write_code("def app(:\n"), "'code' has a syntax error at"),
    "bad YAML": (write_config("mounts: [\n"), "config.yaml:"),
    "an import that exits": (write_code("import os\nos._exit(5)\n"), "ended the process with exit code 5"),
    "an import that calls sys.exit": (write_code("import sys\nsys.exit(5)\n"), "importing 'code' called sys.exit(5)"),
    "an import that sleeps": (write_code("import time\ntime.sleep(60)\n"), "took longer than load_timeout (4s)"),
    "a syntax error in gunicorn.conf.py": (write_conf, "SyntaxError: invalid syntax"),
    "a server setting that is wrong": (
        write_config("server: {worker_class: nosuch}\nmounts: {/: 'code:app'}\n"),
        "server.worker_class: no worker class; known are gevent, ",
    ),
}  # fmt: skip


def assert_smooth(asked: Load) -> None:
    """No request failed, and none waited for an import, which takes 3 s; how slow the slowest was is printed."""
    print(f"\nslowest of {len(asked.asked)} requests: {asked.slowest() * 1000:.0f} ms")
    assert asked.failed() == []
    assert asked.slowest() < 2.5
    assert len(asked.asked) > 50


@pytest.mark.soak
def test_a_hup_that_would_go_wrong_touches_no_worker(tmp_path: Path) -> None:
    with code_site(tmp_path) as site:
        before = sorted(site.workers())
        good = {name: (tmp_path / name).read_text() for name in ("config.yaml", "code.py", "gunicorn.conf.py")}
        with load(site, ["/"]) as asked:
            for number, (break_it, why) in enumerate(BAD.values(), 1):
                printed = len(site.printed())
                break_it(tmp_path)
                hup(site)
                wait_until(lambda number=number: refused(site) == number, seconds=20)  # type: ignore[misc]  # a lambda's default has no type
                wait_until(lambda printed=printed, why=why: why in site.printed()[printed:])  # type: ignore[misc]
                for name, text in good.items():
                    (tmp_path / name).write_text(text)

        assert_smooth(asked)
        assert {one.text.split()[0] for one in asked.asked} == {"one"}
        assert sorted(site.workers()) == before
        assert site.process.poll() is None


@pytest.mark.parametrize(
    ("worker", "import_seconds"),
    [
        pytest.param("gthread", 1, id="gthread"),
        pytest.param("gthread", 3, id="gthread, slow", marks=pytest.mark.soak),
        pytest.param("sync", 3, id="sync, slow", marks=pytest.mark.soak),
        pytest.param("gevent", 3, id="gevent, slow", marks=pytest.mark.soak),
    ],
)
def test_new_code_is_served_by_all_without_a_failed_or_slow_request(
    worker: str, import_seconds: int, tmp_path: Path
) -> None:
    with code_site(tmp_path, "--worker-class", worker) as site:
        before = set(site.workers())
        with load(site, ["/"]) as asked:
            (tmp_path / "code.py").write_text(code("two", f"import time\ntime.sleep({import_seconds})"))
            hup(site)
            wait_until(lambda: len(set(site.workers()) - before) == 2, seconds=30)
            wait_until(lambda: not before & set(site.workers()), seconds=30)
            began = time.monotonic()
            time.sleep(0.3)

        assert_smooth(asked)
        assert {one.text.split()[0] for one in asked.asked if one.begun > began} == {"two"}
        assert len(site.workers()) == 2
        assert site.process.poll() is None


def test_a_hup_after_a_refused_one_brings_the_mended_code(tmp_path: Path) -> None:
    with code_site(tmp_path) as site:
        before = set(site.workers())
        (tmp_path / "code.py").write_text("def app(:\n")
        hup(site)
        wait_until(lambda: refused(site) == 1)

        (tmp_path / "code.py").write_text(code("two"))
        hup(site)
        wait_until(lambda: not before & set(site.workers()), seconds=20)

        assert site.request("/").text.startswith("two")
        wait_until(lambda: len(site.workers()) == 2)


@pytest.mark.soak
@pytest.mark.parametrize("worker", ["gthread", "sync"])
def test_a_storm_of_hups_good_and_bad_loses_no_request(worker: str, tmp_path: Path) -> None:
    with code_site(tmp_path, "--worker-class", worker) as site:
        choose = random.Random(4)
        with load(site, ["/"]) as asked:
            for number in range(40):
                text = choose.choice([code(f"good-{number}"), "def app(:\n", "import os\nos._exit(1)\n"])
                (tmp_path / "code.py").write_text(text)
                hup(site)
                time.sleep(choose.choice([0.01, 0.3, 1.0, 2.0]))
            (tmp_path / "code.py").write_text(code("last"))
            hup(site)
            wait_until(lambda: [site.request("/").text.split()[0] for _ in range(10)] == ["last"] * 10, seconds=30)
            wait_until(lambda: len(site.workers()) == 2, seconds=10)

        assert asked.failed() == []
        assert site.process.poll() is None


def test_new_workers_that_do_not_boot_are_ended_and_the_old_ones_stay(tmp_path: Path) -> None:
    # What passes the check and fails in a worker: the check's process is no gunicorn worker.
    trap = "import signal\nif signal.getsignal(signal.SIGABRT) is not signal.SIG_DFL: os._exit(1)"
    with code_site(tmp_path) as site:
        before = sorted(site.workers())
        with load(site, ["/"]) as asked:
            (tmp_path / "code.py").write_text(code("two", trap))
            hup(site)
            wait_until(lambda: refused(site) == 1, seconds=20)
            time.sleep(0.5)

        assert asked.failed() == []
        assert {one.text.split()[0] for one in asked.asked} == {"one"}
        assert sorted(site.workers()) == before
        assert "ended before it served" in site.printed()


def test_a_config_that_is_not_watched_goes_live_by_a_hup(tmp_path: Path) -> None:
    text = "server: {workers: 2}\nreload: false\nmounts: {/: 'code:app'"
    write_site(tmp_path, text + "}\n", code=code("one"))
    with serving(tmp_path) as site:
        (tmp_path / "config.yaml").write_text(text + ", /new: 'code:other'}\n")
        assert site.request("/new").text.startswith("one")  # from the mount above

        done = run(tmp_path, *DISPATCHER, "reload", "--wait")

        assert (done.returncode, done.stdout) == (0, "reloaded\n")
        assert '"/new"' in run(tmp_path, *DISPATCHER, "status", "--json").stdout


def test_a_server_that_was_started_in_another_folder_finds_its_settings_there(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "run").mkdir()
    write_site(tmp_path / "site", CONFIG, code=code("one"))
    (tmp_path / "site" / "gunicorn.conf.py").rename(tmp_path / "run" / "gunicorn.conf.py")
    with serving(tmp_path / "run", env={"DISPATCHER_CONFIG": "../site/config.yaml"}) as site:
        for version in ("two", "three"):
            before = set(site.workers())
            (tmp_path / "site" / "code.py").write_text(code(version))
            hup(site)
            wait_until(lambda gone=before: not gone & set(site.workers()), seconds=20)  # type: ignore[misc]  # a lambda's default has no type
            assert site.request("/").text.startswith(version)

        with (tmp_path / "run" / "gunicorn.conf.py").open("a") as file:
            file.write("this is no Python\n")
        hup(site)
        wait_until(lambda: refused(site) == 1)


def test_a_hup_takes_a_new_number_of_workers_and_serve_does_so_too(tmp_path: Path) -> None:
    write_site(tmp_path, CONFIG, code=code("one"))
    with serving(tmp_path, command=(*DISPATCHER, "serve")) as site:
        wait_until(lambda: len(site.workers()) == 2)
        before = set(site.workers())
        (tmp_path / "config.yaml").write_text(
            "server: {workers: 3, threads: 4}\nreload: {watch: 200ms}\nmounts: {/: 'code:app'}\n"
        )
        hup(site)

        wait_until(lambda: len(site.workers()) == 3 and not before & set(site.workers()), seconds=20)
        assert site.request("/").status == 200
