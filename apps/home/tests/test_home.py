from __future__ import annotations

import logging
from pathlib import Path

import pytest
import yaml
from flask.testing import FlaskClient

import apps
from apps.home import create_app

SITE = Path(apps.__file__).parents[1]
LINKS = [
    {"url": "/todos/", "name": "Todos", "text": "An <em>API</em>."},
    {"url": "https://example.org/", "name": "Far"},
]


@pytest.fixture
def client() -> FlaskClient:
    return create_app(title="Ours & theirs", lead="Have a look.", links=LINKS).test_client()


def test_the_page_links_to_what_it_was_given(client: FlaskClient) -> None:
    page = client.get("/").text

    assert '<a href="/todos/">Todos</a>' in page
    assert '<a href="https://example.org/">Far</a>' in page


def test_what_it_was_given_is_text_and_never_markup(client: FlaskClient) -> None:
    page = client.get("/").text

    assert "<h1>Ours &amp; theirs</h1>" in page
    assert "An &lt;em&gt;API&lt;/em&gt;." in page


def test_a_page_without_links_says_what_to_do() -> None:
    assert "in config.yaml" in create_app().test_client().get("/").text


def test_behind_a_proxys_prefix_links_and_files_of_the_site_carry_it(client: FlaskClient) -> None:
    page = client.get("/", environ_overrides={"SCRIPT_NAME": "/intranet"}).text

    assert 'href="/intranet/todos/"' in page
    assert 'src="/intranet/static/street.svg"' in page
    assert 'href="https://example.org/"' in page


@pytest.mark.parametrize("file", ["street.svg", "site.css", "icon.svg"])
def test_each_file_that_the_page_shows_is_there(client: FlaskClient, file: str) -> None:
    assert f'"/static/{file}"' in client.get("/").text
    assert (SITE / "static" / file).is_file()


def test_the_picture_has_a_text_for_those_who_do_not_see_it(client: FlaskClient) -> None:
    assert 'alt="A street in the evening' in client.get("/").text


def test_the_page_shows_what_the_dispatcher_says_of_the_request(client: FlaskClient) -> None:
    facts = {"dispatcher.mount": "/", "dispatcher.request_id": "abc123"}

    assert "<code>abc123</code>" in client.get("/", environ_overrides=facts).text
    assert "Served without the dispatcher." in client.get("/").text


def test_an_unknown_page_is_404_in_the_look_of_the_site(client: FlaskClient) -> None:
    answer = client.get("/nowhere")

    assert answer.status_code == 404
    assert '<a href="/">the front page</a>' in answer.text


def test_a_visit_is_logged(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "apps.home"):
        client.get("/")

    assert caplog.messages == ["front page with 2 links"]


def test_a_link_with_a_misspelt_key_fails_at_the_start() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'nmae'"):
        create_app(links=[{"url": "/", "nmae": "Home"}])


def test_in_the_config_of_the_site_each_mount_has_a_link() -> None:
    mounts = yaml.safe_load((SITE / "config.yaml").read_text())["mounts"]

    page = create_app(**mounts["/"]["args"]).test_client().get("/").text

    for prefix in mounts:
        assert f'<a href="{prefix.rstrip("/")}/">' in page
