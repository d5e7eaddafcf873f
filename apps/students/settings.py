"""The settings: one class for each place that the app runs in; what `config:` says goes before them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask

from apps import var


class Settings:
    """What holds everywhere."""

    SQLALCHEMY_DATABASE_URI = "sqlite:///students.db"  # below the instance path, which is var/students
    SESSION_COOKIE_SAMESITE = "Lax"
    MAX_CONTENT_LENGTH = 64 * 1024
    PAGE_SIZE = 20


class Development(Settings):
    """On a desk: templates are read again when they change; the secret key is made on first use."""

    TEMPLATES_AUTO_RELOAD = True


class Production(Settings):
    """For the world: the session cookie travels over https only, and the secret key has to be given."""

    SESSION_COOKIE_SECURE = True


CLASSES: dict[str, type[Settings]] = {"development": Development, "production": Production}


def apply(app: Flask, config: Mapping[str, Any]) -> None:
    """Set `app.config` from the class that `config` names, then from `config` itself."""
    name = config.get("SETTINGS", "development")
    if name not in CLASSES:
        raise ValueError(f"SETTINGS is {name!r}; take one of: {', '.join(CLASSES)}")
    app.config.from_object(CLASSES[name])
    app.config.from_mapping(config)
    if app.config["SECRET_KEY"]:
        return
    if name == "production":
        raise ValueError("SECRET_KEY is missing: production needs one of its own; make it with `openssl rand -hex 32`")
    app.config["SECRET_KEY"] = var.secret_key(Path(app.instance_path))
