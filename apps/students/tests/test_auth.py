from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from apps.students.auth import create_user
from apps.students.database import User, db
from apps.students.tests.conftest import ADA, PASSWORD, send


def test_whoever_logs_in_is_greeted_and_can_log_out_again(grace: FlaskClient) -> None:
    assert "<span>grace</span>" in grace.get("/").text

    send(grace, "/logout", "/")

    assert "<span>grace</span>" not in grace.get("/").text


@pytest.mark.parametrize(
    ("name", "password"),
    [
        pytest.param("grace", "wrong", id="password"),
        pytest.param("nobody", PASSWORD, id="name"),
        pytest.param("", "", id="nothing"),
        pytest.param("grace\x00x", PASSWORD, id="NUL"),
    ],
)
def test_a_wrong_login_is_refused_without_saying_what_was_wrong(client: FlaskClient, name: str, password: str) -> None:
    answer = send(client, "/login", name=name, password=password)

    assert answer.status_code == 403
    assert "The name or the password is wrong." in answer.text


@pytest.mark.parametrize("url", ["/new", "/S00001/edit"])
def test_after_the_login_people_are_where_they_wanted_to_go(client: FlaskClient, url: str) -> None:
    assert client.get(url).location == "/login"

    assert send(client, "/login", name="grace", password=PASSWORD).location == url


@pytest.mark.parametrize("url", ["/new", "/S00001/edit", "/S00001/delete"])
def test_who_is_not_logged_in_changes_nothing(client: FlaskClient, grace: FlaskClient, url: str) -> None:
    send(grace, "/new", **ADA)

    assert send(client, url, "/login", **{**ADA, "name": "Mallory"}).location == "/login"

    assert "Ada Lovelace" in client.get("/").text
    assert "Mallory" not in client.get("/").text


@pytest.mark.parametrize("url", ["/login", "/logout", "/new", "/S00001/edit", "/S00001/delete"])
@pytest.mark.parametrize("token", [None, "", "guessed", "ä"], ids=["none", "empty", "guessed", "not ASCII"])
def test_a_form_from_another_site_is_refused(grace: FlaskClient, url: str, token: str | None) -> None:
    send(grace, "/new", **ADA)

    answer = grace.post(url, data={**ADA, "name": "Mallory"} | ({} if token is None else {"csrf_token": token}))

    assert answer.status_code == 400
    assert "This form was sent from somewhere else" in answer.text
    assert "<h1>Ada Lovelace</h1>" in grace.get("/S00001").text
    assert "<span>grace</span>" in grace.get("/").text


def test_a_login_gives_a_new_token(client: FlaskClient) -> None:
    client.get("/login")
    with client.session_transaction() as session:
        before = session["csrf_token"]

    send(client, "/login", name="grace", password=PASSWORD)
    client.get("/")

    with client.session_transaction() as session:
        assert session["csrf_token"] != before


def test_a_deleted_user_is_logged_out(app: Flask, grace: FlaskClient) -> None:
    with app.app_context():
        db.session.delete(db.session.scalars(select(User)).one())
        db.session.commit()

    assert grace.get("/new").location == "/login"


def test_a_visitor_who_only_reads_gets_no_cookie(client: FlaskClient) -> None:
    assert "Set-Cookie" not in client.get("/").headers


def test_the_command_makes_a_user_who_can_log_in(app: Flask, client: FlaskClient) -> None:
    result = app.test_cli_runner().invoke(args=["create-user", "ada"], input=f"{PASSWORD}\n{PASSWORD}\n")

    assert result.output.endswith("Made the user ada.\n")
    assert send(client, "/login", name="ada", password=PASSWORD).status_code == 302
    with app.app_context():
        hashes = db.session.scalars(select(User.password_hash)).all()
    assert not any(PASSWORD in text for text in hashes)


@pytest.mark.parametrize(
    ("name", "password", "error"),
    [
        pytest.param("grace", "long enough", "Error: there is a user 'grace' already", id="taken"),
        pytest.param("", "long enough", "a name has 1 to 50 characters, all of which can be shown", id="no name"),
        pytest.param("a\nb", "long enough", "a name has 1 to 50 characters, all of which can be shown", id="two lines"),
        pytest.param("ada", "short", "a password has at least 8 characters", id="short password"),
    ],
)
def test_the_command_refuses(app: Flask, name: str, password: str, error: str) -> None:
    runner = app.test_cli_runner(env={"STUDENTS_PASSWORD": password})

    result = runner.invoke(args=[create_user.name, name])

    assert result.exit_code != 0
    assert error in " ".join(result.output.split())
