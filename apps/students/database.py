"""The tables, by Flask-SQLAlchemy."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from apps import var


class Base(DeclarativeBase):
    """The base of the tables."""


db = SQLAlchemy(model_class=Base)


class Student(Base):
    """One student."""

    __tablename__ = "student"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), index=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    enrolled: Mapped[date]


class User(Base):
    """Somebody who may change the register."""

    __tablename__ = "user_account"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))


def init_app(app: Flask) -> None:
    """Bind the database to `app`, and make the tables that are not there yet."""
    db.init_app(app)
    with app.app_context(), var.locked(Path(app.instance_path)):
        db.create_all()
        db.engine.dispose()  # a server may fork now, and a connection must not be shared between processes
