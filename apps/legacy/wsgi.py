"""The project as a WSGI app: `application`.

The first start makes the database, and the first after an update brings its tables up to date.
"""

from __future__ import annotations

import logging
import os

from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import connections

from apps import var

logger = logging.getLogger(__name__)


def migrate() -> None:
    """Apply what migrations there are; workers that start together take turns, and the later ones find it done."""
    with var.locked(settings.VAR):
        call_command("migrate", interactive=False, verbosity=0)
    connections.close_all()  # a server may fork now, and a connection must not be shared between processes
    logger.info("database %s is up to date", settings.DATABASES["default"]["NAME"])


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "apps.legacy.settings")
application = get_wsgi_application()
migrate()
