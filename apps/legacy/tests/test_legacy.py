from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from werkzeug.test import Client, TestResponse

SITE = Path(__file__).parents[3]


def send(client: Client, url: str, **fields: str) -> TestResponse:
    """Fill in the form at `url` and send it, as a browser would."""
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get(url).text)
    assert found
    return client.post(url, data={**fields, "csrfmiddlewaretoken": found[1]})


def log_in(client: Client) -> TestResponse:
    return send(client, "/legacy/admin/login/", username="admin", password="admin")  # noqa: S106  # see conftest


@pytest.fixture
def lamp(client: Client) -> Client:
    """A browser in which the superuser is logged in and has put a lamp on shelf B2."""
    from apps.legacy.inventory.models import Item  # noqa: PLC0415  # needs Django's settings

    Item.objects.all().delete()
    log_in(client)
    saved = send(client, "/legacy/admin/inventory/item/add/", name="Lamp", shelf="B2", count="3", state="worn")
    assert saved.location == "/legacy/admin/inventory/item/"
    return client


def test_the_admin_sends_people_to_its_login_below_the_mount(client: Client) -> None:
    answer = client.get("/legacy/admin/")

    assert (answer.status_code, answer.location) == (302, "/legacy/admin/login/?next=/legacy/admin/")


def test_each_file_of_the_login_page_is_served_below_the_mount(client: Client) -> None:
    page = client.get("/legacy/admin/login/").text
    files = re.findall(r'(?:href|src)="([^"]+[.](?:css|js))"', page)

    assert "/legacy/static/admin/css/login.css" in files
    for file in files:
        with client.get(file) as answer:
            assert (file, answer.status_code) == (file, 200)
            assert answer.data


def test_a_login_lasts_and_its_cookies_have_names_of_their_own(client: Client) -> None:
    assert log_in(client).status_code == 302

    assert client.get("/legacy/admin/").status_code == 200
    assert client.get_cookie("legacy_session")
    assert client.get_cookie("legacy_csrftoken")
    assert not client.get_cookie("sessionid")


def test_what_is_kept_in_the_admin_stands_on_the_public_page(lamp: Client) -> None:
    page = lamp.get("/legacy/").text

    assert "<td>Lamp</td><td>B2</td><td>3</td><td>worn</td>" in page
    assert 'href="/legacy/static/inventory/inventory.css"' in page


def test_an_item_that_counts_nothing_is_refused(lamp: Client) -> None:
    answer = send(lamp, "/legacy/admin/inventory/item/add/", name="Dust", shelf="B2", count="0", state="good")

    assert "Ensure this value is greater than or equal to 1." in answer.text
    assert "Dust" not in lamp.get("/legacy/").text


def test_what_is_kept_is_logged(
    client: Client, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    with caplog.at_level(logging.INFO, "apps.legacy"):
        request.getfixturevalue("lamp")

    assert re.fullmatch(r"item \d+ created by user \d+", caplog.messages[-1])


def test_other_hosts_are_refused(client: Client) -> None:
    assert client.get("/legacy/", base_url="http://evil.example").status_code == 400


def start(*arguments: str, var: Path) -> subprocess.Popen[bytes]:
    """Another Python, as a worker or a person at the site would start it."""
    environ = {**os.environ, "EXAMPLE_VAR": str(var)}
    return subprocess.Popen([sys.executable, *arguments], cwd=SITE, env=environ, stdout=subprocess.PIPE)  # noqa: S603  # our own


def test_workers_may_all_be_the_first(tmp_path: Path) -> None:
    code = "from apps.legacy.wsgi import application, settings; print(settings.SECRET_KEY)"
    workers = [start("-c", code, var=tmp_path) for _ in range(3)]

    keys = {worker.communicate()[0] for worker in workers}

    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert len(keys) == 1
    assert (tmp_path / "legacy" / "secret_key").stat().st_mode & 0o777 == 0o600


def test_the_migrations_are_those_of_the_models(tmp_path: Path) -> None:
    command = start("-m", "apps.legacy.manage", "makemigrations", "--check", "--dry-run", var=tmp_path)

    assert command.communicate()[0] == b"No changes detected\n"
    assert command.returncode == 0
