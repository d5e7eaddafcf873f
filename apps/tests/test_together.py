"""The four apps beside each other, mounted by werkzeug alone: they share a host, and so a cookie jar."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from wsgiref.types import WSGIApplication

import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.security import generate_password_hash
from werkzeug.test import Client

from apps import home, students, todos
from apps.legacy.tests.conftest import project
from apps.students.database import User, db

__all__ = ["project"]  # a fixture, used by its name


@pytest.fixture
def client(project: WSGIApplication) -> Iterator[Client]:
    register = students.create_app()
    with register.app_context():
        db.session.add(User(name="admin", password_hash=generate_password_hash("admin", "pbkdf2:sha256:1")))
        db.session.commit()
    mounts: dict[str, WSGIApplication] = {"/todos": todos.create_app(), "/students": register, "/legacy": project}
    yield Client(DispatcherMiddleware(home.create_app(), mounts))
    with register.app_context():
        db.engine.dispose()


def log_in(client: Client, url: str, token: str, field: str) -> None:
    found = re.search(f'name="{token}" value="([^"]+)"', client.get(url).text)
    assert found
    who = {field: "admin", "password": "admin", token: found[1]}
    assert client.post(url, data=who).status_code == 302


def log_in_to_students(client: Client) -> None:
    log_in(client, "/students/login", "csrf_token", "name")


def log_in_to_legacy(client: Client) -> None:
    log_in(client, "/legacy/admin/login/", "csrfmiddlewaretoken", "username")


@pytest.mark.parametrize("url", ["/", "/todos/", "/students/", "/legacy/", "/legacy/admin/login/"])
def test_each_app_answers_below_its_prefix(client: Client, url: str) -> None:
    assert client.get(url).status_code == 200


@pytest.mark.parametrize(
    "logins",
    [(log_in_to_students, log_in_to_legacy), (log_in_to_legacy, log_in_to_students)],
    ids=["students first", "legacy first"],
)
def test_a_login_in_one_app_leaves_the_login_in_the_other(
    client: Client, logins: tuple[Callable[[Client], None], ...]
) -> None:
    for log_in_there in logins:
        log_in_there(client)

    assert client.get("/students/new").status_code == 200
    assert client.get("/legacy/admin/").status_code == 200
