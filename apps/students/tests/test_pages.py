from __future__ import annotations

import logging
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from apps.students.database import Student, db
from apps.students.tests.conftest import ADA, send


def names(client: FlaskClient, url: str) -> list[str]:
    """The students in the list at `url`, as numbers of their links."""
    return re.findall(r'href="/S\d+">([^<]+)</a>', client.get(url).text)


def enrol(client: FlaskClient, *students: str) -> None:
    for name in students:
        email = f"{name.lower()}@example.org"
        assert send(client, "/new", name=name, email=email, enrolled="2026-10-01").status_code == 302


def test_an_empty_register_invites_to_fill_it(client: FlaskClient) -> None:
    assert "The register is empty" in client.get("/").text


def test_a_new_student_gets_a_page_of_its_own(grace: FlaskClient) -> None:
    saved = send(grace, "/new", **ADA)

    assert (saved.status_code, saved.location) == (302, "/S00001")
    page = grace.get("/S00001").text
    assert "Ada Lovelace is saved." in page
    assert "<h1>Ada Lovelace</h1>" in page
    assert "mailto:ada@example.org" in page
    assert "2026-10-01" in page


def test_an_edit_starts_from_what_is_there_and_changes_it(grace: FlaskClient) -> None:
    send(grace, "/new", **ADA)

    assert 'value="Ada Lovelace"' in grace.get("/S00001/edit").text
    send(grace, "/S00001/edit", **{**ADA, "name": "Ada King"})

    assert names(grace, "/") == ["Ada King"]


def test_a_deleted_student_is_gone(grace: FlaskClient) -> None:
    send(grace, "/new", **ADA)

    assert send(grace, "/S00001/delete", "/S00001").location == "/"

    assert "Ada Lovelace is deleted." in grace.get("/").text
    assert grace.get("/S00001").status_code == 404


def test_a_link_alone_deletes_nothing(grace: FlaskClient) -> None:
    send(grace, "/new", **ADA)

    assert grace.get("/S00001/delete").status_code == 405
    assert grace.get("/S00001").status_code == 200


@pytest.mark.parametrize(
    ("field", "typed", "error"),
    [
        pytest.param("name", "", "Please fill this in.", id="no name"),
        pytest.param("name", "a" * 101, "At most 100 characters, please.", id="long name"),
        pytest.param("name", "a\x00b", "This has characters that cannot be shown.", id="control character"),
        pytest.param("email", "ada", "This is no e-mail address.", id="no address"),
        pytest.param("email", "a@b@c.org", "This is no e-mail address.", id="two signs"),
        pytest.param("enrolled", "2026-02-30", "Please give a day, such as 2026-10-01.", id="no such day"),
        pytest.param("enrolled", "1815-12-10", "Nobody here enrolled before 1900.", id="too early"),
    ],
)
def test_a_mistake_is_told_beside_its_field_and_the_rest_stays_typed(
    grace: FlaskClient, field: str, typed: str, error: str
) -> None:
    answer = send(grace, "/new", **{**ADA, field: typed})

    assert answer.status_code == 422
    assert f'<span class="error" id="{field}-error">{error}</span>' in answer.text
    assert all(f'value="{value}"' in answer.text for key, value in ADA.items() if key != field)
    assert "The register is empty" in grace.get("/").text


@pytest.mark.parametrize("url", ["/new", "/S00002/edit"])
def test_two_students_cannot_have_one_address_in_any_case(grace: FlaskClient, url: str) -> None:
    send(grace, "/new", **ADA)
    send(grace, "/new", **{**ADA, "email": "other@example.org"})

    answer = send(grace, url, **{**ADA, "email": "ADA@example.org"})

    assert answer.status_code == 422
    assert "Another student has this address." in answer.text
    assert grace.get("/S00002").text.count("other@example.org") == 2


def test_a_change_of_a_student_whom_somebody_deletes_meanwhile_is_404(
    app: Flask, grace: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(grace, "/new", **ADA)

    def get(_: type[Student], number: int) -> Student:
        student = db.session.get(Student, number)
        assert student
        with db.engine.begin() as other:
            other.execute(delete(Student))
        return student

    monkeypatch.setattr(db, "get_or_404", get)
    form = {**ADA, "name": "Ada King"}
    with grace.session_transaction() as session:
        form["csrf_token"] = session["csrf_token"]

    assert grace.post("/S00001/edit", data=form).status_code == 404


def test_the_list_is_sorted_by_name_and_cut_into_pages(grace: FlaskClient) -> None:
    enrol(grace, "Edsger", "Ada", "Barbara", "Grace", "Alan")

    assert names(grace, "/") == ["Ada", "Alan", "Barbara"]
    assert names(grace, "/?page=2") == ["Edsger", "Grace"]
    assert '<a rel="next" href="/?page=2">' in grace.get("/").text


@pytest.mark.parametrize(
    ("words", "found"),
    [
        pytest.param("ADA", ["Ada"], id="any case"),
        pytest.param("example a", ["Ada", "Barbara"], id="each word, in name or address"),
        pytest.param("%", [], id="no wildcard"),
        pytest.param("nobody", [], id="nobody"),
        pytest.param("\x00bar", ["Barbara"], id="a NUL"),
    ],
)
def test_the_search_finds(grace: FlaskClient, words: str, found: list[str]) -> None:
    enrol(grace, "Ada", "Barbara")
    send(grace, "/new", name="Edsger", email="edsger@nuenen.nl", enrolled="2026-10-01")

    page = grace.get("/", query_string={"q": words})

    assert re.findall(r'href="/S\d+">([^<]+)</a>', page.text) == found


def test_pages_of_a_search_keep_its_words(grace: FlaskClient) -> None:
    enrol(grace, "Ada", "Alan", "Barbara", "Edsger")

    assert 'href="/?q=example&amp;page=2"' in grace.get("/?q=example").text


@pytest.mark.parametrize("page", ["0", "-1", "2", "100001", "9" * 30])
def test_a_page_that_is_not_there_is_404(client: FlaskClient, page: str) -> None:
    assert client.get(f"/?page={page}").status_code == 404


def test_what_people_type_is_shown_as_text(grace: FlaskClient) -> None:
    send(grace, "/new", **{**ADA, "name": "<script>alert(1)</script>"})

    for url in ("/", "/S00001", "/S00001/edit", "/?q=<script>"):
        assert "<script>" not in grace.get(url).text


def test_urls_are_those_that_the_browser_sees_below_a_mount(app: Flask) -> None:
    client = Client(DispatcherMiddleware(Flask("root"), {"/students": app}))

    page = client.get("/students/").text

    assert 'href="/students/static/students.css"' in page
    assert 'href="/students/new"' in page
    assert client.get("/students/new").location == "/students/login"
    with client.get("/students/static/students.css") as css:
        assert css.status_code == 200


def test_changes_are_logged_by_number_and_not_by_name(grace: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "apps.students"):
        send(grace, "/new", **ADA)
        send(grace, "/S00001/edit", **ADA)
        send(grace, "/S00001/delete", "/S00001")

    assert caplog.messages == ["student S00001 created", "student S00001 changed", "student S00001 deleted"]


def test_a_host_header_that_is_none_is_a_bad_request(client: FlaskClient) -> None:
    response = client.get("/", headers={"Host": "a..b"})

    assert response.status_code == 400
