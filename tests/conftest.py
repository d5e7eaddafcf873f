from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


@pytest.fixture(scope="session", autouse=True)
def _runtime_folder() -> Iterator[None]:
    """What the sites of the tests share through memory is in a folder of this run, and goes with it."""
    shared = Path("/dev/shm")
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        patch.setenv("XDG_RUNTIME_DIR", folder)
        yield


@pytest.fixture
def forget() -> Iterator[None]:
    """Take back what loading a site leaves behind in this process: modules, the import path, logging."""
    path, modules, root = sys.path[:], set(sys.modules), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if "site-packages" not in (getattr(sys.modules[name], "__file__", None) or "site-packages"):
                del sys.modules[name]
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
