from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dispatcher import runtime, watch
from dispatcher.config import read_contents
from dispatcher.hupcheck import Job, Verdict, judge, read_verdict
from dispatcher.record import Active, Process, Records
from tests.serving import write_site

pytestmark = pytest.mark.usefixtures("forget")
GOOD = "def app(environ, start_response): pass\n"
CONFIG = "mounts: {/: 'good:app', /bad: 'bad:app'}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a site whose apps load; gunicorn's settings are read in this process, and change it."""
    monkeypatch.setenv("DISPATCHER_CONFIG", str(tmp_path / "config.yaml"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    before = Path.cwd()
    yield write_site(tmp_path, CONFIG, good=GOOD, bad=GOOD)
    os.chdir(before)


def job(folder: Path, *argv: str) -> Job:
    return Job(str(folder / "config.yaml"), os.getpid(), argv, str(folder))


def gunicorn(folder: Path) -> tuple[str, ...]:
    """How gunicorn was started: not in the folder of the site, where it would find its file by itself."""
    return "gunicorn", "dispatcher:app", "--config", str(folder / "gunicorn.conf.py")


def test_a_site_that_is_right_has_no_problems(folder: Path) -> None:
    file = folder / "config.yaml"

    found = judge(job(folder, *gunicorn(folder)))

    assert found == Verdict(watch.stamp_of(file), read_contents(file).digest)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        pytest.param("config.yaml", "mount: {}\n", "unknown key, did you mean 'mounts'?", id="config"),
        pytest.param("bad.py", "def app(:\n", "'bad' has a syntax error", id="app"),
        pytest.param("bad.py", "import os\nos._exit(3)\n", "ended the process with exit code 3", id="app that exits"),
        pytest.param("gunicorn.conf.py", "1 / 0\n", "ZeroDivisionError", id="gunicorn.conf.py"),
        pytest.param("gunicorn.conf.py", "workers = 'many'\n", "Invalid value for workers", id="a setting"),
        pytest.param("gunicorn.conf.py", "worker_class = 'none'\n", "class uri 'none' invalid", id="a class"),
    ],
)
def test_what_is_wrong_is_told(folder: Path, name: str, text: str, why: str) -> None:
    (folder / name).write_text(text)

    found = judge(job(folder, *gunicorn(folder)))

    assert why in "\n".join(found.problems)


def test_where_gunicorn_has_no_settings_of_its_own_none_are_read(folder: Path) -> None:
    (folder / "gunicorn.conf.py").write_text("1 / 0\n")

    assert judge(job(folder)).problems == ()


def test_an_address_that_is_taken_is_told_unless_it_is_ours(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        argv = (*gunicorn(folder), "--bind", f"127.0.0.1:{port}")
        ours = Job(str(folder / "config.yaml"), os.getpid(), argv, str(folder), (repr(("127.0.0.1", port)),))

        assert judge(job(folder, *argv)).problems == (f"cannot listen on 127.0.0.1:{port}: Address already in use",)
        assert judge(ours).problems == ()


@pytest.mark.parametrize(("strict", "waiting"), [("", ("/bad",)), ("strict: true\n", ())], ids=["not strict", "strict"])
def test_a_mount_that_failed_before_may_go_on_failing_unless_the_site_is_strict(
    folder: Path, strict: str, waiting: tuple[str, ...]
) -> None:
    file = folder / "config.yaml"
    file.write_text(strict + CONFIG)
    (folder / "bad.py").write_text("def app(:\n")
    records = Records(runtime.site_folder(file), Process.of(os.getpid()))
    records.activate(Active(read_contents(file), 0.0, ("/bad", "/gone")))

    found = judge(job(folder))

    assert (found.waiting, bool(found.problems)) == (waiting, bool(strict))


def test_a_verdict_that_is_not_written_yet_is_none(tmp_path: Path) -> None:
    assert read_verdict(tmp_path / "none.json") is None
