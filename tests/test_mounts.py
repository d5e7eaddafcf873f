from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from werkzeug.test import Client, run_wsgi_app

from dispatcher.mounts import MountKey, MountTable, parse_key
from dispatcher.wsgi import MOUNT, StartResponse, WSGIApplication, WSGIEnvironment


def named(name: str) -> WSGIApplication:
    """An app that answers with its name and what it sees of the path."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{name}|{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode("latin-1")]

    return app


def table(*keys: str) -> MountTable:
    return MountTable(mounts={key: named(key) for key in keys})


def answer(app: WSGIApplication, path: str, **environ: Any) -> str:
    """The body for a path as it stands in `PATH_INFO`, or the status where it is not 200."""
    full: dict[str, Any] = {"PATH_INFO": path, "SCRIPT_NAME": "", **environ}
    setup_testing_defaults(full)
    body, status, _ = run_wsgi_app(app, full)
    text = b"".join(body).decode("latin-1")
    return text if status.startswith("200") else status


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/a", "/a|/a|", id="the mount point itself"),
        pytest.param("/a/", "/a|/a|/", id="with a slash"),
        pytest.param("/a/x/y", "/a|/a|/x/y", id="below it"),
        pytest.param("/a/b", "/a/b|/a/b|", id="longest prefix wins"),
        pytest.param("/a/b/c", "/a/b|/a/b|/c", id="below the longest prefix"),
        pytest.param("/a/bc", "/a|/a|/bc", id="whole segments in the nested mount"),
        pytest.param("/ab", "/||/ab", id="whole segments"),
        pytest.param("/", "/||/", id="default mount"),
        pytest.param("", "/||", id="empty path"),
        pytest.param("*", "/||*", id="OPTIONS *"),
        pytest.param("//a", "/||//a", id="a doubled slash in front is no prefix"),
        pytest.param("/a//x", "/a|/a|//x", id="a doubled slash behind stays"),
        pytest.param("/caf\xc3\xa9/x", "/caf\xe9|/caf\xc3\xa9|/x", id="non-ASCII, in the Latin-1 of PEP 3333"),
    ],
)
def test_longest_whole_segment_prefix_answers(path: str, expected: str) -> None:
    assert answer(table("/", "/a", "/a/b", "/café"), path) == expected


def test_order_of_the_mounts_does_not_matter() -> None:
    assert answer(table("/a/b", "/a", "/"), "/a/b/c") == answer(table("/", "/a", "/a/b"), "/a/b/c")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        pytest.param("example.com", "example.com/", id="that very host"),
        pytest.param("EXAMPLE.com:8000", "example.com/", id="case folded, port ignored"),
        pytest.param("example.com.", "example.com/", id="final dot"),
        pytest.param("evilexample.com", "/", id="no suffix match inside a label"),
        pytest.param("a.example.com", "*.example.com/", id="wildcard"),
        pytest.param("b.a.example.com", "*.example.com/", id="wildcard takes several labels"),
        pytest.param(".example.com", "/", id="an empty label is no host"),
        pytest.param("x.eu.example.com", "*.eu.example.com/", id="longest wildcard first"),
        pytest.param("[::1]:8000", "[::1]/", id="IPv6 literal"),
        pytest.param("bücher.example".encode("idna").decode(), "xn--bcher-kva.example/", id="IDN by its A-label"),
        pytest.param("", "/", id="empty host"),
        pytest.param("\xff\x00:[[", "/", id="rubbish"),
    ],
)
def test_host_chooses_the_mount(host: str, expected: str) -> None:
    keys = ("/", "example.com/", "*.example.com/", "*.eu.example.com/", "[::1]/", "bücher.example/")
    found = MountTable(mounts={key: named(str(parse_key(key))) for key in keys})

    assert answer(found, "/x", HTTP_HOST=host).split("|")[0] == expected


def test_a_host_falls_back_to_the_mounts_of_every_host() -> None:
    found = table("/", "example.com/a")

    assert answer(found, "/a", HTTP_HOST="example.com") == "example.com/a|/a|"
    assert answer(found, "/b", HTTP_HOST="example.com") == "/||/b"


def test_server_name_counts_where_there_is_no_host_header() -> None:
    environ: dict[str, Any] = {"PATH_INFO": "/", "SERVER_NAME": "example.com"}

    found = table("example.com/").match(environ)

    assert found is not None
    assert found.key == "example.com/"


def test_nothing_mounted_is_a_plain_404_that_names_no_mounts() -> None:
    response = Client(table("/secret-admin")).get("/elsewhere")

    assert response.status == "404 Not Found"
    assert response.text == "404 Not Found\n"


def test_the_callers_environ_keeps_what_the_client_asked_for() -> None:
    environ: dict[str, Any] = {"PATH_INFO": "/a/x", "SCRIPT_NAME": "/outer"}
    setup_testing_defaults(environ)
    before = dict(environ)

    body = table("/a")(environ, lambda status, headers, exc_info=None: lambda data: None)

    assert b"".join(body) == b"/a|/outer/a|/x"
    assert environ == {**before, MOUNT: "/a"}


def test_the_app_sees_the_key_of_its_mount() -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ[MOUNT].encode()]

    assert Client(MountTable(mounts={"/a/": app})).get("/a/x").text == "/a"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        pytest.param("/", MountKey("", ""), id="default"),
        pytest.param("/a/", MountKey("", "/a"), id="final slash"),
        pytest.param("Example.COM/", MountKey("example.com", ""), id="host case"),
        pytest.param("*.example.com/a", MountKey("*.example.com", "/a"), id="wildcard with prefix"),
        pytest.param("/with space", MountKey("", "/with space"), id="space"),
    ],
)
def test_keys_are_normalised(text: str, key: MountKey) -> None:
    assert parse_key(text) == key


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("todos", "a prefix starts with a slash, write '/todos'", id="no slash"),
        pytest.param("", "a prefix starts with a slash, write '/'", id="empty"),
        pytest.param("example.com", "a host is followed by a slash, write 'example.com/'", id="host alone"),
        pytest.param("http://example.com/a", "a key has no scheme, write 'example.com/a'", id="scheme"),
        pytest.param("example.com:80/", "the port is not looked at, write 'example.com/'", id="port"),
        pytest.param("*/a", "every host is meant when none is named, leave out '*'", id="star host"),
        pytest.param(
            "a.*.com/",
            "'a.*.com' is not a host name; '*' stands only in front, as in '*.example.com/'",
            id="inner star",
        ),
        pytest.param("/a//b", "an empty segment ('//') never matches, write one slash", id="doubled slash"),
        pytest.param("/a//", "an empty segment ('//') never matches, write one slash", id="doubled final slash"),
        pytest.param(
            "/a/../b",
            "clients resolve '.' and '..' before they ask, so this never matches; write the plain path",
            id="dot segments",
        ),
        pytest.param(
            "/caf%C3%A9", "paths are matched after decoding, write the character itself instead of '%C3'", id="percent"
        ),
        pytest.param("/a?b=1", "a query is no part of the path, leave out '?b=1'", id="query"),
        pytest.param("/a#b", "a fragment never reaches the server, leave out '#b'", id="fragment"),
        pytest.param("/a/*", "a mount answers everything below its prefix already, leave out '*'", id="star"),
        pytest.param(
            "/<name>",
            "a prefix is fixed text, variables belong into the app's routes, leave out '<name>'",
            id="variable",
        ),
        pytest.param("/a\nb", "a prefix has only printable characters", id="control character"),
    ],
)
def test_a_key_that_could_never_match_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_key(text)

    assert str(caught.value) == message


def test_two_keys_of_one_mount_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^'/a' and '/a/' are the same mount$"):
        table("/a", "/a/")


def test_a_flood_of_slashes_is_looked_up_no_deeper_than_the_deepest_mount() -> None:
    found = table("/", "/a", "/a/b/c")
    asked: list[str] = []

    class Recording(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            asked.append(key)
            return super().get(key, default)

    found._any_host._matches = Recording(found._any_host._matches)

    found.match({"PATH_INFO": "/" * 8000})

    assert asked == ["///", "//", "/", ""]


def test_the_table_keeps_wsgi_on_both_sides() -> None:
    body, status, _ = run_wsgi_app(validator(MountTable(mounts={"/a": validator(named("a"))})), _get("/a/x"))

    assert (status, b"".join(body)) == ("200 OK", b"a|/a|/x")
    body.close()  # type: ignore[attr-defined]  # the validator's iterator has one


def _get(path: str) -> dict[str, Any]:
    environ: dict[str, Any] = {"PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": ""}
    setup_testing_defaults(environ)
    return environ


# What werkzeug documents and tests of its DispatcherMiddleware, on the subclass.


def test_werkzeugs_example_holds() -> None:
    found = MountTable(named("null"), {"/test1": named("1"), "/test2/very": named("2")})
    expected = {
        "/": "null||/",
        "/test1": "1|/test1|",
        "/test1/asfd": "1|/test1|/asfd",
        "/test2/very": "2|/test2/very|",
        "/test2/very/long/path/after/script/name": "2|/test2/very|/long/path/after/script/name",
    }

    assert {path: answer(found, path) for path in expected} == expected
    assert set(found.mounts) == {"/test1", "/test2/very"}


def test_unlike_werkzeug_a_root_key_is_the_default() -> None:
    assert answer(MountTable(named("null"), {"/": named("root")}), "/x") == "root||/x"


def test_unlike_werkzeug_a_key_with_a_final_slash_matches() -> None:
    assert answer(MountTable(named("null"), {"/a/": named("a")}), "/a/x") == "a|/a|/x"
