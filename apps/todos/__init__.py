"""A todo list as a JSON API, kept in SQLite.

====================  ======================================================================
``GET /``             a page of todos, newest first: ``?page=2&page_size=50&done=false``
``POST /``            a new one: ``{"title": "Water the plants", "done": false}``; 201 and its URL
``GET /<id>``         one of them
``PATCH /<id>``       changes ``title``, ``done`` or both
``DELETE /<id>``      answers 204
====================  ======================================================================

Every error is a JSON problem (RFC 9457): ``{"title": …, "status": 422, "detail": …, "errors": {field: what}}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.exceptions import HTTPException

from apps import var
from apps.todos import api, database, problems


def create_app(*, title: str = "Todos", config: Mapping[str, Any] | None = None) -> Flask:
    """The app. `title` is the name of the list.

    `config` may set `DATABASE` (a file; default ``var/todos/todos.db``) and `PAGE_SIZE` (of a list, default 20).
    """
    app = Flask(__name__, instance_path=str(var.folder("todos")), static_folder=None)
    app.config.from_mapping(
        TITLE=title,
        DATABASE="todos.db",
        PAGE_SIZE=20,
        MAX_CONTENT_LENGTH=16 * 1024,
    )
    app.config.from_mapping(config or {})
    app.config["DATABASE"] = Path(app.instance_path, app.config["DATABASE"])
    app.json.sort_keys = False  # type: ignore[attr-defined]  # an option of Flask's own provider

    database.create(app.config["DATABASE"])
    app.teardown_appcontext(database.close)
    app.register_error_handler(HTTPException, problems.respond)
    app.register_blueprint(api.blueprint)
    return app
