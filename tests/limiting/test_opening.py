from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from limits import parse

from dispatcher.errors import LoadError
from dispatcher.limiting.opening import Counting, default_table, open_limiter, without_password
from dispatcher.limiting.remote import RemoteLimiter


def counting(table: Path, **more: Any) -> Counting:
    values = {
        "limits": (parse("2/hour"),),
        "strategy": "moving-window",
        "burst": None,
        "namespace": "n",
        "storage": "shared",
        "table": table,
        "size_bytes": 16 * 2**20,
        "on_storage_error": "local",
    }
    return Counting(**{**values, **more})


@pytest.mark.parametrize("strategy", ["moving-window", "fixed-window", "sliding-window-counter", "token-bucket"])
def test_the_shared_memory_counts_by_every_strategy(tmp_path: Path, strategy: str) -> None:
    limiter = open_limiter(counting(tmp_path / "limits", strategy=strategy))

    assert [limiter.hit("ann").allowed for _ in range(3)] == [True, True, False]


def test_limiters_of_one_table_and_namespace_count_together(tmp_path: Path) -> None:
    one, same, other = (open_limiter(counting(tmp_path / "limits", namespace=name)) for name in ("n", "n", "m"))

    assert [limiter.hit("ann").remaining for limiter in (one, same, other)] == [1, 0, 1]


def test_a_table_of_another_size_is_another_file(tmp_path: Path) -> None:
    small = open_limiter(counting(tmp_path / "limits", size_bytes=65536))
    usual = open_limiter(counting(tmp_path / "limits"))

    assert [small.hit("ann").remaining, usual.hit("ann").remaining] == [1, 1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["limits", "limits-65536"]


def test_a_table_that_cannot_be_made_is_a_load_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(LoadError) as caught:
        open_limiter(counting(tmp_path / "file" / "limits"))

    (problem,) = caught.value.problems
    assert problem.path == "table"
    assert problem.what.startswith(f"the shared memory {tmp_path}/file/limits cannot be used: ")
    assert problem.what.endswith("; name another place with table:")


@pytest.mark.parametrize(("on_storage_error", "tables"), [("local", 1), ("allow", 0), ("deny", 0)])
def test_a_store_needs_the_shared_memory_only_where_it_counts_there(
    tmp_path: Path, on_storage_error: str, tables: int
) -> None:
    limiter = open_limiter(
        counting(tmp_path / "limits", storage="redis://127.0.0.1:1", on_storage_error=on_storage_error)
    )

    assert isinstance(limiter, RemoteLimiter)
    assert len(list(tmp_path.iterdir())) == tables


def test_a_store_is_imported_before_the_first_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "redis")

    open_limiter(counting(tmp_path / "limits", storage="redis://127.0.0.1:1"))

    assert "redis" in sys.modules


def test_memory_is_a_store_of_one_process(tmp_path: Path) -> None:
    limiter = open_limiter(counting(tmp_path / "limits", storage="memory://"))

    assert [limiter.hit("ann").allowed for _ in range(3)] == [True, True, False]


def test_without_a_site_the_table_is_the_users_and_the_working_directorys(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    table = default_table()
    monkeypatch.chdir(tmp_path)

    assert default_table() != table
    assert table.relative_to(tmp_path).parts[0] == f"dispatcher-{os.geteuid()}"
    assert (table.name, list(tmp_path.iterdir())) == ("limits", [])


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("redis://h:1/0", "redis://h:1/0"),
        ("redis://:pass@h:1", "redis://h:1"),
        ("redis://user:p%40ss@h:1/0?password=x", "redis://h:1/0"),
        ("redis+sentinel://u:p@a:1,b:2/main", "redis+sentinel://a:1,b:2/main"),
        ("redis+unix://u:p@/run/redis.sock", "redis+unix:///run/redis.sock"),
    ],
)
def test_a_uri_is_shown_without_its_secrets(uri: str, shown: str) -> None:
    assert without_password(uri) == shown
