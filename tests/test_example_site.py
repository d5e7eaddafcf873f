"""The example site as a new user meets it: real gunicorn, the `config.yaml` of the repository, a copy of its files."""

from __future__ import annotations

import http.cookiejar
import json
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import PYTHON, Serving, run, serving, wait_until

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example site, so that `var/` and `logs/` of the work tree stay as they are."""
    copy = tmp_path_factory.mktemp("site")
    for name in ("config.yaml", "gunicorn.conf.py"):
        shutil.copy(ROOT / name, copy)
    for name in ("apps", "static"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    return copy


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[Serving]:
    with serving(folder) as found:
        yield found


@pytest.mark.parametrize(
    ("path", "text"),
    [
        pytest.param("/", "/students/", id="home links to the mounts"),
        pytest.param("/todos/", '"items"', id="todos"),
        pytest.param("/students/", "<form", id="students"),
        pytest.param("/legacy/admin/login/", "csrfmiddlewaretoken", id="Django's admin"),
        pytest.param("/static/site.css", "{", id="static file"),
    ],
)
def test_each_path_is_answered_by_the_right_app(site: Serving, path: str, text: str) -> None:
    answer = site.request(path)

    assert answer.status == 200
    assert text in answer.text


def test_the_students_own_static_files_are_served_without_flask(site: Serving) -> None:
    css = re.search(r'href="(/students/static/[^"]+)"', site.request("/students/").text)
    assert css is not None

    answer = site.request(css[1])

    assert answer.status == 200
    assert "etag" in answer.headers


def test_a_static_file_is_304_when_unchanged_and_206_in_part(site: Serving) -> None:
    etag = site.request("/static/site.css").headers["etag"]

    assert site.request("/static/site.css", headers={"If-None-Match": etag}).status == 304
    part = site.request("/static/site.css", headers={"Range": "bytes=0-0"})
    assert (part.status, len(part.body)) == (206, 1)


def test_every_answer_has_a_request_id_that_the_logs_know(site: Serving) -> None:
    answer = site.request("/todos/", headers={"X-Request-ID": "from-the-client-1"})

    assert answer.headers["x-request-id"] == "from-the-client-1"


def test_writing_faster_than_the_mounts_limit_is_429_with_a_retry_after(site: Serving) -> None:
    body = json.dumps({"title": "sweep"}).encode()
    answers = [
        site.request("/todos/", "POST", body=body, headers={"Content-Type": "application/json"}) for _ in range(20)
    ]

    refused = [answer for answer in answers if answer.status == 429]
    assert 201 in {answer.status for answer in answers}
    assert refused
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)


def test_each_request_is_one_line_of_the_request_log(site: Serving) -> None:
    paths = [
        f"/{name}?probe=log" for name in ("", "todos/", "students/", "legacy/admin/login/", "static/site.css", "no")
    ]
    for path in paths:
        site.request(path)

    def counts() -> list[int]:
        lines = (site.folder / "logs" / "access.log").read_text().splitlines()
        return [sum(f'"GET {path} HTTP/1.1"' in line for line in lines) for path in paths]

    # A record is written when the server has closed the response, which is after the client has read it.
    wait_until(lambda: sum(counts()) >= len(paths))
    assert counts() == [1] * len(paths)


def test_the_log_has_records_of_two_apps_with_mount_and_request_id(site: Serving, users: None) -> None:
    site.request(
        "/todos/",
        "POST",
        body=b'{"title": "log"}',
        headers={"Content-Type": "application/json", "X-Request-ID": "log-1"},
    )
    Browser(site).login_to_students()

    text = (site.folder / "logs" / "app.log").read_text()

    assert re.search(r" INFO /todos \S+ apps\.todos\S*: ", text)
    assert re.search(r" INFO /students \S+ apps\.students\S*: ", text)


class Browser:
    """One cookie jar, as a person has."""

    def __init__(self, site: Serving) -> None:
        self.site = site
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

    def open(self, path: str, **fields: str) -> str:
        data = urllib.parse.urlencode(fields).encode() if fields else None
        url = f"http://127.0.0.1:{self.site.port}{path}"
        request = urllib.request.Request(url, data, {"Referer": url})
        try:
            found: bytes = self.opener.open(request, timeout=20).read()
        except urllib.error.HTTPError as error:
            found = error.read()
        return found.decode()

    def token(self, path: str, name: str) -> str:
        match = re.search(rf'name="{name}"[^>]* value="([^"]+)"', self.open(path))
        assert match is not None
        return match[1]

    def login_to_students(self) -> str:
        token = self.token("/students/login", "csrf_token")
        return self.open("/students/login", csrf_token=token, name="ann", password="a long password")

    def login_to_legacy(self) -> str:
        token = self.token("/legacy/admin/login/", "csrfmiddlewaretoken")
        page = {"username": "root", "password": "a long password", "next": "/legacy/admin/"}
        return self.open("/legacy/admin/login/", csrfmiddlewaretoken=token, **page)


@pytest.fixture(scope="module")
def users(folder: Path, site: Serving) -> None:
    """A user of `students` and a superuser of `legacy`, made by the commands that `apps/README.md` shows."""
    password = "a long password"
    user = run(
        folder,
        PYTHON,
        "-m",
        "flask",
        "--app",
        "apps.students",
        "create-user",
        "ann",
        env={"STUDENTS_PASSWORD": password},
    )
    assert user.returncode == 0, user.stderr
    names = {"USERNAME": "root", "EMAIL": "root@example.com", "PASSWORD": password}
    env = {f"DJANGO_SUPERUSER_{name}": value for name, value in names.items()}
    root = run(folder, PYTHON, "-m", "apps.legacy.manage", "createsuperuser", "--noinput", env=env)
    assert root.returncode == 0, root.stderr


def test_a_login_in_students_survives_a_login_in_legacy_and_back(site: Serving, users: None) -> None:
    browser = Browser(site)

    browser.login_to_students()
    browser.login_to_legacy()
    assert "ann" in browser.open("/students/")
    browser.login_to_students()
    assert "Log out" in browser.open("/legacy/admin/")
