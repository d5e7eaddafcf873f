from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest
from flask import Flask, g

from apps import var
from apps.todos import create_app, database


def test_the_data_lies_in_var_in_a_folder_for_the_owner_only(app: Flask, var_folder: Path) -> None:
    assert app.config["DATABASE"] == var_folder / "todos" / "todos.db"
    assert (var_folder / "todos").stat().st_mode & 0o777 == 0o700


def test_the_database_can_lie_elsewhere(tmp_path: Path) -> None:
    app = create_app(config={"DATABASE": tmp_path / "new" / "chores.db"})

    assert app.test_client().post("/", json={"title": "a"}).status_code == 201
    assert (tmp_path / "new" / "chores.db").exists()


def test_a_second_start_keeps_the_todos(app: Flask) -> None:
    app.test_client().post("/", json={"title": "a"})

    assert create_app().test_client().get("/").get_json()["total"] == 1


def test_workers_may_all_be_the_first(tmp_path: Path) -> None:
    path = tmp_path / "new" / "todos.db"

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(database.create, [path] * 8))

    with closing(database.connect(path)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_worker_waits_while_another_makes_the_database(tmp_path: Path) -> None:
    path = tmp_path / "todos.db"
    second = Thread(target=database.create, args=[path])

    with var.locked(tmp_path):
        second.start()
        second.join(0.1)
        assert not path.exists()

    second.join()
    assert path.exists()


def test_a_request_has_one_connection_which_ends_with_it(app: Flask) -> None:
    with app.app_context():
        database.query("SELECT 1")
        first = g.db
        database.query("SELECT 1")
        assert g.db is first

    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        first.execute("SELECT 1")
