from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client


def add(client: FlaskClient, *titles: str) -> None:
    for title in titles:
        assert client.post("/", json={"title": title}).status_code == 201


def titles(client: FlaskClient, url: str) -> list[str]:
    return [todo["title"] for todo in client.get(url).get_json()["items"]]


def test_a_new_todo_is_answered_with_its_place_and_can_be_read_there(client: FlaskClient) -> None:
    created = client.post("/", json={"title": "  Water the plants "})

    assert created.status_code == 201
    assert created.location == "/1"
    assert created.get_json() == client.get("/1").get_json()
    assert created.get_json() | {"created_at": ""} == {
        "id": 1,
        "title": "Water the plants",
        "done": False,
        "created_at": "",
        "url": "/1",
    }


def test_a_todo_can_be_created_as_done(client: FlaskClient) -> None:
    assert client.post("/", json={"title": "a", "done": True}).get_json()["done"] is True


def test_the_list_has_the_newest_first_and_says_where_its_other_pages_are(client: FlaskClient) -> None:
    add(client, "1", "2", "3", "4", "5", "6", "7")

    page = client.get("/?page=2").get_json()

    assert [todo["title"] for todo in page.pop("items")] == ["4", "3", "2"]
    assert page == {
        "title": "Chores",
        "total": 7,
        "page": 2,
        "pages": 3,
        "previous": "/?page=1",
        "next": "/?page=3",
    }


def test_an_empty_list_is_one_page(client: FlaskClient) -> None:
    assert client.get("/").get_json() == {
        "title": "Chores",
        "total": 0,
        "page": 1,
        "pages": 1,
        "previous": None,
        "next": None,
        "items": [],
    }


def test_behind_the_end_the_list_is_empty_and_leads_back_to_the_last_page(client: FlaskClient) -> None:
    add(client, "1", "2", "3", "4")

    page = client.get("/?page=50").get_json()

    assert (page["items"], page["previous"], page["next"]) == ([], "/?page=2", None)


def test_the_list_can_be_narrowed_to_done_and_to_open_todos(client: FlaskClient) -> None:
    add(client, "1", "2", "3")
    client.patch("/2", json={"done": True})

    assert titles(client, "/?done=true") == ["2"]
    assert titles(client, "/?done=false") == ["3", "1"]
    assert client.get("/?done=false&page_size=1").get_json()["next"] == "/?done=false&page_size=1&page=2"


@pytest.mark.parametrize(
    ("change", "title", "done"),
    [
        pytest.param({"done": True}, "a", True, id="only the state"),
        pytest.param({"title": "b"}, "b", False, id="only the title"),
        pytest.param({"title": "b", "done": True}, "b", True, id="both"),
        pytest.param({}, "a", False, id="nothing"),
    ],
)
def test_a_change_leaves_what_it_does_not_name(
    client: FlaskClient, change: dict[str, Any], title: str, done: bool
) -> None:
    add(client, "a")

    answer = client.patch("/1", json=change)

    assert (answer.status_code, answer.get_json()["title"], answer.get_json()["done"]) == (200, title, done)
    assert client.get("/1").get_json() == answer.get_json()


def test_a_deleted_todo_is_gone_and_its_number_is_not_given_again(client: FlaskClient) -> None:
    add(client, "a")

    assert client.delete("/1").status_code == 204
    assert client.get("/1").status_code == 404
    assert client.post("/", json={"title": "b"}).location == "/2"


def test_urls_are_those_that_the_client_sees_below_a_mount(app: Flask) -> None:
    client = Client(DispatcherMiddleware(Flask("root"), {"/todos": app}))
    for title in "1234":
        created = client.post("/todos/", json={"title": title})

    assert created.location == created.get_json()["url"] == "/todos/4"
    assert client.get("/todos/").get_json()["next"] == "/todos/?page=2"


def test_changes_are_logged(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "apps.todos"):
        client.post("/", json={"title": "a"})
        client.patch("/1", json={"done": True})
        client.delete("/1")

    assert caplog.messages == ["todo 1 created", "todo 1 changed", "todo 1 deleted"]


def test_many_clients_at_once_lose_nothing(app: Flask) -> None:
    def add_ten(number: int) -> set[int]:
        client = app.test_client()
        return {client.post("/", json={"title": f"{number}.{n}"}).get_json()["id"] for n in range(10)}

    with ThreadPoolExecutor(8) as pool:
        numbers = set.union(*pool.map(add_ten, range(8)))

    assert numbers == set(range(1, 81))
    assert app.test_client().get("/").get_json()["total"] == 80
