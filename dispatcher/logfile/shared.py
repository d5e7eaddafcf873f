"""What the processes that write one log file know together: a lock, and a few numbers that are read without it.

They stand in ``.NAME.lock`` beside the log file. `Alone` is the same for a process that has nobody to share with.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
import threading
import weakref
from collections.abc import Iterator, MutableSequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

from dispatcher import mapping
from dispatcher.mutex import Mutex

# The words, 64 bits each:
GENERATION: Final = 0  # changes whenever every process has to open the path again
INODE: Final = 1  # of the live file
SIZE: Final = 2  # of the live file in bytes, with what has been granted and is not written yet
GRANTED_MS: Final = 3  # when room was last granted, on the monotonic clock
STARTED_MS: Final = 4  # when the live file was started, since the epoch
ROTATING: Final = 5  # 1 while the files are being moved
TORN: Final = 6  # 1 when the live file may end in a piece of a record
_NEXT_COPIED: Final = 7
_COPIED: Final = 8  # a ring of (inode, size) of the files that were compressed or copied last
_RING: Final = 16
_WORDS: Final = _COPIED + 2 * _RING

_MUTEX_AT: Final = mapping.HEADER
_WORDS_AT: Final = _MUTEX_AT + Mutex.SIZE
_FILE_BYTES: Final = 4096
_LAYOUT: Final = 1
_PATIENCE_SECONDS: Final = 1.0


class BusyError(OSError):
    """Whoever holds the lock does not give it back: it is stopped, or rotates very slowly."""


class DamagedError(OSError):
    """The lock was overwritten; its file is deleted, and the next one to look makes another."""


class Knowledge(Protocol):
    """`words` are read by anybody and written under the lock; `held` is the lock, recursive within a thread."""

    words: MutableSequence[int]

    def held(self) -> AbstractContextManager[object]: ...
    def replaced(self) -> bool: ...


class Shared(AbstractContextManager[None]):
    """The knowledge about the log file at `live`; OSError when its lock file cannot be made."""

    def __init__(self, live: str) -> None:
        folder, name = os.path.split(live)
        self._path: Final = Path(folder, f".{name}.lock")
        self._buffer: Final = _open(self._path)
        status = os.stat(self._path, follow_symlinks=False)  # noqa: PTH116
        self._identity = status.st_dev, status.st_ino
        self._mutex: Final = Mutex(self._buffer, _MUTEX_AT, patience_seconds=_PATIENCE_SECONDS)
        view = memoryview(self._buffer)[_WORDS_AT : _WORDS_AT + 8 * _WORDS]
        self.words: MutableSequence[int] = view.cast("Q")  # type: ignore[assignment]  # a view has all that is used

    def held(self) -> AbstractContextManager[object]:
        return self

    def __enter__(self) -> None:
        try:
            if self._mutex.acquire():
                # Its owner was killed, perhaps between two steps of a rotation. Those need no undoing (`backups`);
                # but the path may now name another file, and nobody has been told.
                self.words[ROTATING] = 0
                self.words[GENERATION] += 1
        except TimeoutError as error:
            raise BusyError(errno.EDEADLK, "its lock is held by a process that does not go on") from error
        except OSError as error:
            self._path.unlink(missing_ok=True)
            raise DamagedError(*error.args) from error
        except BaseException:  # raised by a signal handler
            self._mutex.release()
            raise

    def __exit__(self, *error: object) -> None:
        self._mutex.release()

    def replaced(self) -> bool:
        """Whether the lock file was deleted or replaced: others would then hold another lock."""
        try:
            status = os.stat(self._path, follow_symlinks=False)  # noqa: PTH116
        except OSError:
            return True
        return (status.st_dev, status.st_ino) != self._identity


@contextmanager
def held_if_possible(knowledge: Knowledge) -> Iterator[None]:
    """The lock, for what must be done even if there is none to be had."""
    with ExitStack() as stack:
        with suppress(BusyError, DamagedError):
            stack.enter_context(knowledge.held())
        yield


def _open(path: Path) -> mmap.mmap:
    try:
        return mapping.open_mapping(path, _FILE_BYTES, _initialise, layout=_LAYOUT)
    except (FileExistsError, PermissionError):
        # Somebody has overwritten it, or `chmod -R g+w` has let others do so. It holds nothing that is not found anew.
        status = path.lstat()
        if status.st_uid != os.geteuid() or not stat.S_ISREG(status.st_mode):
            raise
    path.unlink(missing_ok=True)
    return mapping.open_mapping(path, _FILE_BYTES, _initialise, layout=_LAYOUT)


def _initialise(buffer: mmap.mmap) -> None:
    Mutex.create(buffer, _MUTEX_AT)


class Alone:
    """The same for one process, where nothing is rotated: a lock between its threads."""

    def __init__(self) -> None:
        self.words: MutableSequence[int] = [0] * _WORDS
        self._lock = threading.RLock()
        _alone.add(self)

    def held(self) -> AbstractContextManager[object]:
        return self._lock

    def replaced(self) -> bool:
        return False

    def after_fork(self) -> None:
        self._lock = threading.RLock()  # another thread of the parent may have held it


_alone: Final[weakref.WeakSet[Alone]] = weakref.WeakSet()


def _after_fork() -> None:
    for one in list(_alone):
        one.after_fork()


os.register_at_fork(after_in_child=_after_fork)


def note_copied(words: MutableSequence[int], inode: int, size: int) -> None:
    """Under the lock: the first `size` bytes of the file `inode` live on in another, and it is deleted next."""
    slot = _COPIED + 2 * (words[_NEXT_COPIED] % _RING)
    words[slot], words[slot + 1] = inode, size
    words[_NEXT_COPIED] += 1


def was_copied(words: MutableSequence[int], inode: int, end: int) -> bool:
    """Under the lock: whether the record that ends at byte `end` of the deleted file `inode` lives on elsewhere."""
    slots = range(_COPIED, _COPIED + 2 * _RING, 2)
    return any(words[slot] == inode and end <= words[slot + 1] for slot in slots)


def forget_copied(words: MutableSequence[int], inode: int) -> None:
    """Under the lock: a new file has the number of one that was copied, as nobody has that one open any more."""
    for slot in range(_COPIED, _COPIED + 2 * _RING, 2):
        if words[slot] == inode:
            words[slot] = 0
