"""The five requests of the API."""

from __future__ import annotations

import logging
from typing import Any

from flask import Blueprint, current_app, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from apps.todos import checks, problems
from apps.todos.database import query

blueprint = Blueprint("todos", __name__)
logger = logging.getLogger(__name__)

TODO = "/<int:todo_id>"


@blueprint.get("/")
def index() -> ResponseReturnValue:
    page, size, done = checks.list_options(request.args, current_app.config["PAGE_SIZE"])
    total = query("SELECT count(*) AS total FROM todo WHERE done = coalesce(?, done)", done)[0]["total"]
    rows = query(
        "SELECT * FROM todo WHERE done = coalesce(?, done) ORDER BY id DESC LIMIT ? OFFSET ?",
        *(done, size, (page - 1) * size),
    )
    last = max(1, -(-total // size))
    return {
        "title": current_app.config["TITLE"],
        "total": total,
        "page": page,
        "pages": last,
        "previous": _page_url(min(page - 1, last)) if page > 1 else None,
        "next": _page_url(page + 1) if page < last else None,
        "items": [_shown(row) for row in rows],
    }


@blueprint.post("/")
def create() -> ResponseReturnValue:
    title, done = checks.new_todo(checks.read_json(request))
    row = query("INSERT INTO todo (title, done) VALUES (?, ?) RETURNING *", title, done)[0]
    logger.info("todo %d created", row["id"])
    todo = _shown(row)
    return todo, 201, {"Location": todo["url"]}


@blueprint.get(TODO)
def show(todo_id: int) -> ResponseReturnValue:
    return _shown(_found(todo_id, query("SELECT * FROM todo WHERE id = ?", todo_id)))


@blueprint.patch(TODO)
def change(todo_id: int) -> ResponseReturnValue:
    title, done = checks.changes(checks.read_json(request))
    # One statement reads and writes, so that two clients at once cannot undo each other's change.
    rows = query(
        "UPDATE todo SET title = coalesce(?, title), done = coalesce(?, done) WHERE id = ? RETURNING *",
        title,
        done,
        todo_id,
    )
    todo = _shown(_found(todo_id, rows))
    logger.info("todo %d changed", todo_id)
    return todo


@blueprint.delete(TODO)
def delete(todo_id: int) -> ResponseReturnValue:
    _found(todo_id, query("DELETE FROM todo WHERE id = ? RETURNING id", todo_id))
    logger.info("todo %d deleted", todo_id)
    return "", 204


@blueprint.errorhandler(OverflowError)
def too_large(error: OverflowError) -> ResponseReturnValue:
    """SQLite holds no number over 64 bits, so no todo has it."""
    return problems.respond(NotFound("There is no todo of that number."))


def _found(todo_id: int, rows: list[dict[str, Any]]) -> dict[str, Any]:
    if not rows:
        raise NotFound(f"There is no todo {todo_id}.")
    return rows[0]


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "done": bool(row["done"]), "url": url_for("todos.show", todo_id=row["id"])}


def _page_url(page: int) -> str:
    query_string: dict[str, Any] = {**request.args, "page": page}
    return url_for("todos.index", **query_string)
