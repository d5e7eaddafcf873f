from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import pytest


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
