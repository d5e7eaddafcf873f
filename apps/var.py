"""The folder `var/` beside config.yaml, where the apps keep what they write; `EXAMPLE_VAR` names another one.

A site starts with several workers at once, so each step here is safe when all of them take it in the same moment.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def folder(name: str) -> Path:
    """The folder of the app `name`, made on first use, for the owner only."""
    var = Path(os.environ.get("EXAMPLE_VAR") or Path(__file__).parents[1] / "var").resolve()
    # One by one: mkdir(parents=True) would give the parents the default mode.
    for path in (var, var / name):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return var / name


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One thread of one process at a time; the kernel lets go of the lock of a process that dies."""
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def secret_key(folder: Path) -> str:
    """The key kept in `folder`, made on first use: all workers sign with the same one, also after a restart."""
    path = folder / "secret_key"
    with locked(folder):
        if not path.exists():
            draft = path.with_suffix(".new")
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_hex(32))
            draft.replace(path)  # in one step: whoever finds the file finds the whole key
    return path.read_text()
