"""Numbered records, and how often each of them is in the files of a log."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path


def record(number: int, size: int = 100) -> bytes:
    """A line of `size` bytes."""
    return f"id={number} ".encode().ljust(size - 1, b".") + b"\n"


def content(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def log_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def names(folder: Path) -> list[str]:
    return [path.name for path in log_files(folder)]


def records(folder: Path, size: int = 100) -> Counter[str]:
    """The ids in all files of `folder`; a line that is not whole is an error."""
    found: Counter[str] = Counter()
    for path in log_files(folder):
        for line in content(path).splitlines(keepends=True):
            assert line.startswith(b"id="), (path, line)
            assert len(line) == size, (path, line)
            found[line[3:].split(b" ")[0].decode()] += 1
    return found


def once(*numbers: int) -> Counter[str]:
    return Counter(map(str, numbers))
