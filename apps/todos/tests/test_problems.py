from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

JSON = "application/json"


@pytest.mark.parametrize(
    ("method", "url", "sent", "status", "detail"),
    [
        pytest.param("GET", "/7", {}, 404, "There is no todo 7.", id="no such todo"),
        pytest.param("DELETE", "/7", {}, 404, "There is no todo 7.", id="nothing to delete"),
        pytest.param("PATCH", "/7", {"json": {"done": True}}, 404, "There is no todo 7.", id="nothing to change"),
        pytest.param("GET", f"/{2**63}", {}, 404, "There is no todo of that number.", id="a number over 64 bits"),
        pytest.param("GET", "/x", {}, 404, "The requested URL was not found", id="no such URL"),
        pytest.param("PUT", "/", {}, 405, "The method is not allowed for the requested URL.", id="method"),
        pytest.param(
            "POST", "/", {"data": "title=a"}, 415, "Send JSON, with 'Content-Type: application/json'.", id="form"
        ),
        pytest.param("POST", "/", {"data": "{", "content_type": JSON}, 400, "The body is not valid JSON.", id="torn"),
        pytest.param(
            "POST", "/", {"data": b"\xff", "content_type": JSON}, 400, "The body is not valid JSON.", id="bytes"
        ),
        pytest.param(
            "POST", "/", {"data": "[" * 9999, "content_type": JSON}, 400, "The body is not valid JSON.", id="deep"
        ),
        pytest.param("POST", "/", {"json": ["a"]}, 400, "The body must be a JSON object, such as {", id="a list"),
        pytest.param(
            "POST", "/", {"json": {"title": "a" * 17_000}}, 413, "The data value transmitted exceeds", id="size"
        ),
    ],
)
def test_every_error_is_a_json_problem(
    client: FlaskClient, method: str, url: str, sent: dict[str, Any], status: int, detail: str
) -> None:
    answer = client.open(url, method=method, **sent)

    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert answer.get_json()["status"] == status
    assert answer.get_json()["detail"].startswith(detail)


def test_a_method_that_is_not_allowed_is_told_which_are(client: FlaskClient) -> None:
    assert client.put("/").allow.as_set() == {"get", "head", "options", "post"}


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        pytest.param({}, {"title": "is missing"}, id="no title"),
        pytest.param({"title": 1}, {"title": "must be a string"}, id="a number"),
        pytest.param({"title": None}, {"title": "must be a string"}, id="null"),
        pytest.param({"title": " "}, {"title": "must not be empty"}, id="blank"),
        pytest.param({"title": "a" * 201}, {"title": "must have at most 200 characters"}, id="too long"),
        pytest.param(
            {"title": "a\nb"}, {"title": "must be one line of text without control characters"}, id="two lines"
        ),
        pytest.param(
            {"title": "\ud800"}, {"title": "must be one line of text without control characters"}, id="half a character"
        ),
        pytest.param(
            {"titel": "a", "done": 1},
            {
                "titel": "is unknown here; known: done, title",
                "done": "must be true or false",
                "title": "is missing",
            },
            id="everything at once",
        ),
    ],
)
def test_a_wrong_new_todo_names_each_mistake(client: FlaskClient, body: dict[str, Any], errors: dict[str, str]) -> None:
    answer = client.post("/", json=body)

    assert answer.status_code == 422
    assert answer.get_json()["errors"] == errors
    assert client.get("/").get_json()["total"] == 0


def test_a_wrong_change_changes_nothing(client: FlaskClient) -> None:
    before = client.post("/", json={"title": "a"}).get_json()

    answer = client.patch("/1", json={"title": "b", "done": "yes", "id": 2})

    assert answer.status_code == 422
    assert answer.get_json()["errors"] == {"done": "must be true or false", "id": "is unknown here; known: done, title"}
    assert client.get("/1").get_json() == before


@pytest.mark.parametrize("page", ["0", "-1", "x", "", "1.5", "²", "1000001", "9" * 5000])
def test_a_page_out_of_bounds_is_refused(client: FlaskClient, page: str) -> None:
    answer = client.get("/", query_string={"page": page})

    assert answer.status_code == 422
    assert answer.get_json()["errors"] == {"page": "must be a whole number from 1 to 1000000"}


def test_all_wrong_query_parameters_are_named(client: FlaskClient) -> None:
    assert client.get("/?page_size=101&done=maybe&sort=title").get_json()["errors"] == {
        "sort": "is unknown here; known: done, page, page_size",
        "page_size": "must be a whole number from 1 to 100",
        "done": "must be 'true' or 'false'",
    }


def test_a_fault_of_ours_is_a_problem_too_and_tells_nothing_of_the_inside(app: Flask) -> None:
    app.config["DATABASE"] = "/nowhere/todos.db"

    answer = app.test_client().get("/")

    assert (answer.status_code, answer.content_type) == (500, "application/problem+json")
    assert "nowhere" not in answer.text
