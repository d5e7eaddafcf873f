from __future__ import annotations

import logging
import logging.config
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dispatcher import loadguard, logs
from dispatcher.errors import LoadError
from dispatcher.loadguard import protected
from dispatcher.sections import Logging

pytestmark = pytest.mark.usefixtures("forget")


@pytest.fixture(autouse=True)
def _logging_is_ours(forget: None) -> None:
    """The root logger is set up, so that what an app does to it is undone."""
    logs.configure(Logging())


@pytest.fixture(autouse=True)
def _nothing_brought(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take back what an app of a test has brought, and the folder it may have left us in."""
    before = Path.cwd()
    monkeypatch.setattr(loadguard, "_brought", set())
    yield
    os.chdir(before)


def ignore_term() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def take_signals() -> None:
    signal.signal(signal.SIGHUP, lambda *args: None)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def set_alarm() -> None:
    signal.alarm(1000)


def take_wakeup() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    os.close(reader)


def go_elsewhere() -> None:
    os.chdir("/")


def silence_everybody() -> None:
    logging.getLogger("somebody")
    logging.config.dictConfig({"version": 1, "root": {"level": "CRITICAL", "handlers": []}})


def raise_the_level() -> None:
    logging.disable(logging.CRITICAL)


def nothing() -> None:
    pass


def state() -> list[object]:
    wakeup = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(wakeup)
    handlers = [signal.getsignal(number) for number in sorted(signal.valid_signals())]
    root = logging.getLogger()
    return [
        Path.cwd(), wakeup, handlers, signal.getitimer(signal.ITIMER_REAL)[0] < 900, root.level, root.handlers[:],
        root.manager.disable, logging.getLogger("somebody").disabled,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        pytest.param(nothing, [], id="nothing"),
        pytest.param(ignore_term, ["the handler of SIGTERM"], id="ignores a signal"),
        pytest.param(take_signals, ["the handler of SIGHUP", "the handler of SIGINT"], id="handles signals"),
        pytest.param(set_alarm, ["an alarm"], id="sets an alarm"),
        pytest.param(take_wakeup, ["the signal wakeup descriptor"], id="takes the wakeup descriptor"),
        pytest.param(go_elsewhere, ["the working directory"], id="changes the working directory"),
        pytest.param(silence_everybody, ["the root logger", "what other loggers write"], id="configures logging"),
        pytest.param(raise_the_level, ["what other loggers write"], id="disables logging"),
    ],
)
@pytest.mark.parametrize("fails", [False, True], ids=["and loads", "and fails"])
def test_what_loading_changes_is_put_back_and_told(harm: object, told: list[str], fails: bool, tmp_path: Path) -> None:
    logging.getLogger("somebody").disabled = False
    before = state()

    try:
        with protected(tmp_path) as undone:
            assert callable(harm)
            harm()
            if fails:
                raise LoadError([])
    except LoadError:
        assert fails
    else:
        assert undone == told

    assert state() == before


def test_a_folder_that_is_gone_is_nobodys_fault(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()

    with protected(tmp_path) as undone:
        os.chdir("/")

    assert undone == []


def test_loading_in_another_thread_needs_no_signals(tmp_path: Path) -> None:
    told: list[list[str]] = []

    def load() -> None:
        with protected(tmp_path) as undone:
            os.chdir("/")
        told.append(undone)

    thread = threading.Thread(target=load)
    thread.start()
    thread.join()

    assert told == [["the working directory"]]


def bring(folder: Path, *modules: str) -> None:
    """What an app in `folder` does that puts it on the import path and imports its `modules`."""
    sys.path.insert(0, str(folder))
    for name in modules:
        __import__(name)


def app_folder(parent: Path, name: str, *modules: str) -> Path:
    folder = parent / name
    for module in modules:
        file = folder / module
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"WHOSE = {name!r}\n")
    return folder


def test_a_second_apps_module_of_the_same_name_is_refused_with_both_paths(tmp_path: Path) -> None:
    one, two = app_folder(tmp_path, "one", "settings_x.py"), app_folder(tmp_path, "two", "settings_x.py")
    with protected(tmp_path):
        bring(one, "settings_x")

    with pytest.raises(LoadError) as refused, protected(tmp_path):
        bring(two, "settings_x")

    assert str(refused.value) == (
        f"app: the module 'settings_x' of this app, {two}/settings_x.py, has the name of {one}/settings_x.py, which "
        "another app has brought; one process has one module of a name, so rename one of them or put it into a package"
    )


def test_an_app_that_was_refused_is_refused_again_however_often_it_is_tried(tmp_path: Path) -> None:
    one, two = app_folder(tmp_path, "one", "settings_x.py"), app_folder(tmp_path, "two", "settings_x.py", "main_x.py")
    (two / "main_x.py").write_text(f"import sys\nsys.path.insert(0, {str(two)!r})\nimport settings_x\n")
    with protected(tmp_path):
        bring(one, "settings_x")
    before = sys.path[:]

    for _ in range(3):
        with pytest.raises(LoadError, match="another app has brought"), protected(tmp_path):
            bring(two, "main_x")
        assert sys.path == before
        assert "main_x" not in sys.modules
    assert sys.modules["settings_x"].WHOSE == "one"


def test_so_is_one_whose_own_module_stands_beside_the_config(tmp_path: Path) -> None:
    one, two = app_folder(tmp_path, "one", "settings_x.py"), app_folder(tmp_path, "two", "settings_x.py")
    (tmp_path / "main_x.py").write_text(f"import sys\nsys.path.insert(0, {str(two)!r})\nimport settings_x\n")
    sys.path.insert(0, str(tmp_path))
    with protected(tmp_path):
        bring(one, "settings_x")

    for _ in range(3):
        with pytest.raises(LoadError, match="another app has brought"), protected(tmp_path):
            __import__("main_x")

    assert (str(two) in sys.path, "main_x" in sys.modules) == (False, False)


def test_what_is_installed_in_the_folder_of_the_config_stays_when_an_app_is_refused(tmp_path: Path) -> None:
    one, two = app_folder(tmp_path, "one", "settings_x.py"), app_folder(tmp_path, "two", "settings_x.py")
    installed = app_folder(tmp_path, "venv/lib/site-packages", "library_x.py")
    sys.path.insert(0, str(installed))
    with protected(tmp_path):
        bring(one, "settings_x")

    with pytest.raises(LoadError), protected(tmp_path):
        bring(two, "library_x", "settings_x")

    assert "library_x" in sys.modules


@pytest.mark.parametrize("spelling", ["{}/.", "{}/../one", "{}/"])
def test_a_folder_is_the_same_however_it_is_written(spelling: str, tmp_path: Path) -> None:
    one, two = app_folder(tmp_path, "one", "settings_x.py"), app_folder(tmp_path, "two", "settings_x.py")
    with protected(tmp_path):
        sys.path.insert(0, spelling.format(one))
        __import__("settings_x")

    with protected(tmp_path):
        bring(one, "settings_x")
    with pytest.raises(LoadError, match="another app has brought"), protected(tmp_path):
        bring(two, "settings_x")


def test_an_app_that_fails_leaves_nothing_on_the_import_path(tmp_path: Path) -> None:
    before = sys.path[:]

    with pytest.raises(ModuleNotFoundError), protected(tmp_path):
        bring(tmp_path / "one", "no_such_module_x")

    assert sys.path == before


def test_a_package_and_a_module_of_one_name_collide_too_and_so_does_one_beside_the_config(tmp_path: Path) -> None:
    app_folder(tmp_path, ".", "models_x/__init__.py")
    two = app_folder(tmp_path, "two", "models_x.py")
    with protected(tmp_path):
        sys.path.insert(0, str(tmp_path))
        __import__("models_x")

    with pytest.raises(LoadError, match=r"models_x/__init__\.py, which another app has brought"), protected(tmp_path):
        bring(two, "models_x")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(["one_x.py"], ["two_x.py"], id="different names"),
        pytest.param(["pack_x/conf.py", "pack_x/__init__.py"], ["pack_y/conf.py", "pack_y/__init__.py"], id="packages"),
        pytest.param(["one_x.py"], ["json.py", "two_x.py"], id="a name of the standard library"),
        pytest.param(["one_x.py"], ["one_x.txt", "two_x.py"], id="another kind of file"),
    ],
)
def test_apps_that_keep_out_of_each_others_way_are_left_alone(
    first: list[str], second: list[str], tmp_path: Path
) -> None:
    with protected(tmp_path):
        bring(app_folder(tmp_path, "one", *first), first[-1].partition(".")[0].partition("/")[0])

    with protected(tmp_path) as undone:
        bring(app_folder(tmp_path, "two", *second), second[-1].partition(".")[0].partition("/")[0])

    assert undone == []


def test_two_mounts_of_one_folder_share_its_modules(tmp_path: Path) -> None:
    one = app_folder(tmp_path, "one", "both_x.py")
    with protected(tmp_path):
        bring(one, "both_x")

    with protected(tmp_path) as undone:
        bring(one, "both_x")

    assert undone == []
