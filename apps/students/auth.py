"""Logging in and out, and the command that makes a user."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec

import click
from flask import Blueprint, flash, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from werkzeug.security import check_password_hash, generate_password_hash

from apps.students import csrf
from apps.students.database import User, db

P = ParamSpec("P")

# No cli_group: `flask create-user`, not `flask auth create-user`.
blueprint = Blueprint("auth", __name__, cli_group=None)
blueprint.before_request(csrf.check)
logger = logging.getLogger(__name__)


def current_user() -> User | None:
    """Who is logged in; looked up once in a request, and nobody when the user was deleted meanwhile."""
    if "user" not in g:
        g.user = db.session.get(User, session["user_id"]) if "user_id" in session else None
    user: User | None = g.user
    return user


def login_required(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """Send whoever is not logged in to the login page, and from there back to where they wanted to go."""

    @functools.wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        if current_user():
            return view(*args, **kwargs)
        if request.method == "GET":
            # In the session and not in the URL, where anybody could write another site's address.
            session["next"] = request.script_root + request.path
        return redirect(url_for("auth.login"))

    return guarded


@blueprint.app_context_processor
def _for_templates() -> dict[str, object]:
    return {"current_user": current_user, "csrf_token": csrf.token}


@blueprint.get("/login")
def login() -> ResponseReturnValue:
    return render_template("students/login.html", name="")


@blueprint.post("/login")
def log_in() -> ResponseReturnValue:
    name = request.form.get("name", "").replace("\0", "")  # PostgreSQL refuses a NUL
    user = _authenticate(name, request.form.get("password", ""))
    if user is None:
        logger.warning("login failed")
        flash("The name or the password is wrong.", "error")
        return render_template("students/login.html", name=name), 403
    target = session.get("next") or url_for("students.index")
    session.clear()  # what was there before the login belongs to nobody
    session["user_id"] = user.id
    logger.info("user %d logged in", user.id)
    return redirect(target)


@blueprint.post("/logout")
def log_out() -> ResponseReturnValue:
    logger.info("user %s logged out", session.get("user_id"))
    session.clear()
    flash("You are logged out.")
    return redirect(url_for("students.index"))


@functools.cache
def _nobodys_hash() -> str:
    return generate_password_hash("nobody")


def _authenticate(name: str, password: str) -> User | None:
    user = db.session.scalar(select(User).filter_by(name=name))
    # Also for an unknown name, so that the time taken does not tell which names there are.
    right = check_password_hash(user.password_hash if user else _nobodys_hash(), password)
    return user if right else None


@blueprint.cli.command("create-user")
@click.argument("name")
@click.password_option(envvar="STUDENTS_PASSWORD", help="Asked for, if neither this nor $STUDENTS_PASSWORD is given.")
def create_user(name: str, password: str) -> None:
    """Make a user, who may then log in and change the register."""
    if not 1 <= len(name) <= 50 or not name.isprintable():
        raise click.BadParameter("a name has 1 to 50 characters, all of which can be shown", param_hint="NAME")
    if len(password) < 8:
        raise click.BadParameter("a password has at least 8 characters", param_hint="--password")
    db.session.add(User(name=name, password_hash=generate_password_hash(password)))
    try:
        db.session.commit()
    except IntegrityError:
        raise click.ClickException(f"there is a user {name!r} already") from None
    click.echo(f"Made the user {name}.")
