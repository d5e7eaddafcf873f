from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from werkzeug.test import run_wsgi_app

from dispatcher import config, live, runtime
from dispatcher.errors import ConfigError, LoadError
from dispatcher.live import Live
from dispatcher.record import Active, Process, Records
from tests import sites
from tests.load import wait_until
from tests.serving import PYTHON, serving

pytestmark = pytest.mark.usefixtures("forget")

LAB = """
CALLS = []

def create_app(word="word"):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [word.encode()]
    return app

def opens(app):
    CALLS.append("opens")

def closes(app):
    CALLS.append("closes")

def fails():
    raise RuntimeError("no database")
"""
ONE = "reload: {watch: 50ms}\nmounts: {/: {app: 'lab:create_app', args: {word: one}, on_start: 'lab:opens'}}\n"
TWO = ONE.replace("one", "two")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    base = tmp_path / "runtime"
    base.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
    return sites.write(tmp_path, ONE, lab=LAB)


@pytest.fixture
def boot(file: Path) -> Iterator[Callable[[], Live]]:
    made: list[Live] = []

    def boot() -> Live:
        made.append(live.boot(file))
        return made[-1]

    yield boot
    for one in made:
        one.stop()


@pytest.fixture
def run(file: Path) -> Records:
    """The records of a run of which this process is the only worker."""
    return Records(runtime.site_folder(file), Process.of(os.getpid()))


def get(app: Live, path: str = "/") -> tuple[str, str]:
    environ: dict[str, Any] = {"PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": ""}
    setup_testing_defaults(environ)
    body, status, _ = run_wsgi_app(app, environ)
    text = b"".join(body).decode()
    body.close()  # type: ignore[attr-defined]  # the stack's body has one
    return status, text


def calls() -> list[str]:
    import lab  # type: ignore[import-not-found]  # written by `file`

    found: list[str] = lab.CALLS
    return found


def watchers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "dispatcher reload"]


def test_the_first_request_starts_what_the_server_has_not(boot: Callable[[], Live]) -> None:
    app = boot()
    before = (watchers(), calls()[:])

    answer = get(app)

    assert before == ([], [])
    assert answer == ("200 OK", "one")
    assert (len(watchers()), calls()) == (1, ["opens"])


def test_a_second_start_does_nothing(boot: Callable[[], Live]) -> None:
    app = boot()

    for _ in range(3):
        app.start()

    assert (len(watchers()), calls()) == (1, ["opens"])


def test_an_edit_goes_live_in_a_server_of_one_process(boot: Callable[[], Live], file: Path) -> None:
    app = boot()
    app.start()

    file.write_text(TWO)

    wait_until(lambda: get(app)[1] == "two")


def test_the_end_of_a_worker_stops_its_mounts_and_takes_its_record_back(
    boot: Callable[[], Live], file: Path, run: Records
) -> None:
    file.write_text(ONE.replace("on_start: 'lab:opens'", "on_stop: 'lab:closes'"))
    app = boot()
    app.start()
    before = [worker.pid for worker in run.workers()]

    app.stop()

    assert (before, run.workers(), watchers()) == ([os.getpid()], [], [])
    assert calls() == ["closes"]


def test_a_fork_starts_for_itself(boot: Callable[[], Live]) -> None:
    app = boot()
    app.start()
    pid = os.fork()
    if pid == 0:
        before = len(watchers())
        app.start()
        os._exit(10 * before + len(watchers()))

    _, status = os.waitpid(pid, 0)

    assert os.waitstatus_to_exitcode(status) == 1


def test_a_site_that_is_wrong_at_its_first_start_is_told(boot: Callable[[], Live], file: Path) -> None:
    file.write_text("mounts: [")
    with pytest.raises(ConfigError):
        boot()

    file.write_text("mounts: {/: 'lab:fails'}")
    with pytest.raises(LoadError):
        boot()


@pytest.mark.parametrize("text", ["mounts: [", TWO], ids=["a bad edit", "a good one that has not been taken yet"])
def test_a_later_worker_begins_with_what_is_active(
    boot: Callable[[], Live], file: Path, run: Records, text: str
) -> None:
    run.activate(Active(config.read_contents(file), 1.0))
    file.write_text(text)

    assert get(boot())[1] == "one"


def test_a_mount_that_waits_is_not_loaded_by_a_later_worker(boot: Callable[[], Live], file: Path, run: Records) -> None:
    file.write_text("mounts: {/: 'lab:create_app', /late: 'lab:fails'}")
    run.activate(Active(config.read_contents(file), 1.0, ("/late",)))

    app = boot()

    assert [one.state for one in app.stack.mounts] == ["serving", "loading"]
    assert get(app, "/late")[0] == "503 Service Unavailable"


def test_a_later_worker_that_cannot_serve_at_all_answers_503_until_it_can(
    boot: Callable[[], Live], file: Path, run: Records, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text("middleware: ['gone:Middleware']\n" + ONE)
    run.activate(Active(config.read_contents(file), 1.0))

    app = boot()
    during = get(app)[0]
    (file.parent / "gone.py").write_text("def Middleware(app):\n    return app\n")

    assert during == "503 Service Unavailable"
    assert "this worker answers 503 until it can serve" in caplog.text
    wait_until(lambda: get(app) == ("200 OK", "one"))


@pytest.mark.parametrize(
    ("code", "state", "reason"),
    [
        pytest.param("import os\nos._exit(3)\n", "disabled", "ended the process with exit code 3", id="exits"),
        pytest.param("raise ValueError('new')\n", "disabled", "raised ValueError: new", id="raises"),
        pytest.param("import time\ntime.sleep(600)\n", "loading", "", id="hangs"),
    ],
)
def test_code_that_came_onto_the_disk_meanwhile_does_a_later_worker_no_harm(
    boot: Callable[[], Live],
    file: Path,
    run: Records,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    state: str,
    reason: str,
) -> None:
    file.write_text(ONE.replace("mounts: {", "server: {timeout: 6}\nmounts: {/new: 'new:app', "))
    (file.parent / "new.py").write_text(code)
    run.activate(Active(config.read_contents(file), 1.0))
    monkeypatch.setenv("SERVER_SOFTWARE", "gunicorn/27")

    app = boot()

    new = app.stack.mounts[0]
    assert new.state == state
    assert reason in str(new.error)
    assert (get(app)[1], get(app, "/new")[0]) == ("one", "503 Service Unavailable")


@pytest.mark.parametrize("middleware", ["", "middleware: ['new:around']\n"], ids=["one app", "the middleware too"])
def test_what_a_later_worker_could_not_load_it_tries_again_for_itself(
    boot: Callable[[], Live], file: Path, run: Records, monkeypatch: pytest.MonkeyPatch, middleware: str
) -> None:
    file.write_text(middleware + ONE.replace("mounts: {", "mounts: {/new: 'new:app', "))
    (file.parent / "new.py").write_text("import os\nos._exit(3)\n")
    run.activate(Active(config.read_contents(file), 1.0))
    monkeypatch.setenv("SERVER_SOFTWARE", "gunicorn/27")
    app = boot()
    app.start()
    before = get(app, "/new")[0]

    (file.parent / "new.py").write_text(
        "from lab import create_app\napp = create_app('new')\naround = lambda app: app\n"
    )

    wait_until(lambda: get(app, "/new")[1] == "new")
    assert (before, get(app, "/new")[0]) == ("503 Service Unavailable", "200 OK")

    def told() -> list[tuple[str, list[str]]]:
        return [(worker.digest, [one.state for one in worker.mounts]) for worker in run.workers()]

    wait_until(lambda: "disabled" not in told()[0][1])  # it is told just after it is served
    assert told() == [(config.read_contents(file).digest, ["serving", "serving"])]


@pytest.mark.parametrize(
    ("handled_by", "text", "word"),
    [
        pytest.param("", TWO, "two", id="a good edit"),
        pytest.param("", "mounts: [", "one", id="a bad one"),
        pytest.param(str(os.getpid()), TWO, "one", id="where a HUP makes it active"),
    ],
)
def test_a_later_worker_reads_the_file_where_nobody_watches_it(
    boot: Callable[[], Live],
    file: Path,
    run: Records,
    monkeypatch: pytest.MonkeyPatch,
    handled_by: str,
    text: str,
    word: str,
) -> None:
    monkeypatch.setenv(live.HUP_HANDLED_BY, handled_by)
    file.write_text(ONE.replace("{watch: 50ms}", "false"))
    run.activate(Active(config.read_contents(file), 1.0))
    file.write_text(text.replace("{watch: 50ms}", "false"))

    app = boot()

    assert get(app)[1] == word
    active = run.active()
    assert active is not None
    assert active.digest == config.read_contents(file).digest or word == "one"


def test_a_site_without_a_place_for_records_serves(
    boot: Callable[[], Live], file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    runtime.make_folder(runtime.site_folder(file).parent)
    runtime.site_folder(file).write_text("a file in place of the folder")

    assert get(boot()) == ("200 OK", "one")
    wait_until(lambda: "edits of config.yaml cannot go live: NotADirectoryError: " in caplog.text)


def test_a_site_with_the_records_of_another_version_serves(
    boot: Callable[[], Live], run: Records, caplog: pytest.LogCaptureFixture
) -> None:
    run.hold()
    run.let_go()
    (run.folder / "active.json").write_text("{}")

    assert get(boot()) == ("200 OK", "one")
    wait_until(lambda: "edits of config.yaml cannot go live: ValueError: " in caplog.text)


def test_waitress_serves_edits_too(tmp_path: Path) -> None:
    file = sites.write(tmp_path, ONE, lab=LAB)
    serve = (
        "import sys, waitress, dispatcher\n"
        "host, port = sys.argv[2].split(':')\n"
        "waitress.serve(dispatcher.app, host=host, port=int(port), threads=4)\n"
    )
    with serving(tmp_path, command=(PYTHON, "-c", serve)) as site:
        before = site.request("/").text
        file.write_text(TWO)
        wait_until(lambda: site.request("/").text == "two")

    assert before == "one"
