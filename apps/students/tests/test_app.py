from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.exceptions import NotFound
from werkzeug.routing import Map, Rule

from apps.students import errors
from apps.students.database import User, db
from apps.students.urls import StudentNumber

MakeApp = Callable[..., Flask]


def test_development_keeps_a_key_of_its_own_over_restarts(make_app: MakeApp, var_folder: Path) -> None:
    first, second = make_app(), make_app(SETTINGS="development")

    assert first.secret_key == second.secret_key == (var_folder / "students" / "secret_key").read_text()
    assert (var_folder / "students" / "secret_key").stat().st_mode & 0o777 == 0o600
    assert not first.config["SESSION_COOKIE_SECURE"]


def test_production_takes_the_key_it_is_given_and_makes_none(make_app: MakeApp, var_folder: Path) -> None:
    key = "0123456789abcdef"

    app = make_app(SETTINGS="production", SECRET_KEY=key)

    assert app.secret_key == key
    assert app.config["SESSION_COOKIE_SECURE"]
    assert not (var_folder / "students" / "secret_key").exists()


@pytest.mark.parametrize("config", [{}, {"SECRET_KEY": ""}], ids=["missing", "empty"])
def test_production_without_a_key_does_not_start(make_app: MakeApp, config: dict[str, str]) -> None:
    message = "^SECRET_KEY is missing: production needs one of its own; make it with `openssl rand -hex 32`$"
    with pytest.raises(ValueError, match=message):
        make_app(SETTINGS="production", **config)


def test_unknown_settings_are_refused_with_those_that_there_are(make_app: MakeApp) -> None:
    with pytest.raises(ValueError, match=r"^SETTINGS is 'test'; take one of: development, production$"):
        make_app(SETTINGS="test")


def test_the_database_lies_in_var(make_app: MakeApp, var_folder: Path) -> None:
    make_app()

    assert (var_folder / "students" / "students.db").exists()


def test_any_database_url_will_do(make_app: MakeApp, var_folder: Path, tmp_path: Path) -> None:
    make_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'elsewhere.db'}")

    assert (tmp_path / "elsewhere.db").exists()
    assert not (var_folder / "students" / "students.db").exists()


def test_workers_may_all_be_the_first(make_app: MakeApp) -> None:
    with ThreadPoolExecutor(4) as pool:
        apps = list(pool.map(lambda _: make_app(), range(4)))

    with apps[0].app_context():
        assert db.session.scalars(select(User)).all() == []


@pytest.mark.parametrize(
    ("path", "number"),
    [
        pytest.param("/S00042", 42, id="five digits"),
        pytest.param("/S123456789", 123456789, id="nine digits"),
        pytest.param("/42", None, id="no letter"),
        pytest.param("/S0042", None, id="too few digits"),
        pytest.param("/S000042", None, id="zeros too many"),
        pytest.param("/S1234567890", None, id="too many digits"),
        pytest.param("/S0004²", None, id="no digit"),
    ],
)
def test_a_student_has_one_number_in_urls(path: str, number: int | None) -> None:
    urls = Map([Rule("/<student:number>", endpoint="show")], converters={"student": StudentNumber}).bind("localhost")

    if number is None:
        with pytest.raises(NotFound):
            urls.match(path)
    else:
        assert urls.match(path) == ("show", {"number": number})
        assert urls.build("show", {"number": number}) == path


@pytest.mark.parametrize(
    ("method", "url", "status", "text"),
    [
        pytest.param("GET", "/nowhere", 404, "There is no such page here.", id="no page"),
        pytest.param("GET", "/S00042", 404, "There is no such page here.", id="no student"),
        pytest.param("PUT", "/", 405, "This address does not take that kind of request.", id="method"),
    ],
)
def test_errors_have_pages_of_our_own(client: FlaskClient, method: str, url: str, status: int, text: str) -> None:
    answer = client.open(url, method=method)

    assert (answer.status_code, answer.mimetype) == (status, "text/html")
    assert text in answer.text
    assert "students.css" in answer.text


def test_a_form_that_is_too_large_is_refused(client: FlaskClient) -> None:
    answer = client.post("/login", data={"name": "a" * 70_000})

    assert answer.status_code == 413
    assert "This is more than the form can take." in answer.text


def test_a_fault_of_ours_has_a_page_too_which_needs_no_database(client: FlaskClient, app: Flask) -> None:
    with app.app_context():
        db.drop_all()

    answer = client.get("/")

    assert answer.status_code == 500
    assert errors.TEXTS[500] in answer.text
    assert "sqlite" not in answer.text.lower()
