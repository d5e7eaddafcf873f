from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from apps.students import create_app
from apps.students.database import User, db

ADA = {"name": "Ada Lovelace", "email": "ada@example.org", "enrolled": "2026-10-01"}
PASSWORD = "correct horse"


def token(page: TestResponse) -> str:
    """The CSRF token in a page with a form."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def send(client: FlaskClient, url: str, form_url: str | None = None, **fields: str) -> TestResponse:
    """Fill in the form at `form_url` (by default at `url`) and send it, as a browser would."""
    return client.post(url, data={**fields, "csrf_token": token(client.get(form_url or url))})


@pytest.fixture
def make_app() -> Iterator[Callable[..., Flask]]:
    made = []

    def make(**config: object) -> Flask:
        made.append(create_app(config=config))
        return made[-1]

    yield make
    for app in made:
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    app = make_app(PAGE_SIZE=3)
    with app.app_context():
        # A cheap hash: the tests are not about how long a password takes.
        db.session.add(User(name="grace", password_hash=generate_password_hash(PASSWORD, "pbkdf2:sha256:1")))
        db.session.commit()
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser in which nobody is logged in."""
    return app.test_client()


@pytest.fixture
def grace(app: Flask) -> FlaskClient:
    """A browser in which Grace is logged in."""
    client = app.test_client()
    assert send(client, "/login", name="grace", password=PASSWORD).status_code == 302
    return client
