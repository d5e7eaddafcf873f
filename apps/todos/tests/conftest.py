from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from apps.todos import create_app


@pytest.fixture
def app() -> Flask:
    return create_app(title="Chores", config={"PAGE_SIZE": 3})


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
