"""Keeps what belongs to the whole process as it was while one app is loaded.

An import runs whatever its author wrote: it may ignore SIGTERM, so that the worker can only be killed; change the
working directory, where other apps find their files; call ``logging.config.dictConfig``, after which nobody's requests
are logged; set an alarm that ends the process. All of that is put back, and told.

Two apps that each put a folder of their own on the import path and bring a top-level module of one name cannot be put
right: the second would silently get the first one's ``config.py``. The second is refused, with both paths.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from dispatcher import logs
from dispatcher.errors import LoadError, Problem

_Handler = Callable[[int, FrameType | None], object] | int | None

# The entries of the import path that apps have brought. One process has one import path and one sys.modules, so this
# is the process's as well.
_brought: Final[set[str]] = set()

_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})


class _RefusedError(Exception):
    """An app brings a module whose name another app has taken."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@contextmanager
def protected(root: Path) -> Iterator[list[str]]:
    """Goes around the loading of one app of the site in the folder `root`.

    The list that the block gets says, after the block, what of the process was put back. LoadError when the app brings
    a module whose name another app of the site has taken.
    """
    undone: list[str] = []
    path, modules = set(sys.path), set(sys.modules)
    try:
        with _same_folder(undone), _same_signals(undone), logs.preserved() as undone_logging:
            yield undone
        undone.extend(undone_logging)
        _check_modules(root, _folders(_added(path)))
    except _RefusedError as error:
        _take_back(_added(path), modules, root)
        raise LoadError(error.problem) from None
    except BaseException:
        _take_back(_added(path), modules)
        raise
    _brought.update(_folders(_added(path)))


def _added(path: Collection[str]) -> list[str]:
    return [entry for entry in sys.path if entry not in path]


def _folders(entries: Iterable[str]) -> list[str]:
    """The folders that `entries` of the import path name, each in one spelling."""
    return [_absolute(entry) for entry in entries]


def _absolute(path: str) -> str:
    return os.path.abspath(path)  # noqa: PTH100  # a link is found under its own name


def _take_back(entries: Sequence[str], modules: Collection[str], *more: Path) -> None:
    """Forget the `entries` of an app that is not served, and what was imported from there, or from the site's code in
    the folders `more`, but the `modules` before it: when it is tried again it has to bring them again, to be found in
    conflict with others again."""
    sys.path[:] = [entry for entry in sys.path if entry not in entries]
    folders = [*_folders(entries), *map(str, more)]
    for name in set(sys.modules).difference(modules):
        file = getattr(sys.modules[name], "__file__", None)
        if isinstance(file, str) and _is_of(Path(_absolute(file)), folders):
            del sys.modules[name]


def _is_of(file: Path, folders: Iterable[str]) -> bool:
    """Whether it is code in one of `folders`, and not an installed package: some of those load only once."""
    return not _INSTALLED.intersection(file.parts) and any(file.is_relative_to(folder) for folder in folders)


@contextmanager
def _same_folder(undone: list[str]) -> Iterator[None]:
    before = _folder()
    try:
        yield
    finally:
        if before is not None and _folder() != before:
            os.chdir(before)
            undone.append("the working directory")


def _folder() -> Path | None:
    try:
        return Path.cwd()
    except OSError:
        return None  # it has been removed


@contextmanager
def _same_signals(undone: list[str]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set a handler: for any other Python refuses it
        return
    handlers, wakeup, alarm = _handlers(), _wakeup(), signal.getitimer(signal.ITIMER_REAL)
    try:
        yield
    finally:
        if signal.getitimer(signal.ITIMER_REAL) > alarm:  # what was set before has less time left by now
            signal.setitimer(signal.ITIMER_REAL, *alarm)
            undone.append("an alarm")
        for number, found in _handlers().items():
            if found != handlers[number] and handlers[number] is not None:
                signal.signal(number, handlers[number])
                undone.append(f"the handler of {signal.Signals(number).name}")
        if _wakeup() != wakeup:
            signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
            undone.append("the signal wakeup descriptor")


def _handlers() -> dict[int, _Handler]:
    """The handler of each signal; None for one that was not set from Python, which Python could not set again."""
    return {number: signal.getsignal(number) for number in sorted(signal.valid_signals())}


def _wakeup() -> int:
    found = signal.set_wakeup_fd(-1, warn_on_full_buffer=False)
    signal.set_wakeup_fd(found, warn_on_full_buffer=False)
    return found


def _check_modules(root: Path, entries: list[str]) -> None:
    """Refuse an app that has put `entries` on the import path, where it will not find its own modules by their name."""
    others = {str(root), *_brought}
    for name, file in _top_level_modules():
        home = _home(file)
        for entry in entries:
            own = _own_module(entry, name) if home in others and home != entry else None
            if own is not None and own != file:
                what = (
                    f"the module {name!r} of this app, {own}, has the name of {file}, which another app has brought; "
                    "one process has one module of a name, so rename one of them or put it into a package"
                )
                raise _RefusedError(Problem(what, "app"))


def _top_level_modules() -> Iterable[tuple[str, Path]]:
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if "." not in name and isinstance(file, str):
            yield name, Path(_absolute(file))


def _home(file: Path) -> str:
    """The entry of the import path that a top-level module with this file stands in."""
    return str(file.parent.parent if file.name == "__init__.py" else file.parent)


def _own_module(entry: str, name: str) -> Path | None:
    for file in (Path(entry, name, "__init__.py"), Path(entry, f"{name}.py")):
        if file.is_file():
            return file
    return None
