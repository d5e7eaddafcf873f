"""Django reads its settings once in a process, so its `var/` is one for all tests here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from django.core.handlers.wsgi import WSGIHandler


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WSGIHandler]:
    """The WSGI app, with a superuser `admin` whose password is `admin`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXAMPLE_VAR", str(tmp_path_factory.mktemp("legacy")))
        from apps.legacy.wsgi import application  # noqa: PLC0415  # reads the settings, so not before the line above
    from django.contrib.auth.models import User  # noqa: PLC0415  # likewise
    from django.db import connections  # noqa: PLC0415  # likewise

    User.objects.filter(username="admin").delete()
    User.objects.create_superuser("admin", password="admin")  # noqa: S106  # of a database that lives for a test
    yield application
    connections.close_all()


@pytest.fixture
def client(project: WSGIHandler) -> Client:
    """A browser before a site that has the project at /legacy and nothing else."""
    return Client(DispatcherMiddleware(Response("not mounted", 404), {"/legacy": project}))
