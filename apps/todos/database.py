"""The SQLite database: one connection for each request, opened on first use and closed at its end.

WAL lets readers go on while one worker writes; a second writer waits up to five seconds for the first.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from flask import current_app, g

from apps import var

SCHEMA = """
CREATE TABLE IF NOT EXISTS todo (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    title TEXT NOT NULL,
    done INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
)
"""


def create(path: Path) -> None:
    """Make the database, where it is not there yet."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Under a lock, because SQLite does not wait for its busy timeout when two workers switch to WAL at once.
    with var.locked(path.parent), closing(connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(SCHEMA)


def connect(path: Path) -> sqlite3.Connection:
    # isolation_level=None: each statement is a transaction of its own, and none of ours needs a longer one.
    db = sqlite3.connect(path, timeout=5, isolation_level=None)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA synchronous = NORMAL")  # enough with WAL: a power cut loses the last moment, never the file
    return db


def query(sql: str, *parameters: Any) -> list[dict[str, Any]]:
    """All rows that `sql` gives. Reading them to the end is what commits a statement with RETURNING."""
    if "db" not in g:
        g.db = connect(current_app.config["DATABASE"])
    return [dict(row) for row in g.db.execute(sql, parameters).fetchall()]


def close(error: BaseException | None) -> None:
    """Close the connection of this request, if it made one."""
    if "db" in g:
        g.pop("db").close()
