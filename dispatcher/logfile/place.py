"""`Place`: where a log's path leads, and the lock of those who write there; both are looked at again now and then."""

from __future__ import annotations

import os
import stat
import threading
from contextlib import AbstractContextManager
from time import monotonic
from types import TracebackType
from typing import Final

from dispatcher.logfile.complaints import Complaints
from dispatcher.logfile.opened import STANDARD
from dispatcher.logfile.shared import Alone, DamagedError, Knowledge, Shared

LOOK_SECONDS: Final = 0.05
_SHARE_AGAIN_SECONDS: Final = 10.0  # a lock file that could not be made


class Place:
    """The place of the log at `path`; its knowledge is `shared` only if the log rotates, and is a file."""

    def __init__(self, path: str, complaints: Complaints, *, rotates: bool) -> None:
        self._path = path
        self._complaints = complaints
        self._rotates = rotates
        self._real: str | None = None  # not known
        self.knowledge: Knowledge = Alone()
        self._finding = threading.RLock()
        self._again = 0.0

    @property
    def real(self) -> str:
        """The path with its links resolved."""
        return self._real or (self._path if self._path in STANDARD else os.path.realpath(self._path))

    @property
    def shared(self) -> bool:
        """Whether there is a lock that all writers hold in turn."""
        return isinstance(self.knowledge, Shared)

    def lock(self) -> AbstractContextManager[object]:
        """The lock that everybody who writes to this path uses now; entering it is a `BusyError` if that cannot be."""
        return _Lock(self)

    def now(self) -> Knowledge:
        """What the writers to this path know now."""
        if monotonic() >= self._again:
            with self._finding:  # the other threads wait, instead of going on with what is being replaced
                if monotonic() >= self._again:
                    self._find()
        return self.knowledge

    def look_again(self) -> None:
        """Let the next `lock` find everything anew."""
        self._again = 0.0

    def is_at_path(self, device: int, inode: int) -> bool:
        """Whether that is the file that the path names now."""
        try:
            status = os.stat(self._path)  # noqa: PTH116  # a third of the cost of Path.stat
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == (device, inode)

    def after_fork(self) -> None:
        """In the child: the thread that may have been looking is the parent's."""
        self._finding = threading.RLock()

    def _find(self) -> None:
        before, self._real = self._real, None
        real, again = self.real, LOOK_SECONDS
        if real == before and not (self._rotates and self.knowledge.replaced()):
            self._real = real
        else:
            try:
                self.knowledge = self._connect(real)
                self._real = real
            except OSError as error:
                self._complaints.unrotated(error)
                self.knowledge = Alone()
                again = _SHARE_AGAIN_SECONDS
        self._again = monotonic() + again

    def _connect(self, real: str) -> Knowledge:
        if not self._rotates or not _is_regular(real):
            return Alone()
        os.makedirs(os.path.dirname(real), exist_ok=True)  # noqa: PTH103, PTH120  # paths are plain strings here
        return Shared(real)


class _Lock(AbstractContextManager[None]):
    # A class, as a generator would cost three times the rest.
    __slots__ = ("_held", "_place")

    def __init__(self, place: Place) -> None:
        self._place = place

    def __enter__(self) -> None:
        self._held = self._place.now().held()
        try:
            self._held.__enter__()
        except DamagedError:
            self._place.look_again()
            self._held = self._place.now().held()
            self._held.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.__exit__(kind, error, trace)


def _is_regular(path: str) -> bool:
    """Whether a file is at `path`, or nothing yet."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116
    except OSError:
        return True
