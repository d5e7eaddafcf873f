"""A register of students: pages with forms, a search, and a login for those who may change it.

Whoever may log in is made on the command line::

    flask --app apps.students create-user ada
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask
from werkzeug.exceptions import HTTPException

from apps import var
from apps.students import auth, database, errors, pages, settings
from apps.students.urls import StudentNumber


def create_app(*, config: Mapping[str, Any] | None = None) -> Flask:
    """The app. `config` may set anything that Flask and Flask-SQLAlchemy know, and `SETTINGS`: the class of settings
    that all else starts from, ``development`` (the default) or ``production``."""
    app = Flask(__name__, instance_path=str(var.folder("students")))
    settings.apply(app, config or {})
    app.url_map.converters["student"] = StudentNumber
    database.init_app(app)
    app.register_blueprint(auth.blueprint)
    app.register_blueprint(pages.blueprint)
    app.register_error_handler(HTTPException, errors.respond)
    return app
