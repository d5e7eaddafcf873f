from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dispatcher import runtime
from dispatcher.runtime import make_folder, moved, site_folder

UID = os.geteuid()


def test_a_site_meets_in_the_session_folder_that_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    folder = site_folder(Path("/srv/site/config.yaml"))

    assert folder == tmp_path / f"dispatcher-{UID}" / "fcbd29071d57c88d"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "session", ["", "relative", "/nonexistent", __file__], ids=["unset", "relative", "gone", "file"]
)
@pytest.mark.parametrize(
    ("writable", "base"),
    [({"/dev/shm", "/run"}, "/dev/shm"), ({"/run"}, "/run"), (set(), "/somewhere/tmp")],
    ids=["shared memory", "run", "temporary folder"],
)
def test_else_it_meets_where_memory_is_or_in_the_temporary_folder(
    monkeypatch: pytest.MonkeyPatch, session: str, writable: set[str], base: str
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", session)
    monkeypatch.setattr(os, "access", lambda path, _mode: path in writable)
    monkeypatch.setattr(tempfile, "tempdir", "/somewhere/tmp")

    assert site_folder(Path("/srv/config.yaml")).parent == Path(base, f"dispatcher-{UID}")


def test_a_base_in_which_somebody_has_taken_our_name_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bases = [str(tmp_path / name) for name in ("shm", "run", "tmp")]
    for base in bases:
        Path(base).mkdir()
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(runtime, "_SHARED", tuple(bases[:2]))
    monkeypatch.setattr(tempfile, "tempdir", bases[2])
    (Path(bases[0]) / f"dispatcher-{UID}").symlink_to("/")
    passed_over = site_folder(Path("/srv/config.yaml"))
    (Path(bases[1]) / f"dispatcher-{UID}").touch()

    assert passed_over.is_relative_to(bases[1])
    assert site_folder(Path("/srv/config.yaml")).is_relative_to(bases[2])


def test_what_is_in_the_folder_of_a_site_moves_with_its_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = tmp_path / "session"
    session.mkdir()
    monkeypatch.setattr(runtime, "_SHARED", ())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(session))
    path = site_folder(Path("/srv/config.yaml")) / "limits"
    before = moved(path)

    session.rmdir()
    elsewhere = moved(path)
    session.mkdir()

    assert before == path
    assert elsewhere == tmp_path / "tmp" / path.relative_to(session)
    assert moved(elsewhere) == path


@pytest.mark.parametrize("name", ["limits", f"dispatcher-{UID}/limits", f"dispatcher-{UID}/mine/limits"])
def test_what_is_elsewhere_stays_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    assert moved(Path("/srv", name)) == Path("/srv", name)


def test_a_relative_config_file_is_the_same_site_as_its_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert site_folder(Path("config.yaml")) == site_folder(tmp_path / "x" / ".." / "config.yaml")
    assert site_folder(Path("config.yaml")) != site_folder(Path("other.yaml"))


def test_a_socket_in_the_folder_has_a_name_short_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")

    assert len(str(site_folder(Path("/srv") / ("long" * 100) / "config.yaml") / "control.sock")) < 104


def test_the_folder_and_what_is_missing_above_it_are_private(tmp_path: Path) -> None:
    path = tmp_path / "missing" / f"dispatcher-{UID}" / "site"

    make_folder(path)
    make_folder(path)

    assert [folder.stat().st_mode & 0o777 for folder in (path, path.parent, path.parent.parent)] == [0o700] * 3


def _link(path: Path) -> None:
    (path.parent / "elsewhere").mkdir()
    path.symlink_to("elsewhere")


def _open_to_all(path: Path) -> None:
    path.mkdir()
    path.chmod(0o1777)


def _of_somebody(path: Path) -> None:
    if UID != 0:
        pytest.skip("only root can make a folder of another user")
    path.mkdir()
    os.chown(path, 12345, 12345)


@pytest.mark.parametrize("which", ["run", "site", "user"])
@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (_link, "is not a folder: '{path}'"),
        (lambda path: path.touch(), "is not a folder: '{path}'"),
        (_open_to_all, "is writable by other users: '{path}'"),
        (_of_somebody, "belongs to another user: '{path}'"),
    ],
    ids=["link", "file", "writable by others", "of another user"],
)
def test_a_folder_that_somebody_prepared_is_refused(
    tmp_path: Path, which: str, prepare: Callable[[Path], object], message: str
) -> None:
    user = tmp_path / f"dispatcher-{UID}"
    path = {"user": user, "site": user / "site", "run": user / "site" / "run"}[which]
    for folder in reversed(path.parents):
        folder.mkdir(mode=0o700, exist_ok=True)
    prepare(path)

    with pytest.raises(OSError, match=re.escape(message.format(path=path)) + "$"):
        make_folder(user / "site" / "run")
