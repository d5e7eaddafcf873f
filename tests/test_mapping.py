from __future__ import annotations

import errno
import fcntl
import mmap
import os
import re
import resource
import shutil
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from dispatcher import mapping
from dispatcher.mapping import HEADER, discard, identity, open_mapping, replaced, view_mapping

SIZE = 8192


def _greet(buffer: mmap.mmap) -> None:
    buffer[HEADER : HEADER + 5] = b"hello"


def _text(buffer: mmap.mmap) -> bytes:
    return buffer[HEADER : HEADER + 5]


def _children(count: int, work: Callable[[], object]) -> list[int]:
    pids = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                work()
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def test_a_new_file_is_private_allocated_and_initialised(tmp_path: Path) -> None:
    path = tmp_path / "map"

    buffer = open_mapping(path, SIZE, _greet)

    status = path.stat()
    assert (_text(buffer), len(buffer)) == (b"hello", SIZE)
    assert (status.st_mode & 0o777, status.st_size, status.st_blocks * 512 >= SIZE) == (0o600, SIZE, True)
    assert any(buffer[HEADER + 5 :]) is False


def test_who_opens_it_next_shares_the_memory_and_initialises_nothing(tmp_path: Path) -> None:
    first = open_mapping(tmp_path / "map", SIZE, _greet)

    second = open_mapping(tmp_path / "map", SIZE, lambda _: pytest.fail("initialised twice"))

    second[HEADER : HEADER + 5] = b"world"
    assert _text(first) == b"world"


def test_of_many_processes_that_race_one_initialises(tmp_path: Path) -> None:
    record = tmp_path / "initialised"

    def initialise(buffer: mmap.mmap) -> None:
        with record.open("ab") as file:
            file.write(b"x")
        _greet(buffer)

    def work() -> None:
        assert _text(open_mapping(tmp_path / "map", SIZE, initialise)) == b"hello"

    assert _children(16, work) == [0] * 16
    assert record.read_bytes() == b"x"


@pytest.mark.parametrize(
    ("size", "layout", "boot"),
    [(2 * SIZE, 1, b"b" * 16), (SIZE, 2, b"b" * 16), (SIZE, 1, b"c" * 16)],
    ids=["size", "layout", "boot"],
)
def test_a_file_of_another_kind_is_replaced_and_its_holders_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, layout: int, boot: bytes
) -> None:
    path = tmp_path / "map"
    monkeypatch.setattr(mapping, "_boot", lambda: b"b" * 16)
    old = open_mapping(path, SIZE, _greet)
    old[HEADER : HEADER + 5] = b"12345"

    monkeypatch.setattr(mapping, "_boot", lambda: boot)
    new = open_mapping(path, size, _greet, layout=layout)

    assert (_text(new), len(new), _text(old)) == (b"hello", size, b"12345")


def test_a_maker_that_is_killed_half_way_leaves_nothing_that_is_believed(tmp_path: Path) -> None:
    def die(buffer: mmap.mmap) -> None:
        buffer[HEADER : HEADER + 5] = b"wrong"
        os.kill(os.getpid(), signal.SIGKILL)

    assert _children(1, lambda: open_mapping(tmp_path / "map", SIZE, die)) == [-signal.SIGKILL]

    assert _text(open_mapping(tmp_path / "map", SIZE, _greet)) == b"hello"


def test_a_copy_of_the_file_is_not_taken_for_the_file(tmp_path: Path) -> None:
    open_mapping(tmp_path / "map", SIZE, _greet)[HEADER : HEADER + 5] = b"12345"
    shutil.copy(tmp_path / "map", tmp_path / "copy")

    assert _text(open_mapping(tmp_path / "copy", SIZE, _greet)) == b"hello"


def test_a_file_without_room_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        with pytest.raises(OSError, match=re.escape(os.strerror(errno.EFBIG))):
            open_mapping(tmp_path / "map", SIZE, _greet)
        assert not (tmp_path / "map").exists()

    assert _children(1, work) == [0]


def test_where_the_system_cannot_allocate_zeros_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "no")

    monkeypatch.setattr(os, "posix_fallocate", refuse)

    buffer = open_mapping(tmp_path / "map", 200_001, _greet)

    assert (_text(buffer), len(buffer), (tmp_path / "map").stat().st_blocks * 512 >= 200_001) == (
        b"hello",
        200_001,
        True,
    )


def _link(path: Path) -> None:
    (path.parent / "target").touch(mode=0o600)
    path.symlink_to("target")


def _open_to_all(path: Path) -> None:
    path.touch()
    path.chmod(0o666)


def _write(path: Path) -> None:
    path.touch(mode=0o600)
    path.write_text("somebody's letter")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (_link, "Too many levels of symbolic links: '{path}'"),
        (lambda path: path.mkdir(), "Is a directory: '{path}'"),
        (lambda path: os.mkfifo(path, 0o600), "is not a regular file: '{path}'"),
        (_open_to_all, "may be written by other users; its mode must be 0600: '{path}'"),
        (_write, "holds something else, and is not overwritten: '{path}'"),
    ],
    ids=["link", "folder", "fifo", "others may write it", "another file"],
)
def test_what_is_no_file_of_ours_is_refused(tmp_path: Path, prepare: Callable[[Path], object], message: str) -> None:
    path = tmp_path / "map"
    prepare(path)

    with pytest.raises(OSError, match=re.escape(message.format(path=path)) + "$"):
        open_mapping(path, SIZE, _greet)


def test_a_file_that_others_may_read_is_made_private_again(tmp_path: Path) -> None:
    path = tmp_path / "map"
    buffer = open_mapping(path, SIZE, _greet)
    buffer[HEADER : HEADER + 5] = b"later"
    path.chmod(0o644)

    again = open_mapping(path, SIZE, _greet)

    assert (_text(again), stat.S_IMODE(path.stat().st_mode)) == (b"later", 0o600)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file of another user")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "map"
    path.touch(mode=0o600)
    os.chown(path, 12345, 12345)

    with pytest.raises(PermissionError, match=re.escape(f"belongs to another user: '{path}'")):
        open_mapping(path, SIZE, _greet)


def test_a_replaced_file_is_noticed_and_a_deleted_one_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "map"
    buffer = open_mapping(path, SIZE, _greet)
    assert not replaced(buffer, path)
    path.unlink()
    assert not replaced(buffer, path)

    new = open_mapping(path, SIZE, _greet)

    assert (replaced(buffer, path), replaced(new, path)) == (True, False)


@pytest.mark.parametrize(
    ("size", "layout", "boot"),
    [(2 * SIZE, 1, b"b" * 16), (SIZE, 2, b"b" * 16), (SIZE, 1, b"c" * 16)],
    ids=["size", "layout", "boot"],
)
def test_a_file_of_another_kind_is_no_replacement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, layout: int, boot: bytes
) -> None:
    path = tmp_path / "map"
    monkeypatch.setattr(mapping, "_boot", lambda: b"b" * 16)
    buffer = open_mapping(path, SIZE, _greet)
    monkeypatch.setattr(mapping, "_boot", lambda: boot)
    open_mapping(path, size, _greet, layout=layout)

    monkeypatch.setattr(mapping, "_boot", lambda: b"b" * 16)

    assert not replaced(buffer, path)


def test_what_is_no_mapping_is_no_replacement(tmp_path: Path) -> None:
    path = tmp_path / "map"
    buffer = open_mapping(path, SIZE, _greet)
    path.unlink()
    path.write_bytes(bytes(SIZE))

    assert not replaced(buffer, path)


def test_a_file_is_discarded_once_and_the_one_that_follows_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "map"
    mapped = open_mapping(path, SIZE, _greet)  # as long as it is, no other file gets its number
    old = identity(mapped)
    discard(path, old)
    gone = not path.exists()
    discard(path, old)
    new = open_mapping(path, SIZE, _greet)

    discard(path, old)

    assert gone
    assert replaced(new, path) is False
    assert path.exists()


def test_a_file_that_somebody_is_about_to_map_is_not_discarded(tmp_path: Path) -> None:
    path = tmp_path / "map"
    buffer = open_mapping(path, SIZE, _greet)

    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            discard(path, identity(buffer))

    assert path.exists()


def test_a_file_is_viewed_without_being_changed_or_made(tmp_path: Path) -> None:
    path = tmp_path / "map"
    buffer = open_mapping(path, SIZE, _greet)

    view = view_mapping(path, 1)

    assert view is not None
    assert _text(view) == _text(buffer)
    with pytest.raises(TypeError):
        view[0] = 1
    assert view_mapping(path, 2) is None
    with pytest.raises(FileNotFoundError):
        view_mapping(tmp_path / "missing", 1)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, Path.touch], ids=["folder", "pipe", "empty file"])
def test_what_is_no_mapping_is_not_viewed(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "map")

    assert view_mapping(tmp_path / "map", 1) is None
