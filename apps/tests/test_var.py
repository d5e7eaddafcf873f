from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from apps import var


def test_var_lies_beside_the_apps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EXAMPLE_VAR")
    monkeypatch.setattr(var, "__file__", str(tmp_path / "apps" / "var.py"))

    assert var.folder("todos") == tmp_path / "var" / "todos"


def test_each_folder_is_for_the_owner_only(var_folder: Path) -> None:
    folder = var.folder("todos")

    assert [path.stat().st_mode & 0o777 for path in (var_folder, folder)] == [0o700, 0o700]


def test_a_secret_key_is_long_readable_for_the_owner_only_and_stays(tmp_path: Path) -> None:
    key = var.secret_key(tmp_path)

    assert len(key) == 64
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600
    assert var.secret_key(tmp_path) == key


def test_workers_that_start_at_once_get_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(var.secret_key, [tmp_path] * 8))

    assert len(keys) == 1
