from __future__ import annotations

import errno
import gc
import io
import logging
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest

from dispatcher.guard import Guard, ResponseCutError
from dispatcher.wsgi import REQUEST_ID, ExcInfo, Headers, StartResponse, Write, WSGIApplication, WSGIEnvironment


class Server:
    """A server in ten lines: what it got of one response; as strict as PEP 3333 about the order of things."""

    def __init__(self) -> None:
        self.started: list[tuple[str, dict[str, str], bool]] = []
        self.sent = b""

    def start_response(self, status: str, headers: Headers, exc_info: ExcInfo | None = None, /) -> Write:
        assert not self.started, "headers already sent"
        self.started.append((status, dict(headers), exc_info is not None))
        return self.write

    def write(self, data: bytes) -> None:
        assert self.started, "write() before start_response()"
        self.sent += data

    def get(self, app: WSGIApplication, method: str = "GET", **extra: Any) -> Iterable[bytes]:
        environ: WSGIEnvironment = {
            "REQUEST_METHOD": method,
            "PATH_INFO": "/x",
            "SCRIPT_NAME": "",
            "QUERY_STRING": "",
            **extra,
        }
        setup_testing_defaults(environ)
        body = app(environ, self.start_response)
        try:
            for chunk in body:
                self.write(chunk)
        finally:
            if hasattr(body, "close"):
                body.close()
        assert self.started, "start_response was never called"
        return body


def records(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def raising(error: BaseException) -> WSGIApplication:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        raise error

    return app


def raising_in_its_body(error: BaseException, *chunks: bytes) -> WSGIApplication:
    class Chunks:
        def __init__(self) -> None:
            self._chunks = iter(chunks)

        def __iter__(self) -> Iterator[bytes]:
            return self

        def __next__(self) -> bytes:
            for chunk in self._chunks:
                return chunk
            raise error

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", "9")])
        return Chunks()

    return app


ERRORS = [
    ValueError("secret detail"), FileNotFoundError(errno.ENOENT, "secret detail"), ConnectionRefusedError("refused"),
    ConnectionResetError(errno.ECONNRESET, "reset"), TimeoutError("late"), BrokenPipeError(errno.EPIPE, "pipe"),
    StopIteration("stop"), GeneratorExit("exit"), SystemExit(3), KeyboardInterrupt(), MemoryError(), RecursionError(),
    AssertionError("assert"), BaseException("base"),
]  # fmt: skip


@pytest.fixture
def _served(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a worker, SIGINT is the server's: a KeyboardInterrupt is not somebody at the keyboard."""
    before = signal.signal(signal.SIGINT, lambda *args: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_served")
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_whatever_an_app_raises_is_one_500_and_one_record(error: BaseException, caplog: Any) -> None:
    server = Server()

    server.get(Guard(raising(error)), **{REQUEST_ID: "abc"})

    text = b"500 Internal Server Error\nrequest id: abc\n"
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(text)),
        "Cache-Control": "no-store",
    }
    assert server.started == [("500 Internal Server Error", headers, True)]
    assert server.sent == text
    assert records(caplog) == [f"GET '/x' failed with {type(error).__name__} (request id abc)"]
    assert caplog.records[0].exc_info[1] is error


@pytest.mark.usefixtures("_served")
@pytest.mark.parametrize(
    "error", [one for one in ERRORS if not isinstance(one, StopIteration)], ids=lambda error: type(error).__name__
)
def test_a_body_that_raises_before_its_first_chunk_is_a_500_without_the_apps_headers(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server()

    server.get(Guard(raising_in_its_body(error)))

    assert server.started[0][0] == "500 Internal Server Error"
    assert server.started[0][1]["Content-Length"] == str(len(server.sent))
    assert len(caplog.records) == 1


@pytest.mark.usefixtures("_served")
@pytest.mark.parametrize(
    "error", [one for one in ERRORS if not isinstance(one, StopIteration)], ids=lambda error: type(error).__name__
)
def test_a_body_that_raises_after_its_first_chunk_is_cut_off_with_one_record(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server()

    with pytest.raises(ResponseCutError) as cut:
        server.get(Guard(Guard(raising_in_its_body(error, b"one"))))

    assert cut.value.errno == errno.EPIPE
    assert (server.started[0][0], server.sent) == ("200 OK", b"one")
    assert len(caplog.records) == 1


def silent(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return [b"text"]


def silent_and_empty(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return []


def silent_generator(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    yield b"text"


def empty_generator(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    yield from ()


def nothing(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", [])


def text(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", [])
    return ["text"]


def generated_text(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
    start_response("200 OK", [])
    yield "text"


def short(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "50")])
    return [b"five", b"!"]


def short_generator(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("content-length", "50")])
    yield from ()


def twice(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [])
    start_response("404 Not Found", [])
    return []


def no_number(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "many")])
    return []


@pytest.mark.parametrize(
    ("app", "why"),
    [
        pytest.param(silent, "the body began before start_response was called", id="a list without start_response"),
        pytest.param(silent_and_empty, "start_response was never called", id="an empty list"),
        pytest.param(silent_generator, "the body began before start_response was called", id="a generator"),
        pytest.param(empty_generator, "start_response was never called", id="an empty generator"),
        pytest.param(nothing, "'NoneType' object is not iterable", id="no body at all"),
        pytest.param(text, "the body has to be of bytes, got str", id="a list of text"),
        pytest.param(generated_text, "the body has to be of bytes, got str", id="a generator of text"),
        pytest.param(short, "the body is 45 bytes shorter than its Content-Length", id="a short list"),
        pytest.param(short_generator, "the body is 50 bytes shorter than its Content-Length", id="a short generator"),
        pytest.param(twice, "start_response was called again, without exc_info", id="start_response twice"),
        pytest.param(no_number, "invalid literal for int() with base 10: 'many'", id="a length that is no number"),
    ],
)
def test_an_app_that_breaks_the_protocol_is_a_500_that_says_why_in_the_log(
    app: WSGIApplication, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server()

    server.get(Guard(app))

    assert [started[0] for started in server.started] == ["500 Internal Server Error"]
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == [why]


def short_after_a_chunk(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "50")])
    yield b"five!"


def short_write(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "50")])(b"five!")
    return []


@pytest.mark.parametrize("app", [short_after_a_chunk, short_write], ids=["a generator", "write()"])
def test_a_body_found_too_short_at_its_end_is_cut_off(app: WSGIApplication, caplog: pytest.LogCaptureFixture) -> None:
    server = Server()

    with pytest.raises(ResponseCutError):
        server.get(Guard(app))

    assert server.sent == b"five!"
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("method", "status"),
    [
        pytest.param("HEAD", "200 OK", id="HEAD"),
        pytest.param("GET", "304 Not Modified", id="304"),
        pytest.param("GET", "204 No Content", id="204"),
    ],
)
def test_a_response_that_has_no_body_may_announce_a_length(
    method: str, status: str, caplog: pytest.LogCaptureFixture
) -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, [("Content-Length", "50")])
        return []

    server = Server()

    server.get(Guard(app), method)

    assert (server.started[0][0], records(caplog)) == (status, [])


def lists(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
    return [b"abc", b"def"]


def generates(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"abc"
    yield b"def"


def writes(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])(b"abc")
    return [b"def"]


def recovers(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("404 Not Found", [("Content-Type", "text/html"), ("Content-Length", "99")])
    try:
        raise ValueError
    except ValueError:
        start_response("200 OK", [("Content-Type", "text/plain")], sys.exc_info())
    return [b"abcdef"]


@pytest.mark.parametrize("app", [lists, generates, writes, recovers])
def test_an_app_that_keeps_the_protocol_passes_unchanged(
    app: WSGIApplication, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server()

    server.get(validator(Guard(validator(app))))

    assert (server.started[0][0], server.sent, records(caplog)) == ("200 OK", b"abcdef", [])


def test_a_stream_streams() -> None:
    seen = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        for number in range(3):
            seen.append(f"made {number}")
            yield b"%d" % number

    environ: WSGIEnvironment = {}
    setup_testing_defaults(environ)
    for chunk in Guard(app)(environ, Server().start_response):
        seen.append(f"sent {chunk.decode()}")

    assert seen == ["made 0", "sent 0", "made 1", "sent 1", "made 2", "sent 2"]


def test_a_list_stays_the_very_list_and_a_file_the_servers_own_wrapper() -> None:
    whole = [b"abc"]
    file = FileWrapper(io.BytesIO(b"abc"))

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        return file if environ["PATH_INFO"] == "/file" else whole

    environ: WSGIEnvironment = {"wsgi.file_wrapper": FileWrapper}
    setup_testing_defaults(environ)

    assert Guard(app)({**environ, "PATH_INFO": "/"}, Server().start_response) is whole
    assert Guard(app)({**environ, "PATH_INFO": "/file"}, Server().start_response) is file


def test_a_body_that_knows_its_length_keeps_it_and_is_closed() -> None:
    class Chunks(list[bytes]):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    chunks = Chunks([b"abc"])

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        return chunks

    server = Server()
    body = server.get(Guard(app))

    assert (len(body), server.sent, chunks.closed) == (1, b"abc", 1)  # type: ignore[arg-type]  # it has a length


class Closing:
    """A body whose `close` does what it is told."""

    def __init__(self, close: Callable[[], None]) -> None:
        self.close = close

    def __iter__(self) -> Iterator[bytes]:
        yield b"abc"


def closing(close: Callable[[], None]) -> WSGIApplication:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        return Closing(close)

    return app


def test_a_close_that_raises_is_one_record_and_the_response_stays_whole(caplog: pytest.LogCaptureFixture) -> None:
    def close() -> None:
        raise SystemExit(1)

    server = Server()

    server.get(Guard(Guard(closing(close))))

    assert server.sent == b"abc"
    assert records(caplog) == ["GET '/x' failed with SystemExit (request id -)"]


def test_a_failure_below_a_middleware_that_holds_the_body_back_is_still_a_500(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def holds_back(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return [b"".join(Guard(raising_in_its_body(ValueError(), b"one"))(environ, start_response))]

    server = Server()

    server.get(Guard(holds_back))

    assert [started[0] for started in server.started] == ["500 Internal Server Error"]
    assert len(caplog.records) == 1


def test_what_the_server_raises_inside_the_apps_call_goes_on_unchanged(caplog: pytest.LogCaptureFixture) -> None:
    worker = ModuleType("gunicorn.workers.base")
    exec("import sys\ndef handle_abort(): sys.exit(1)", worker.__dict__)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        worker.handle_abort()
        return []

    with pytest.raises(SystemExit):
        Server().get(Guard(Guard(app)))

    assert records(caplog) == []


def test_ctrl_c_ends_a_server_that_leaves_it_to_python() -> None:
    with pytest.raises(KeyboardInterrupt):
        Server().get(Guard(raising(KeyboardInterrupt())))


def test_a_failed_request_leaves_no_cycles_behind(caplog: pytest.LogCaptureFixture) -> None:
    environ: WSGIEnvironment = {}
    setup_testing_defaults(environ)
    guard = Guard(Guard(raising_in_its_body(ValueError())))
    logging.getLogger("dispatcher.guard").disabled = True  # a record that caplog keeps would hold the traceback
    try:
        gc.collect()
        gc.disable()
        list(guard(environ, Server().start_response))
        assert gc.collect() == 0
    finally:
        gc.enable()
        logging.getLogger("dispatcher.guard").disabled = False
