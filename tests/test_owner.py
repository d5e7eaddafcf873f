"""Root's part in the files of a site whose workers are another user; most of it can be tested by root alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

from dispatcher import config, owner, starting
from dispatcher.config import Contents
from dispatcher.record import Active, Process, Records
from tests import sites
from tests.serving import DISPATCHER, run, serving, wait_until, write_site

NOBODY: Final = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of another user that root's own temporary folder does not hide."""
    with TemporaryDirectory() as name:
        shutil.chown(name, NOBODY, NOBODY)
        yield Path(name)


def owners(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in folder.rglob("*")}


@as_root
def test_what_root_makes_as_another_user_is_theirs(folder: Path) -> None:
    with owner.acting_as(NOBODY):
        (folder / "theirs").touch()
    (folder / "roots").touch()

    assert (folder / "theirs").stat().st_uid == NOBODY
    assert (folder / "roots").stat().st_uid == 0


@as_root
def test_root_is_root_again_after_an_error(folder: Path) -> None:
    with pytest.raises(PermissionError), owner.acting_as(NOBODY):
        Path("/etc/dispatcher-test").touch()

    assert os.geteuid() == 0


@as_root
def test_the_records_in_the_folder_of_another_user_are_theirs(folder: Path) -> None:
    records = Records(folder / f"dispatcher-{NOBODY}" / "0123456789abcdef", Process.of(os.getpid()))

    records.activate(Active(Contents(b"mounts: {}"), since=1.0))
    lock = records.lock()

    assert lock is not None
    lock.release()
    assert owners(folder) == {NOBODY}
    assert records.active() == Active(Contents(b"mounts: {}"), since=1.0)


@as_root
def test_a_link_leads_root_nowhere(folder: Path, tmp_path: Path) -> None:
    records = Records(folder / f"dispatcher-{NOBODY}" / "0123456789abcdef", Process.of(os.getpid()))
    with owner.acting_as(NOBODY):
        records.folder.parent.parent.mkdir(mode=0o700)
        records.folder.parent.symlink_to(tmp_path)

    with pytest.raises(NotADirectoryError):
        records.hold()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uid", [0, os.geteuid()])
def test_who_acts_as_himself_stays_what_he_is(uid: int) -> None:
    with owner.acting_as(uid):
        assert os.geteuid() == os.getuid()


@pytest.mark.usefixtures("forget")
def test_a_trial_becomes_what_the_workers_are_before_it_loads_anything(tmp_path: Path) -> None:
    source = "import os\nassert os.environ['OWNER_TEST'] == 'worker'\ndef app(environ, start_response): pass\n"
    site = config.read(sites.write(tmp_path, "mounts: {/: 'is_worker:app'}", is_worker=source))

    as_they_are = starting.try_mounts(site)
    become = starting.try_mounts(site, become=lambda: os.environ.update(OWNER_TEST="worker"))

    assert (list(as_they_are.failed), list(become.failed)) == (["/"], [])


def _nobody_can_run_python() -> bool:
    if os.geteuid() != 0:
        return False
    try:
        code = "import dispatcher.server, sqlite3"
        return subprocess.run([sys.executable, "-c", code], user=NOBODY, cwd="/", check=False).returncode == 0
    except OSError:
        return False


APP: Final = """
import os
from pathlib import Path

def create_app():
    folder = Path(__file__).parent / "var"
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / "who.txt").open("a") as who:
        who.write(f"{os.getuid()} {os.geteuid()} {os.getgid()} {os.environ['OWNER_TEST']}\\n")
    return app

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]
"""


@pytest.mark.skipif("not _nobody_can_run_python()", reason="takes root, and a Python that another user can read")
def test_a_server_of_root_loads_and_shares_nothing_as_root(folder: Path) -> None:
    (folder / "run").mkdir()
    shutil.chown(folder / "run", NOBODY, NOBODY)
    text = f"""
        server: {{workers: 2, user: {NOBODY}, group: {NOBODY}, raw_env: [OWNER_TEST=yes]}}
        middleware: [{{rate_limit: {{limits: [1000/second]}}}}]
        mounts: {{/: 'writes:create_app', /bad: 'writes:nothing'}}
    """
    write_site(folder, text, writes=APP)
    environ = {"XDG_RUNTIME_DIR": str(folder / "run"), "PYTHONDONTWRITEBYTECODE": "1"}

    checked = run(folder, *DISPATCHER, "check", env=environ)
    with serving(folder, env=environ) as site:
        wait_until(lambda: len((folder / "var/who.txt").read_text().splitlines()) == 4)
        assert site.request("/").text == "hello"
        status = run(folder, *DISPATCHER, "status", env=environ)
        reloaded = run(folder, *DISPATCHER, "reload", "--wait", env=environ)
        shared = owners(folder / "run")
        left = site.process.pid

    assert set((folder / "var/who.txt").read_text().splitlines()) == {f"{NOBODY} {NOBODY} {NOBODY} yes"}
    assert shared == {NOBODY}
    assert f"server {left}" in status.stdout
    assert status.stderr == ""
    assert "module 'writes' has no attribute 'nothing'" in checked.stderr
    assert (reloaded.stdout, reloaded.stderr) == ("reloaded\n", "")
