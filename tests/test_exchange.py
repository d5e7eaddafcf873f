"""What a server and an app do to each other, and what is said of it afterwards: always once, always true."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Any
from wsgiref.util import FileWrapper

import pytest

from dispatcher.exchange import Exchange
from dispatcher.wsgi import ExcInfo, Headers, StartResponse, Write, WSGIApplication, WSGIEnvironment

PLAIN = [("Content-Type", "text/plain")]


class Server:
    """Runs one request through an `Exchange`, and keeps what it says when it is finished.

    `fail_at` is the number of the write that fails because the client has gone, from 0.
    """

    def __init__(self, *, fail_at: int = -1, error: Exception | None = None, **environ: Any) -> None:
        self.environ: WSGIEnvironment = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SCRIPT_NAME": "", **environ}
        self.endings: list[tuple[str, int | None, str]] = []
        self.sent: list[bytes] = []
        self._fail_at = fail_at
        self._error = error or BrokenPipeError()

    def start(self, status: str, headers: Headers, exc_info: ExcInfo | None = None, /) -> Write:
        if exc_info and exc_info[1] and self.sent:
            raise exc_info[1]
        return self.write

    def write(self, data: bytes) -> None:
        if len(self.sent) == self._fail_at:
            raise self._error
        self.sent.append(data)

    def begin(self, app: WSGIApplication) -> Iterable[bytes]:
        return Exchange(self.environ, self.start, 0.0, lambda exchange: self.endings.append(exchange.ending())).run(app)

    def serve(self, app: WSGIApplication) -> None:
        """What servers do: take the body to its end, close it, and let errors through."""
        body = self.begin(app)
        try:
            for chunk in body:
                self.write(chunk)
        finally:
            close(body)

    def serve_to_the_end(self, app: WSGIApplication) -> None:
        try:
            self.serve(app)
        except BaseException:
            return


def close(body: Iterable[bytes]) -> None:
    getattr(body, "close", lambda: None)()


def list_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    return [b"one", b"three"]


def tuple_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return tuple(list_app(environ, start_response))


def empty_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("202 Accepted", [])
    return []


def generator_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("201 Created", PLAIN)
    yield b"one"
    yield b""
    yield b"three"


def writing_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    write = start_response("200 OK", PLAIN)
    write(b"written")
    return [b"and", b"more"]


def second_thoughts_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    error = ValueError("first")
    start_response("503 Sorry", PLAIN, (ValueError, error, None))  # type: ignore[arg-type]
    return [b"sorry"]


def guarded_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    error = ValueError("first")
    start_response("500 Oops", PLAIN, (ValueError, error, None))  # type: ignore[arg-type]
    return [b"oops"]


def failing_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("500 Oops", PLAIN)
    return [b"oops"]


def silent_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return [b"no status"]


def raising_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    raise LookupError("early")


def raising_after_start_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    raise LookupError("early")


def raising_after_write_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)(b"part")
    raise LookupError("late")


def raising_first_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", PLAIN)
    yield from raising_app(environ, start_response)


def raising_later_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", PLAIN)
    yield b"part"
    raise LookupError("late")


def too_late_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", PLAIN)
    yield b"part"
    start_response("500 Oops", PLAIN, (LookupError, LookupError("late"), None))  # type: ignore[arg-type]


def exiting_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    raise SystemExit(1)


def interrupted_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", PLAIN)
    yield b"part"
    raise KeyboardInterrupt


def nothing_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    return None  # type: ignore[return-value]


class Closing:
    """A body that counts its closes, and raises there when it is told to."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.closes = 0
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"one", b"three"])

    def __bool__(self) -> bool:
        return False  # nobody has a reason to ask

    def close(self) -> None:
        self.closes += 1
        if self._error:
            raise self._error


LARGE = b"x" * 70_000  # more than a server hands to the kernel at once


def app_of(body: Iterable[bytes], status: str = "200 OK", headers: Headers = PLAIN) -> WSGIApplication:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, headers)
        return body

    return app


ENDINGS = {
    "list": (list_app, ("200", 8, "ok")),
    "tuple": (tuple_app, ("200", 8, "ok")),
    "empty list": (empty_app, ("202", 0, "ok")),
    "generator": (generator_app, ("201", 8, "ok")),
    "write()": (writing_app, ("200", 14, "ok")),
    "exc_info before the body": (second_thoughts_app, ("503", 5, "ok")),
    "an error handler's 500": (guarded_app, ("500", 4, "error")),
    "the app's own error page": (failing_app, ("500", 4, "ok")),
    "a body that is false": (app_of(Closing()), ("200", 8, "ok")),
    "no start_response": (silent_app, ("500", 9, "error")),
    "raises": (raising_app, ("500", 0, "error")),
    "raises after start_response": (raising_after_start_app, ("500", 0, "error")),
    "raises after write()": (raising_after_write_app, ("200", 4, "error")),
    "raises before the first chunk": (raising_first_app, ("500", 0, "error")),
    "raises after a chunk": (raising_later_app, ("200", 4, "error")),
    "exc_info after a chunk": (too_late_app, ("200", 4, "error")),
    "raises in close, after its answer": (app_of(Closing(ValueError())), ("200", 8, "ok")),
    "exits": (exiting_app, ("500", 0, "error")),
    "is interrupted": (interrupted_app, ("200", 4, "error")),
    "returns None": (nothing_app, ("500", 0, "error")),
    "a status that is none": (app_of([b"x"], "great"), ("000", 1, "ok")),
}


@pytest.mark.parametrize(("app", "ending"), ENDINGS.values(), ids=ENDINGS)
def test_what_an_app_does_is_recorded_once(app: WSGIApplication, ending: tuple[str, int, str]) -> None:
    server = Server()

    server.serve_to_the_end(app)
    gc.collect()

    assert server.endings == [ending]


@pytest.mark.parametrize(
    ("app", "error"),
    [
        (raising_app, LookupError),
        (raising_later_app, LookupError),
        (too_late_app, LookupError),
        (exiting_app, SystemExit),
        (interrupted_app, KeyboardInterrupt),
        (app_of(Closing(OSError())), OSError),
    ],
    ids=["early", "late", "exc_info", "exit", "interrupt", "close"],
)
def test_what_an_app_raises_goes_on_unchanged(app: WSGIApplication, error: type[BaseException]) -> None:
    with pytest.raises(error) as raised:
        Server().serve(app)

    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


GONE = {
    "first chunk of a list": (list_app, 0, ("200", 0, "client_gone")),
    "only chunk of a list, a large one": (app_of([LARGE], "500 Oops"), 0, ("500", 0, "client_gone")),
    "second chunk of a list, a large one": (app_of([b"one", LARGE]), 1, ("200", 3, "client_gone")),
    "last chunk, small enough to be sent at once": (list_app, 1, ("200", 8, "ok")),
    "second chunk of a generator": (generator_app, 1, ("201", 3, "client_gone")),
    "write()": (writing_app, 0, ("200", 0, "client_gone")),
    "after write()": (writing_app, 1, ("200", 7, "client_gone")),
}


@pytest.mark.parametrize(("app", "fail_at", "ending"), GONE.values(), ids=GONE)
def test_a_client_that_has_gone_is_told_from_an_error(
    app: WSGIApplication, fail_at: int, ending: tuple[str, int, str]
) -> None:
    server = Server(fail_at=fail_at)

    with pytest.raises(BrokenPipeError):
        server.serve(app)

    assert server.endings == [ending]


def test_a_failed_write_that_the_app_hides_is_still_a_client_gone() -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", PLAIN)
        with pytest.raises(ConnectionError):
            write(b"lost")
        return []

    server = Server(fail_at=0)
    server.serve(app)

    assert server.endings == [("200", 0, "client_gone")]


def test_what_the_server_refuses_to_write_is_the_apps_error() -> None:
    server = Server(fail_at=0, error=TypeError("not bytes"))

    with pytest.raises(TypeError, match="not bytes"):
        server.serve(writing_app)

    assert server.endings == [("500", 0, "error")]


def test_a_generator_that_is_never_asked_has_no_status_of_its_own() -> None:
    server = Server()

    close(server.begin(generator_app))

    assert server.endings == [("499", 0, "client_gone")]


def test_a_server_that_refuses_a_body_without_a_status_does_not_make_the_client_gone() -> None:
    server = Server(fail_at=0, error=AssertionError("write() before start_response()"))

    with pytest.raises(AssertionError):
        server.serve(silent_app)

    assert server.endings == [("500", 0, "error")]


def test_a_status_that_the_server_refuses_is_not_recorded() -> None:
    def refuse(status: str, headers: Headers, exc_info: ExcInfo | None = None, /) -> Write:
        raise AssertionError(status)

    server = Server()
    server.start = refuse  # type: ignore[method-assign]
    server.serve_to_the_end(app_of([b"x"], "200 OK\r\n"))

    assert server.endings == [("500", 0, "error")]


@pytest.mark.parametrize("iterate", [True, False], ids=["server takes the body", "server leaves it"])
@pytest.mark.parametrize(
    ("method", "status"),
    [("HEAD", "200 OK"), ("GET", "304 Not Modified"), ("GET", "204 No Content"), ("GET", "103 Early Hints")],
    ids=["HEAD", "304", "204", "1xx"],
)
def test_a_body_that_is_not_sent_has_no_bytes_and_is_ok(method: str, status: str, iterate: bool) -> None:
    server = Server(REQUEST_METHOD=method)

    body = server.begin(app_of([b"one"], status))
    if iterate:
        assert list(body) == [b"one"]
    close(body)

    assert server.endings == [(status[:3], 0, "ok")]


def test_the_app_is_closed_once_however_often_the_server_closes() -> None:
    inner = Closing()
    server = Server()

    body = server.begin(app_of(inner))
    close(body)
    close(body)

    assert inner.closes == 1
    assert len(server.endings) == 1


def eight_bytes(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", [*PLAIN, ("Content-Length", "8")])
    yield b"one"
    yield b"three"


def eight_bytes_written(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    write = start_response("200 OK", [*PLAIN, ("Content-Length", "8")])
    write(b"one")
    write(b"three")
    return []


@pytest.mark.parametrize(
    ("app", "parts"),
    [
        pytest.param(list_app, 2, id="a list"),
        pytest.param(eight_bytes, 2, id="a generator with a length"),
        pytest.param(eight_bytes_written, 2, id="write() with a length"),
        pytest.param(generator_app, 4, id="a generator without a length, at its end"),
        pytest.param(app_of([b"one", LARGE]), 3, id="a large last chunk, when it was taken"),
    ],
)
def test_the_end_is_told_before_the_client_can_have_the_whole_answer(app: WSGIApplication, parts: int) -> None:
    steps: list[str] = []
    environ: WSGIEnvironment = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SCRIPT_NAME": ""}

    def start(status: str, headers: Headers, exc_info: ExcInfo | None = None, /) -> Write:
        return lambda data: steps.append("part")

    for _ in Exchange(environ, start, 0.0, lambda exchange: steps.append("end")).run(app):
        steps.append("part")
    steps.append("the server ends the answer")

    assert steps.index("end") == parts - 1
    assert steps.count("end") == 1


@pytest.mark.parametrize(("length", "told"), [("8", ["end"]), ("70000", []), ("", [])])
def test_the_end_of_a_small_file_is_told_before_the_server_sends_it(length: str, told: list[str]) -> None:
    steps: list[str] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", length)])
        found: Iterable[bytes] = environ["wsgi.file_wrapper"](BytesIO(b"12345678"))
        return found

    environ: WSGIEnvironment = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.file_wrapper": FileWrapper}
    body = Exchange(environ, Server().start, 0.0, lambda exchange: steps.append("end")).run(app)

    assert steps == told
    close(body)
    assert steps == ["end"]


@pytest.mark.parametrize("app", [list_app, generator_app], ids=["list", "generator"])
def test_a_server_that_never_closes_gets_its_record_too(app: WSGIApplication) -> None:
    server = Server()

    for chunk in server.begin(app):
        server.write(chunk)
    gc.collect()

    assert [outcome for _, _, outcome in server.endings] == ["ok"]


def test_chunks_pass_one_by_one_as_the_app_makes_them() -> None:
    made: list[int] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        for number in range(3):
            made.append(number)
            yield b"x"

    body = iter(Server().begin(app))

    assert made == []
    next(body)
    assert made == [0]
    next(body)
    assert made == [0, 1]


@pytest.mark.parametrize("app", [list_app, tuple_app], ids=["list", "tuple"])
def test_a_list_keeps_its_length(app: WSGIApplication) -> None:
    assert len(Server().begin(app)) == 2  # type: ignore[arg-type]


def test_a_generator_has_no_length() -> None:
    assert not hasattr(Server().begin(generator_app), "__len__")


def file_server(**environ: Any) -> tuple[Server, FileWrapper]:
    server = Server(**environ)
    server.environ["wsgi.file_wrapper"] = FileWrapper
    return server, FileWrapper(BytesIO(b"data"))


@pytest.mark.parametrize(
    ("headers", "method", "ending"),
    [
        ([("Content-Length", "4")], "GET", ("200", 4, "ok")),
        ([("content-length", "4")], "GET", ("200", 4, "ok")),
        ([], "GET", ("200", None, "ok")),
        ([("Content-Length", "four")], "GET", ("200", None, "ok")),
        ([("Content-Length", "4")], "HEAD", ("200", 0, "ok")),
    ],
    ids=["length", "lower case", "no length", "no number", "HEAD"],
)
def test_a_file_stays_the_servers_object_and_counts_by_its_header(
    headers: Headers, method: str, ending: tuple[str, int | None, str]
) -> None:
    server, file = file_server(REQUEST_METHOD=method)

    body = server.begin(app_of(file, headers=headers))

    assert body is file
    close(body)
    close(body)
    assert server.endings == [ending]
    assert file.filelike.closed


TARGETS: dict[str, tuple[dict[str, str], str]] = {
    "as asked": ({"RAW_URI": "/%61?b", "REQUEST_URI": "/other"}, "/%61?b"),
    "as asked, under its other name": ({"REQUEST_URI": "/%61?b"}, "/%61?b"),
    "rebuilt": ({"SCRIPT_NAME": "/a", "PATH_INFO": "/b c", "QUERY_STRING": "d=%20"}, "/a/b%20c?d=%20"),
    "rebuilt from UTF-8": ({"PATH_INFO": "/caf\xc3\xa9"}, "/caf%C3%A9"),
    "rebuilt from any bytes": ({"PATH_INFO": "/\xff%?#\n"}, "/%FF%25%3F%23%0A"),
    "rebuilt from text that is no latin-1": ({"PATH_INFO": "/\u2028"}, "/%3F"),
}


@pytest.mark.parametrize(("environ", "target"), TARGETS.values(), ids=TARGETS)
def test_the_target_is_what_the_client_asked_for(environ: dict[str, str], target: str) -> None:
    assert Exchange({**Server().environ, **environ}, Server().start, 0.0, lambda exchange: None).target == target


def test_what_the_app_rewrites_in_environ_is_not_taken_for_what_the_client_asked() -> None:
    seen: list[tuple[str, str]] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ.update(REQUEST_METHOD="DELETE", PATH_INFO="/other", SCRIPT_NAME="/x", RAW_URI="/y")
        return list_app(environ, start_response)

    note: Callable[[Exchange], None] = lambda exchange: seen.append((exchange.method, exchange.target))  # noqa: E731
    close(Exchange(Server(PATH_INFO="/asked").environ, Server().start, 0.0, note).run(app))

    assert seen == [("GET", "/asked")]
