"""What every test of the apps gets: a `var/` of its own, so that no test writes into the site's."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def var_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "var"
    monkeypatch.setenv("EXAMPLE_VAR", str(path))
    return path
