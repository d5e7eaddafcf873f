"""Static files through WSGI: which URL is a file, what goes on to the app, and files that change while we run."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dispatcher.fields import Site
from dispatcher.middleware.static import Static
from dispatcher.staticfiles.folder import open_file
from dispatcher.staticfiles.representation import Representation
from dispatcher.wsgi import Headers, StartResponse, WSGIApplication, WSGIEnvironment, respond


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class ServerWrapper:
    """A server's own file wrapper: what a server tests for before it uses sendfile."""

    file: Any
    block_bytes: int = 8192
    close: Any = field(init=False)

    def __post_init__(self) -> None:
        self.close = self.file.close

    def __iter__(self) -> Any:
        return iter(lambda: self.file.read(self.block_bytes), b"")


def behind(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The app that gets what is no file: 404 and what it was asked."""
    return respond(environ, start_response, 404, f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")


def silent(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return respond(environ, start_response, 404)


def environ_of(path: str, method: str = "GET", **headers: str) -> WSGIEnvironment:
    environ: WSGIEnvironment = {"PATH_INFO": path, "REQUEST_METHOD": method, "SCRIPT_NAME": "", "QUERY_STRING": ""}
    environ.update({f"HTTP_{name}": value for name, value in headers.items()})
    setup_testing_defaults(environ)
    return environ


def call(app: WSGIApplication, environ: WSGIEnvironment) -> Reply:
    started: list[tuple[str, Headers]] = []

    def start_response(status: str, headers: Headers, exc_info: object = None, /) -> Callable[[bytes], object]:
        started.append((status, headers))
        return no_write

    body = app(environ, start_response)
    content = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    ((status, sent),) = started
    return Reply(int(status[:3]), dict(sent), content)


def no_write(data: bytes) -> object:
    raise NotImplementedError


def get(app: WSGIApplication, path: str, method: str = "GET", **headers: str) -> Reply:
    return call(validator(app), environ_of(path, method, **headers))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of files beside a secret: `site/…` and `secret.txt`."""
    folder = tmp_path / "site"
    (folder / "docs").mkdir(parents=True)
    (folder / ".well-known").mkdir()
    for name, text in {
        "a.txt": "hello world",
        "app.css": "a{}" * 1000,
        "empty.txt": "",
        "docs/index.html": "<h1>docs</h1>",
        ".env": "KEY=1",
        ".well-known/security.txt": "Contact: mailto:a@example.com",
        ".well-known/.hidden": "no",
        "naïve name.txt": "ï",
        "..txt": "two dots",
        "UPPER.TXT": "upper",
    }.items():
        (folder / name).write_text(text)
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "app.css.gz").write_bytes(gzip.compress(b"a{}" * 1000))
    (folder / "app.css.br").write_bytes(b"br")
    return folder


def serve(root: Path, **options: Any) -> Static:
    return Static(validator(behind), root=root, **options)


def latin(path: str) -> str:
    """`path` as it stands in PATH_INFO (PEP 3333)."""
    return path.encode().decode("latin-1")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("/static/a.txt", b"hello world", id="a file"),
        pytest.param("/static/empty.txt", b"", id="an empty file"),
        pytest.param("/static/docs/index.html", b"<h1>docs</h1>", id="a file in a folder"),
        pytest.param("/static/.well-known/security.txt", b"Contact: mailto:a@example.com", id="well-known"),
        pytest.param(latin("/static/naïve name.txt"), "ï".encode(), id="not ASCII, with a space"),
        pytest.param("/static/app.css.br", b"br", id="a compressed file by its own name"),
    ],
)
@pytest.mark.parametrize("wrapper", [None, FileWrapper, ServerWrapper], ids=["no wrapper", "wsgiref", "server"])
def test_a_file_is_sent_with_its_length(root: Path, path: str, body: bytes, wrapper: Any) -> None:
    environ = environ_of(path)
    if wrapper:
        environ["wsgi.file_wrapper"] = wrapper

    reply = call(validator(serve(root)), environ)

    assert (reply.status, reply.body, reply.headers["Content-Length"]) == (200, body, str(len(body)))


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/static", id="the prefix alone"),
        pytest.param("/static/", id="the folder"),
        pytest.param("/staticfile/a.txt", id="a longer segment"),
        pytest.param("/other", id="another path"),
        pytest.param("/static/nope.txt", id="no such file"),
        pytest.param("/static/docs", id="a folder"),
        pytest.param("/static/docs/", id="a folder with a slash"),
        pytest.param("/static/a.txt/", id="a file with a slash"),
        pytest.param("/static/a.txt/b", id="below a file"),
        pytest.param("/static/../secret.txt", id="up"),
        pytest.param("/static/docs/../a.txt", id="up and down again"),
        pytest.param("/static/./a.txt", id="a dot"),
        pytest.param("/static//a.txt", id="two slashes"),
        pytest.param("/static//etc/passwd", id="an absolute path"),
        pytest.param("/static/docs//index.html", id="two slashes below"),
        pytest.param("/static/..\\secret.txt", id="a backslash"),
        pytest.param("/static/%2e%2e/secret.txt", id="encoded twice"),
        pytest.param("/static/a.txt\x00.png", id="NUL"),
        pytest.param("/static/\xff\xfe", id="not UTF-8"),
        pytest.param("/static/\xc0\xae\xc0\xae/secret.txt", id="overlong dots"),
        pytest.param("/static/" + "x" * 5000, id="a very long name"),
        pytest.param("/static/" + "x/" * 5000 + "y", id="a very long path"),
        pytest.param("/static/.env", id="a dotfile"),
        pytest.param("/static/.well-known/.hidden", id="a dotfile in well-known"),
        pytest.param("/static/docs/.well-known/x", id="well-known elsewhere"),
        pytest.param("/static/..txt", id="a name of two dots"),
        pytest.param("/static/upper.txt", id="another case"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_no_file_goes_on_to_the_app(root: Path, path: str, method: str) -> None:
    reply = get(serve(root), path, method)

    assert reply.status == 404
    assert reply.body.decode() == f"{method} {path}"


@pytest.mark.parametrize("path", ["", "/static/\udcff", "/static/日本"], ids=["empty", "a surrogate", "not Latin-1"])
def test_a_path_that_no_server_should_send_goes_on_too(root: Path, path: str) -> None:
    assert call(Static(silent, root=root), environ_of(path)).status == 404


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from(["..", ".", "/", "\\", "\0", "a.txt", "docs", "secret.txt", "%2e", "\xff", ""])))
def test_no_path_leaves_the_folder(root: Path, parts: list[str]) -> None:
    for trusting in (False, True):
        app = Static(silent, root=root, url="/", dotfiles=trusting, index=trusting, follow_links=trusting)

        reply = call(app, environ_of("/" + "/".join(parts)))

        assert reply.status in (200, 302, 404)
        assert b"secret" not in reply.body


@pytest.mark.parametrize(
    ("options", "path", "status"),
    [
        pytest.param({"dotfiles": True}, "/static/.env", 200, id="dotfiles"),
        pytest.param({"dotfiles": True}, "/static/..txt", 200, id="dotfiles: a name of two dots"),
        pytest.param({"dotfiles": True}, "/static/../secret.txt", 404, id="dotfiles: never up"),
        pytest.param({"index": True}, "/static/docs/", 200, id="index"),
        pytest.param({"index": True}, "/static/", 404, id="index: a folder without one"),
        pytest.param({"url": "/"}, "/a.txt", 200, id="at the root"),
        pytest.param({"url": "/"}, "/elsewhere", 404, id="at the root: the app has the rest"),
        pytest.param({"url": "files//x/"}, "/files/x/a.txt", 200, id="a URL with odd slashes"),
        pytest.param({"url": "/café"}, latin("/café/a.txt"), 200, id="a URL that is not ASCII"),
    ],
)
def test_options_decide_what_is_served(root: Path, options: dict[str, Any], path: str, status: int) -> None:
    assert get(serve(root, **options), path).status == status


@pytest.mark.parametrize(
    ("path", "location"),
    [("/static/docs", "docs/"), ("/static/docs/index.html", "./"), ("/static", "static/")],
    ids=["a folder without its slash", "its index page by name", "the whole"],
)
def test_an_index_page_has_one_url(root: Path, path: str, location: str) -> None:
    (root / "index.html").write_text("top")
    app = serve(root, index=True)

    reply = get(app, path)

    assert (reply.status, reply.headers["Location"]) == (302, location)
    assert get(app, path, "POST").status == 404


def test_links_inside_the_folder_are_followed_and_others_are_not(root: Path) -> None:
    (root / "inside.txt").symlink_to("a.txt")
    (root / "outside.txt").symlink_to(root.parent / "secret.txt")
    (root / "up").symlink_to(root.parent)
    app, trusting = serve(root), serve(root, follow_links=True)

    assert get(app, "/static/inside.txt").body == b"hello world"
    assert [get(app, path).status for path in ("/static/outside.txt", "/static/up/secret.txt")] == [404, 404]
    assert get(trusting, "/static/outside.txt").body == b"secret"


def test_a_loop_of_links_harms_nothing(root: Path) -> None:
    (root / "self").symlink_to("self")
    (root / "here").symlink_to(".")
    app = serve(root)

    assert get(app, "/static/self").status == 404
    assert get(app, "/static/here/here/a.txt").body == b"hello world"


def test_a_compressed_sibling_outside_is_not_sent(root: Path) -> None:
    (root.parent / "out.gz").write_bytes(b"x")
    (root / "a.txt.gz").symlink_to(root.parent / "out.gz")

    assert get(serve(root), "/static/a.txt", ACCEPT_ENCODING="gzip").body == b"hello world"


@pytest.mark.timeout(10)
def test_what_is_no_regular_file_is_never_opened(root: Path) -> None:
    os.mkfifo(root / "fifo")
    (root / "null").symlink_to("/dev/null")

    replies = [get(serve(root, follow_links=True), f"/static/{name}") for name in ("fifo", "null")]

    assert [reply.status for reply in replies] == [404, 404]


@pytest.mark.parametrize(
    ("accept", "encoding", "tag_end"),
    [("br, gzip", "br", '-br"'), ("gzip", "gzip", '-gzip"'), ("gzip;q=0", None, '-bb8"'), ("", None, '-bb8"')],
    ids=["br", "gzip", "gzip refused", "no header"],
)
def test_a_compressed_sibling_is_negotiated(root: Path, accept: str, encoding: str | None, tag_end: str) -> None:
    reply = get(serve(root), "/static/app.css", ACCEPT_ENCODING=accept)

    assert reply.headers.get("Content-Encoding") == encoding
    assert reply.headers["Content-Type"].startswith("text/css")
    assert reply.headers["Vary"] == "Accept-Encoding"
    assert reply.headers["ETag"].endswith(tag_end)
    assert len(reply.body) == int(reply.headers["Content-Length"])


def test_a_sibling_that_is_older_or_larger_than_its_file_is_not_sent(root: Path) -> None:
    os.utime(root / "app.css.br", (1, 1))
    (root / "app.css.gz").write_bytes(b"x" * 5000)

    reply = get(serve(root), "/static/app.css", ACCEPT_ENCODING="br, gzip")

    assert "Content-Encoding" not in reply.headers
    assert "Vary" not in reply.headers


def test_head_is_get_without_the_body(root: Path) -> None:
    app = serve(root)
    full, head = (get(app, "/static/app.css", method, ACCEPT_ENCODING="gzip") for method in ("GET", "HEAD"))

    assert (head.status, head.headers, head.body) == (200, full.headers, b"")


def test_a_304_has_no_content_headers(root: Path) -> None:
    app = serve(root, headers={"Content-Language": "en", "Link": "<x>"})
    tag = get(app, "/static/a.txt").headers["ETag"]

    reply = get(app, "/static/a.txt", IF_NONE_MATCH=tag)

    assert (reply.status, reply.body) == (304, b"")
    assert set(reply.headers) == {"ETag", "Cache-Control", "X-Content-Type-Options", "Link"}


@pytest.mark.parametrize(
    ("value", "body", "place"),
    [
        ("bytes=0-0", b"h", "0-0"),
        ("bytes=-1", b"d", "10-10"),
        ("bytes=6-", b"world", "6-10"),
        ("bytes=2-4", b"llo", "2-4"),
    ],
)
@pytest.mark.parametrize("wrapper", [None, ServerWrapper], ids=["no wrapper", "wrapper"])
def test_a_range_is_sent(root: Path, value: str, body: bytes, place: str, wrapper: Any) -> None:
    environ = environ_of("/static/a.txt", RANGE=value)
    if wrapper:
        environ["wsgi.file_wrapper"] = wrapper

    reply = call(validator(serve(root)), environ)

    assert (reply.status, reply.body) == (206, body)
    assert reply.headers["Content-Range"] == f"bytes {place}/11"
    assert reply.headers["Content-Length"] == str(len(body))


def test_a_range_outside_the_file_says_how_long_it_is(root: Path) -> None:
    reply = get(serve(root), "/static/a.txt", RANGE="bytes=11-")

    assert (reply.status, reply.headers["Content-Range"]) == (416, "bytes */11")


def test_a_file_refuses_other_methods_and_says_which_it_knows(root: Path) -> None:
    app = serve(root)
    posted, options = get(app, "/static/a.txt", "POST"), get(app, "/static/a.txt", "OPTIONS")

    assert (posted.status, posted.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert (options.status, options.headers) == (204, {"Allow": "GET, HEAD, OPTIONS"})


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        pytest.param({}, "Cache-Control", "max-age=60, public", id="a minute by default"),
        pytest.param({"max_age": 3600.0}, "Cache-Control", "max-age=3600, public", id="an hour"),
        pytest.param({"max_age": 0}, "Cache-Control", "no-cache", id="no seconds"),
        pytest.param({"max_age": None}, "Cache-Control", "no-cache", id="as Flask does"),
        pytest.param(
            {"immutable": r"^/static/a\."}, "Cache-Control", "max-age=315360000, public, immutable", id="immutable"
        ),
        pytest.param({"headers": {"Cache-Control": "private"}}, "Cache-Control", "private", id="an own header wins"),
        pytest.param({}, "Access-Control-Allow-Origin", None, id="no origin by default"),
        pytest.param({"allow_origin": "*"}, "Access-Control-Allow-Origin", "*", id="any origin"),
        pytest.param({}, "X-Content-Type-Options", "nosniff", id="no sniffing"),
        pytest.param({}, "Content-Type", 'text/plain; charset="utf-8"', id="utf-8 by default"),
        pytest.param({"charset": "latin-1"}, "Content-Type", 'text/plain; charset="latin-1"', id="a charset"),
        pytest.param({"media_types": {".TXT": "application/x"}}, "Content-Type", "application/x", id="a media type"),
    ],
)
def test_headers_follow_the_options(root: Path, options: dict[str, Any], name: str, value: str | None) -> None:
    assert get(serve(root, **options), "/static/a.txt").headers.get(name) == value


def test_an_own_vary_is_kept_beside_ours(root: Path) -> None:
    reply = get(serve(root, headers={"Vary": "Origin"}), "/static/app.css")

    assert reply.headers["Vary"] == "Origin, Accept-Encoding"


def test_a_file_changed_in_place_is_sent_as_it_is(root: Path) -> None:
    app = serve(root, clock=Clock())
    before = get(app, "/static/a.txt")
    (root / "a.txt").write_text("longer than it was")

    after = get(app, "/static/a.txt", IF_NONE_MATCH=before.headers["ETag"])

    assert (after.status, after.body) == (200, b"longer than it was")
    assert after.headers["Content-Length"] == "18"
    assert after.headers["ETag"] != before.headers["ETag"]


def test_a_file_replaced_by_a_rename_is_sent_anew(root: Path) -> None:
    app = serve(root, clock=Clock())
    get(app, "/static/a.txt")
    (root / "new").write_text("new")
    (root / "new").replace(root / "a.txt")

    assert get(app, "/static/a.txt").body == b"new"


@pytest.mark.parametrize("headers", [{}, {"IF_NONE_MATCH": '"x"'}, {"IF_NONE_MATCH": "*"}], ids=["get", "tag", "any"])
def test_a_deleted_file_is_the_apps_affair_at_once(root: Path, headers: dict[str, str]) -> None:
    app = serve(root, clock=Clock())
    get(app, "/static/a.txt")
    (root / "a.txt").unlink()

    assert get(app, "/static/a.txt", **headers).status == 404


def test_a_file_that_becomes_a_folder_or_an_outside_link_is_not_sent(root: Path) -> None:
    app = serve(root, clock=Clock())
    get(app, "/static/a.txt"), get(app, "/static/empty.txt")
    for name in ("a.txt", "empty.txt"):
        (root / name).unlink()
    (root / "a.txt").mkdir()
    (root / "empty.txt").symlink_to(root.parent / "secret.txt")

    assert [get(app, f"/static/{name}").status for name in ("a.txt", "empty.txt")] == [404, 404]


@pytest.mark.timeout(10)
def test_a_file_that_becomes_a_fifo_stops_nobody(root: Path) -> None:
    app = serve(root, clock=Clock())
    get(app, "/static/a.txt")
    (root / "a.txt").unlink()
    os.mkfifo(root / "a.txt")

    assert get(app, "/static/a.txt").status == 404


def test_a_new_file_and_a_new_folder_appear(tmp_path: Path) -> None:
    app = serve(tmp_path / "later", clock=Clock())
    assert get(app, "/static/new.txt").status == 404
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "new.txt").write_text("here")

    assert get(app, "/static/new.txt").body == b"here"


def test_a_new_sibling_is_seen_within_a_second(root: Path) -> None:
    clock = Clock()
    app = serve(root, clock=clock)
    get(app, "/static/a.txt", ACCEPT_ENCODING="gzip")
    (root / "a.txt.gz").write_bytes(b"gz")
    clock.now = 1.0

    assert get(app, "/static/a.txt", ACCEPT_ENCODING="gzip").body == b"gz"


def test_a_deleted_sibling_is_done_without(root: Path) -> None:
    app = serve(root, clock=Clock())
    get(app, "/static/app.css", ACCEPT_ENCODING="gzip")
    (root / "app.css.gz").unlink()

    reply = get(app, "/static/app.css", ACCEPT_ENCODING="gzip")

    assert (reply.status, len(reply.body)) == (200, 3000)


def test_a_root_that_is_a_link_may_be_turned(root: Path, tmp_path: Path) -> None:
    clock = Clock()
    current = tmp_path / "current"
    current.symlink_to(root)
    app = serve(current, clock=clock)
    get(app, "/static/a.txt")
    (tmp_path / "next").mkdir()
    (tmp_path / "next" / "a.txt").write_text("next release")
    current.unlink()
    current.symlink_to("next")
    clock.now = 1.0

    assert get(app, "/static/a.txt").body == b"next release"


@pytest.mark.parametrize(
    ("error", "status"),
    [(PermissionError(13, "Permission denied"), 403), (OSError(24, "Too many open files"), 503)],
    ids=["not readable", "no descriptors left"],
)
def test_a_file_that_cannot_be_opened_is_no_404(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: OSError,
    status: int,
) -> None:
    app = serve(root)

    def refuse(*_: object) -> int:
        raise error

    monkeypatch.setattr("dispatcher.staticfiles.folder.os.open", refuse)
    reply = get(app, "/static/a.txt")
    monkeypatch.undo()

    assert reply.status == status
    assert caplog.messages == [f"'/static/a.txt' cannot be read: {error.strerror}"]


def test_the_server_gets_the_file_itself_up_to_its_end(root: Path) -> None:
    whole, tail = environ_of("/static/a.txt"), environ_of("/static/a.txt", RANGE="bytes=6-")
    bodies = []
    for environ in (whole, tail):
        environ["wsgi.file_wrapper"] = ServerWrapper
        body = serve(root)(environ, lambda *_: lambda data: None)
        assert isinstance(body, ServerWrapper)
        assert isinstance(body.file, io.FileIO)
        bodies.append((body.file.tell(), body.file.read()))
        body.close()
        assert body.file.closed

    assert bodies == [(0, b"hello world"), (6, b"world")]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    "headers",
    [{}, {"IF_NONE_MATCH": '"x"'}, {"IF_MATCH": '"x"'}, {"RANGE": "bytes=99-"}, {"RANGE": "bytes=1-2"}],
    ids=["plain", "changed", "412", "416", "206"],
)
def test_every_file_that_is_opened_is_closed(
    root: Path, monkeypatch: pytest.MonkeyPatch, method: str, headers: dict[str, str]
) -> None:
    opened: list[io.FileIO] = []
    monkeypatch.setattr("dispatcher.staticfiles.answer.open_file", keeping(opened))

    get(serve(root), "/static/a.txt", method, **headers)

    assert [file.closed for file in opened] == [True]


def test_a_file_is_closed_where_the_server_fails(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[io.FileIO] = []
    monkeypatch.setattr("dispatcher.staticfiles.answer.open_file", keeping(opened))

    def start_response(*_: object) -> Any:
        raise RuntimeError("the server is gone")

    with pytest.raises(RuntimeError, match="the server is gone"):
        serve(root)(environ_of("/static/a.txt"), start_response)

    assert [file.closed for file in opened] == [True]


def keeping(opened: list[io.FileIO]) -> Callable[[Representation], tuple[io.FileIO, Representation]]:
    def open_and_keep(known: Representation) -> tuple[io.FileIO, Representation]:
        file, facts = open_file(known)
        opened.append(file)
        return file, facts

    return open_and_keep


def test_the_urls_that_are_remembered_are_bounded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatcher.staticfiles.folder._MOST_REMEMBERED", 3)
    (root / "here").symlink_to(".")
    app = serve(root)

    for depth in range(10):
        assert get(app, "/static/" + "here/" * depth + "a.txt").status == 200

    assert len(app._folder._known) <= 3


def test_it_works_inside_a_mount(root: Path) -> None:
    environ = environ_of("/static/docs")
    environ["SCRIPT_NAME"] = "/todos"

    reply = call(validator(serve(root, index=True)), environ)

    assert reply.headers["Location"] == "docs/"


def read(options: dict[str, Any], site: Path) -> Static.Options:
    return Static.Options.model_validate(options, context={"site": Site(site, site / "run")})


def test_options_have_defaults_and_are_the_constructors_names(root: Path) -> None:
    options = read({"root": "site"}, root.parent)

    assert (options.url, options.root, options.max_age) == ("/static", root, 60.0)
    assert get(Static(behind, **dict(options)), "/static/a.txt").status == 200


@pytest.mark.parametrize(("url", "expected"), [("files/", "/files"), ("//a//b/", "/a/b"), ("/", "/"), ("", "/")])
def test_a_url_is_normalised(root: Path, url: str, expected: str) -> None:
    assert read({"root": "site", "url": url}, root.parent).url == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"root": "nope"}, "{site}/nope: no such folder", id="no folder"),
        pytest.param({"root": "secret.txt"}, "{site}/secret.txt: not a folder", id="a file"),
        pytest.param(
            {"root": "."},
            "{site}: holds the config file, which would be published; name a folder of its own",
            id="the site itself",
        ),
        pytest.param(
            {"root": "/"},
            "/: holds the config file, which would be published; name a folder of its own",
            id="a folder above the site",
        ),
        pytest.param(
            {"url": "/a/../b"}, "expected a URL path such as /static, written without %, ? and #", id="a URL with .."
        ),
        pytest.param(
            {"url": "/a%20b"}, "expected a URL path such as /static, written without %, ? and #", id="an encoded URL"
        ),
        pytest.param(
            {"immutable": "("},
            "not a regular expression: missing ), unterminated subpattern at position 0",
            id="no expression",
        ),
        pytest.param({"headers": {"A B": "x"}}, "'A B': no name for a header", id="a bad header name"),
        pytest.param(
            {"headers": {"content-length": "5"}}, "'content-length': is set for each file by itself", id="the length"
        ),
        pytest.param({"headers": {"Connection": "x"}}, "'Connection': is set for each file by itself", id="hop by hop"),
        pytest.param(
            {"headers": {"X": "a\r\nb"}}, "'X': its value is not one line of Latin-1 text", id="two lines in a header"
        ),
        pytest.param({"charset": "utf 8"}, "expected the name of a character encoding such as utf-8", id="charset"),
        pytest.param(
            {"allow_origin": "example.com"}, "expected * or one origin such as https://www.example.com", id="origin"
        ),
    ],
)
def test_a_wrong_option_says_what_is_wrong(root: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read({"root": "site", **options}, root.parent)

    assert [error["msg"] for error in caught.value.errors()] == [message.format(site=root.parent)]


def test_the_options_have_a_schema() -> None:
    assert set(Static.Options.model_json_schema()["properties"]) == set(Static.Options.model_fields)
