"""One true line for every request, whatever the app, the server and the client do."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dispatcher.fields import Site
from dispatcher.middleware import access_log
from dispatcher.middleware.access_log import AccessLog
from dispatcher.wsgi import MOUNT, REQUEST_ID, ExcInfo, Headers, StartResponse, Write, WSGIApplication, WSGIEnvironment

PLAIN = [("Content-Type", "text/plain")]
FIELDS = "{method} {path} {status} {bytes} {outcome}"

Lines = list[str]


class FakeLog:
    """A `LogFile` that keeps its lines, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.lines: Lines = []
        self._error = error

    def __call__(self, path: Path, **options: Any) -> FakeLog:
        return self

    def write(self, line: bytes) -> None:
        if self._error:
            raise self._error
        self.lines.append(line.decode())


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    """What is logged, in place of a file."""
    log = FakeLog()
    monkeypatch.setattr(access_log, "LogFile", log)
    return log.lines


def ticks(*times: float) -> Callable[[], float]:
    return iter(times).__next__


def ask(app: WSGIApplication, **environ: Any) -> bytes:
    """What a client gets from `app` for one request."""
    given: WSGIEnvironment = {"QUERY_STRING": "", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "10.0.0.1", **environ}
    setup_testing_defaults(given)
    sent: list[bytes] = []

    def start(status: str, headers: Headers, exc_info: ExcInfo | None = None, /) -> Write:
        return sent.append

    body = app(given, start)
    try:
        sent.extend(body)
    finally:
        getattr(body, "close", lambda: None)()
    return b"".join(sent)


def list_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", list(PLAIN))
    return [b"one", b"two"]


def generator_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("201 Created", list(PLAIN))
    yield b"one"
    yield b"two"


def writing_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("202 Accepted", list(PLAIN))(b"written")
    return [b"more"]


def raising_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    raise LookupError("lost")


def raising_generator_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", list(PLAIN))
    yield b"part"
    raise LookupError("lost")


@pytest.mark.parametrize(
    ("app", "body", "line"),
    [
        (list_app, b"onetwo", "GET / 200 6 ok\n"),
        (generator_app, b"onetwo", "GET / 201 6 ok\n"),
        (writing_app, b"writtenmore", "GET / 202 11 ok\n"),
    ],
    ids=["list", "generator", "write()"],
)
def test_every_kind_of_app_passes_unchanged_and_is_recorded(
    app: WSGIApplication, body: bytes, line: str, lines: Lines
) -> None:
    assert ask(validator(AccessLog(validator(app), format=FIELDS))) == body
    assert lines == [line]


@pytest.mark.parametrize(
    ("app", "line"),
    [(raising_app, "GET / 500 0 error\n"), (raising_generator_app, "GET / 200 4 error\n")],
    ids=["before the body", "in the body"],
)
def test_what_an_app_raises_is_recorded_and_goes_on(app: WSGIApplication, line: str, lines: Lines) -> None:
    with pytest.raises(LookupError, match=r"^lost$"):
        ask(validator(AccessLog(validator(app), format=FIELDS)))

    assert lines == [line]


def test_a_client_that_has_gone_is_recorded(lines: Lines) -> None:
    environ: WSGIEnvironment = {"REQUEST_METHOD": "GET", "RAW_URI": "/"}
    body = AccessLog(generator_app, format=FIELDS)(environ, lambda *args: lambda data: None)

    next(iter(body))
    body.close()  # type: ignore[attr-defined]

    assert lines == ["GET / 201 0 client_gone\n"]


def test_the_default_format_is_combined(lines: Lines) -> None:
    at = dt.datetime(2000, 10, 10, 13, 55, 36, tzinfo=dt.UTC).timestamp()
    local = dt.datetime.fromtimestamp(at).astimezone()

    ask(
        AccessLog(list_app, now=lambda: at),
        RAW_URI="/a?b=1",
        REMOTE_USER="frank",
        HTTP_REFERER="https://example.com/",
        HTTP_USER_AGENT="Mozilla/4.08",
    )

    assert lines == [
        f'10.0.0.1 - frank [{local:%d}/Oct/2000:{local:%H:%M:%S %z}] "GET /a?b=1 HTTP/1.1" 200 6 '
        '"https://example.com/" "Mozilla/4.08"\n'
    ]


def test_mount_request_id_and_user_are_what_the_inner_apps_made_them(lines: Lines) -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ.update({MOUNT: "/café", REQUEST_ID: "abc", "REMOTE_USER": "ann"})
        return list_app(environ, start_response)

    ask(AccessLog(app, format="json", clock=ticks(5.0, 5.25)), HTTP_HOST="example.com:8000", HTTP_USER_AGENT="a\x85b")

    record = json.loads(lines[0])
    assert record["mount"] == "/café"
    assert record["request_id"] == "abc"
    assert record["user"] == "ann"
    assert record["duration"] == 0.25
    assert record["host"] == "example.com:8000"
    assert record["user_agent"] == r"a\x85b"


def test_the_duration_goes_to_the_close_of_the_body(lines: Lines) -> None:
    now = [1.0]

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield b"one"
        now[0] = 3.5

    ask(AccessLog(app, format="{duration} {duration_ms}", clock=lambda: now[0]))

    assert lines == ["2.500000 2500.000\n"]


def test_a_user_that_a_client_only_claims_is_not_logged(lines: Lines) -> None:
    ask(AccessLog(list_app, format="{user}"), HTTP_AUTHORIZATION="Basic c2tfbGl2ZTo=")

    assert lines == ["-\n"]


def test_on_a_unix_socket_there_is_no_client(lines: Lines) -> None:
    ask(AccessLog(list_app, format="{client}"), REMOTE_ADDR="")

    assert lines == ["-\n"]


@pytest.mark.parametrize("form", ["combined", "json", '{path} "{referer}"'])
def test_secrets_are_hidden_in_path_and_referer_in_every_format(form: str, lines: Lines) -> None:
    ask(
        AccessLog(list_app, format=form, redact=["ticket"]),
        RAW_URI="/a?token=s3cret&ticket=s3cret",
        HTTP_REFERER="https://u:s3cret@h/?%70assword=s3cret",
    )

    [line] = lines
    assert "s3cret" not in line
    assert "/a?token=[redacted]&ticket=[redacted]" in line
    assert "https://[redacted]@h/?%70assword=[redacted]" in line


def test_common_has_no_referer_and_hides_secrets_too(lines: Lines) -> None:
    ask(AccessLog(list_app, format="common"), RAW_URI="/a?token=s3cret", HTTP_REFERER="https://u:s3cret@h/")

    assert '"GET /a?token=[redacted] HTTP/1.1" 200 6\n' in lines[0]


def test_excluded_paths_leave_no_record(lines: Lines) -> None:
    app = AccessLog(list_app, format="{path}", exclude=["/health", "/static/*", "/café*"])

    for path in ("/health", "/healthy", "/static/a/b", "/static", "/caf\xc3\xa9/x", "/Health"):
        assert ask(app, PATH_INFO=path) == b"onetwo"
    ask(app, SCRIPT_NAME="/static", PATH_INFO="/x")

    assert lines == ["/healthy\n", "/static\n", "/Health\n"]


def test_a_log_that_fails_never_fails_the_response(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(access_log, "LogFile", FakeLog(OSError(28, "No space left on device")))

    with caplog.at_level(logging.WARNING):
        assert ask(AccessLog(list_app)) == b"onetwo"

    assert caplog.messages == [
        "a record of the access log could not be written: OSError(28, 'No space left on device')"
    ]


def test_a_log_that_fails_never_hides_what_the_app_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "LogFile", FakeLog(ZeroDivisionError()))

    with pytest.raises(LookupError, match=r"^lost$"):
        ask(AccessLog(raising_app))


def test_a_user_that_an_app_sets_to_something_else_than_text_is_recorded(lines: Lines) -> None:
    ask(AccessLog(list_app, format="{user} {status}"), REMOTE_USER=7)

    assert lines == ["7 200\n"]


def test_an_environ_that_cannot_be_recorded_never_fails_the_response(
    lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    assert ask(AccessLog(list_app), HTTP_USER_AGENT=b"bytes") == b"onetwo"

    assert lines == []
    assert caplog.messages == [
        "a record of the access log could not be written: TypeError('first argument must be a string, not bytes')"
    ]


@pytest.fixture(scope="module")
def shared() -> tuple[Lines, WSGIApplication]:
    log = FakeLog()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access_log, "LogFile", log)
        return log.lines, AccessLog(list_app)


@given(values=st.lists(st.text(st.characters(max_codepoint=255), max_size=40), min_size=6, max_size=6))
def test_whatever_a_client_sends_is_one_line(values: list[str], shared: tuple[Lines, WSGIApplication]) -> None:
    written, app = shared
    names = ("RAW_URI", "HTTP_REFERER", "HTTP_USER_AGENT", "REQUEST_METHOD", "SERVER_PROTOCOL", "REMOTE_USER")
    written.clear()

    ask(app, **dict(zip(names, values, strict=True)))

    [line] = written
    assert line.endswith("\n")
    assert line[:-1].isascii()
    assert line[:-1].isprintable()


def options(**given: Any) -> AccessLog.Options:
    return AccessLog.Options.model_validate(given, context={"site": Site(Path("/site"), Path("/run/site"))})


@pytest.mark.parametrize(
    ("given", "file"),
    [({}, "/site/logs/access.log"), ({"file": "a.log"}, "/site/a.log"), ({"file": "/b.log"}, "/b.log")],
    ids=["default", "relative", "absolute"],
)
def test_the_file_stands_in_the_sites_folder(given: dict[str, str], file: str) -> None:
    assert options(**given).file == Path(file)


def test_a_hyphen_is_standard_output() -> None:
    reader, writer = os.pipe()
    saved = os.dup(1)
    os.dup2(writer, 1)
    try:
        ask(AccessLog(list_app, **dict(options(file="-", format=FIELDS))))
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(writer)

    assert os.read(reader, 100) == b"GET / 200 6 ok\n"
    os.close(reader)


def test_the_file_is_made_with_the_first_record_and_rotated(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "access.log"
    app = AccessLog(list_app, file=file, format="{path}", max_bytes=8, backups=1)

    assert not file.parent.exists()
    for path in ("/1", "/2", "/3"):
        ask(app, PATH_INFO=path)

    assert file.read_text() == "/3\n"
    assert (tmp_path / "logs" / "access.log.1").read_text() == "/1\n/2\n"


def test_a_log_made_before_a_fork_is_written_by_all_processes(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    app = AccessLog(list_app, file=file, format="{path}")
    ask(app, PATH_INFO="/parent")

    for number in range(3):
        if not (child := os.fork()):
            ask(app, PATH_INFO=f"/child{number}")
            os._exit(0)
        os.waitpid(child, 0)

    assert file.read_text().split() == ["/parent", "/child0", "/child1", "/child2"]


def test_a_buffer_holds_records_back_until_it_is_full(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    app = AccessLog(list_app, file=file, format="{path}", buffer=8, flush=3600)

    ask(app, PATH_INFO="/1")
    ask(app, PATH_INFO="/2")
    assert not file.exists()

    ask(app, PATH_INFO="/3")
    assert file.read_text().startswith("/1\n/2\n")  # the watching thread may have written the third by now


def test_options_are_the_constructors_arguments() -> None:
    given = dict(options(max_bytes="1MB", when="midnight", at="03:30", compress="gzip", buffer="64KB", flush="500ms"))

    assert given == {
        "file": Path("/site/logs/access.log"),
        "format": "combined",
        "max_bytes": 1_000_000,
        "backups": 10,
        "when": "midnight",
        "at": dt.time(3, 30),
        "compress": "gzip",
        "buffer": 64_000,
        "flush": 0.5,
        "redact": (),
        "exclude": (),
    }


PARAMETER = "expected the name of a parameter such as ticket, *_id or !code"
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "format": ({"format": "combind"}, "unknown format 'combind', did you mean 'combined'?"),
    "template": ({"format": "{clent}"}, "unknown field {clent}, did you mean 'client'?"),
    "exclude": ({"exclude": ["health"]}, "expected a path such as /health, or with *, as /static/*"),
    "empty name": ({"redact": [""]}, PARAMETER),
    "brackets in a name": ({"redact": ["a[b]"]}, PARAMETER),
    "size": ({"max_bytes": "big"}, "expected a size such as 50MB, 64KiB or a number of bytes"),
    "flush": ({"flush": 0}, "Input should be greater than 0"),
}


def test_globs_are_taken_as_they_are() -> None:
    given = options(exclude=["/health", "*.png"], redact=["ticket", "*_ref", "!code", "!*"])

    assert given.exclude == ("/health", "*.png")
    assert given.redact == ("ticket", "*_ref", "!code", "!*")


@pytest.mark.parametrize(("given", "message"), REFUSED.values(), ids=REFUSED)
def test_an_option_that_cannot_work_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        options(**given)

    assert [problem["msg"] for problem in raised.value.errors()] == [message]
