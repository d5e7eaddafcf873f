from __future__ import annotations

import os
from pathlib import Path

import pytest

from dispatcher.errors import ConfigError
from dispatcher.yamlfile.text import MAX_BYTES, read_source


def said_of(file: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_source(file)

    (problem,) = caught.value.problems
    return str(problem).replace(str(file), "f")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param(b"", "", id="nothing"),
        pytest.param("a: é\n".encode(), "a: é\n", id="UTF-8"),
        pytest.param(b"\xef\xbb\xbfa: 1", "a: 1", id="a byte order mark is left out"),
        pytest.param(b"a: 1\r\n", "a: 1\r\n", id="line ends stay"),
        pytest.param(b"#" * MAX_BYTES, "#" * MAX_BYTES, id="as large as can be"),
    ],
)
def test_a_file_is_read_as_text(tmp_path: Path, data: bytes, text: str) -> None:
    (tmp_path / "f").write_bytes(data)

    assert read_source(tmp_path / "f").text == text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"#" * (MAX_BYTES + 1), "f: larger than 1,000,000 bytes, which no config is", id="too large"),
        pytest.param(
            "a: 1".encode("utf-16"), "f: not UTF-8 but UTF-16, save the file as UTF-8", id="UTF-16 with a mark"
        ),
        pytest.param(
            "a: 1".encode("utf-16-le"), "f: not UTF-8 but UTF-16, save the file as UTF-8", id="UTF-16 without"
        ),
        pytest.param(
            "a: 1\nb: é\n".encode("latin-1"),
            "f:2:4: not UTF-8 (the byte 0xE9), save the file as UTF-8\n    b: \ufffd\n       ^",
            id="Latin-1",
        ),
        pytest.param(
            b"\xef\xbb\xbfa: \xc3",
            "f:1:4: not UTF-8 (the byte 0xC3), save the file as UTF-8\n    a: \ufffd\n       ^",
            id="half a character after a byte order mark",
        ),
    ],
)
def test_bytes_that_are_no_text_are_said_with_their_place(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "f").write_bytes(data)

    assert said_of(tmp_path / "f") == message


def test_a_missing_file_is_said() -> None:
    assert said_of(Path("/no/such/file")) == "f: no such file; name another with --config or DISPATCHER_CONFIG"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert said_of(tmp_path) == "f: this is a folder, name the file in it"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert said_of(tmp_path / "pipe") == "f: this is not an ordinary file, name one that can be read again"


def test_a_loop_of_links_is_said(tmp_path: Path) -> None:
    (tmp_path / "f").symlink_to("f")

    assert said_of(tmp_path / "f") == "f: cannot be read: Too many levels of symbolic links"


def test_a_file_below_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "x").touch()

    assert said_of(tmp_path / "x/f") == "f: cannot be read: Not a directory"


def test_a_name_with_nul_is_said() -> None:
    with pytest.raises(ConfigError, match="cannot be read: embedded null byte"):
        read_source("a\0b")


def test_a_file_that_may_not_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").touch()

    def refuse(*_: object) -> None:  # root, who runs tests in a container, may read every file
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)

    assert said_of(tmp_path / "f") == "f: cannot be read: Permission denied"
