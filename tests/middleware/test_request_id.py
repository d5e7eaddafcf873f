"""One id for a request, wherever somebody looks for it."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from pydantic import ValidationError

from dispatcher.middleware.request_id import RequestId
from dispatcher.wsgi import ExcInfo, Headers, StartResponse, Write, WSGIApplication, WSGIEnvironment

MADE = re.compile(r"[0-9a-f]{32}")
PLAIN = [("Content-Type", "text/plain")]


class Answer:
    """What a server would send: runs `app` for one request and keeps environ, headers and body."""

    def __init__(self, app: WSGIApplication, **headers: str) -> None:
        self.environ: WSGIEnvironment = {}
        setup_testing_defaults(self.environ)
        self.environ.update({"QUERY_STRING": "", "SERVER_PROTOCOL": "HTTP/1.1", **headers})
        self.headers: Headers = []
        self.written: list[bytes] = []
        body = app(self.environ, self.start)
        try:
            self.body = b"".join(body)
        finally:
            getattr(body, "close", lambda: None)()

    def start(self, status: str, headers: Headers, exc_info: ExcInfo | None = None, /) -> Write:
        self.headers = headers
        return self.written.append

    @property
    def ids(self) -> list[str]:
        return [value for name, value in self.headers if name.lower() == "x-request-id"]


def list_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", list(PLAIN))
    return [str(environ["dispatcher.request_id"]).encode()]


def generator_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", list(PLAIN))
    yield str(environ["HTTP_X_REQUEST_ID"]).encode()


def writing_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", list(PLAIN))(b"written")
    return []


def raising_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    raise LookupError("lost")


@pytest.mark.parametrize("app", [list_app, generator_app], ids=["list", "generator"])
def test_app_environ_and_client_see_the_same_id(app: WSGIApplication) -> None:
    answer = Answer(validator(RequestId(validator(app))))

    [request_id] = answer.ids
    assert MADE.fullmatch(request_id)
    assert answer.body.decode() == request_id
    assert answer.environ["dispatcher.request_id"] == answer.environ["HTTP_X_REQUEST_ID"] == request_id


def test_an_app_that_writes_gets_its_write() -> None:
    answer = Answer(validator(RequestId(validator(writing_app))))

    assert answer.written == [b"written"]
    assert len(answer.ids) == 1


def test_what_the_app_raises_goes_on_unchanged() -> None:
    with pytest.raises(LookupError, match=r"^lost$"):
        Answer(validator(RequestId(validator(raising_app))))


GOOD = {
    "one character": "7",
    "uuid": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    "base64": "ab+/Z0==",
    "e-mail like": "me@host:1._",
    "128 characters": "x" * 128,
}
BAD = {
    "empty": "",
    "129 characters": "x" * 129,
    "two values": "a,b",
    "space": "a b",
    "line end": "abc\n",
    "carriage return": "abc\r\nSet-Cookie: a=b",
    "next line": "abc\x85",
    "latin-1": "caf\xe9",
    "quote": 'a"b',
    "markup": "<script>",
    "other digits": "\u0661",
}


@pytest.mark.parametrize("given", GOOD.values(), ids=GOOD)
def test_a_well_formed_id_is_taken(given: str) -> None:
    assert Answer(RequestId(list_app), HTTP_X_REQUEST_ID=given).ids == [given]


@pytest.mark.parametrize("given", BAD.values(), ids=BAD)
def test_any_other_id_is_replaced(given: str) -> None:
    answer = Answer(RequestId(list_app), HTTP_X_REQUEST_ID=given)

    assert MADE.fullmatch(answer.ids[0])
    assert answer.environ["HTTP_X_REQUEST_ID"] == answer.ids[0]


def test_without_trust_an_id_is_always_made() -> None:
    answer = Answer(RequestId(list_app, trust=False), HTTP_X_REQUEST_ID="chosen")

    assert MADE.fullmatch(answer.ids[0])
    assert answer.environ["HTTP_X_REQUEST_ID"] == answer.ids[0]


def test_the_header_can_be_another() -> None:
    answer = Answer(RequestId(list_app, header="X-Correlation-ID"), HTTP_X_CORRELATION_ID="given")

    assert ("X-Correlation-ID", "given") in answer.headers
    assert answer.ids == []
    assert answer.environ["dispatcher.request_id"] == "given"


def test_the_header_that_an_app_sets_is_replaced_and_its_own_list_left_alone() -> None:
    shared = [("x-request-id", "the app's"), ("Vary", "Cookie")]

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", shared)
        return []

    answer = Answer(RequestId(app), HTTP_X_REQUEST_ID="given")

    assert answer.headers == [("Vary", "Cookie"), ("X-Request-ID", "given")]
    assert shared == [("x-request-id", "the app's"), ("Vary", "Cookie")]


def test_exc_info_reaches_the_server() -> None:
    seen: list[object] = []
    error = ValueError("late")

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("500 Oops", [], (ValueError, error, None))  # type: ignore[arg-type]
        return []

    def start(status: str, headers: Headers, exc_info: ExcInfo | None = None, /) -> Write:
        seen.append(exc_info)
        return lambda data: None

    RequestId(app)({}, start)

    assert seen == [(ValueError, error, None)]


def test_an_app_that_seeds_the_random_module_does_not_make_ids_repeat() -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        random.seed(0)
        return list_app(environ, start_response)

    wrapped = RequestId(app)

    assert len({Answer(wrapped).ids[0] for _ in range(5)}) == 5


def test_forked_processes_make_different_ids() -> None:
    wrapped = RequestId(list_app)
    reader, writer = os.pipe()
    for _ in range(3):
        if not (child := os.fork()):
            os.write(writer, Answer(wrapped).ids[0].encode())
            os._exit(0)
        os.waitpid(child, 0)
    os.close(writer)

    text = os.read(reader, 1000).decode() + Answer(wrapped).ids[0]
    os.close(reader)

    assert len({text[start : start + 32] for start in range(0, 128, 32)}) == 4


@pytest.mark.parametrize("header", ["", "X Request", "X_Request_ID", "X-Id:", "X-Id\n", "Kopfzeilé"])
def test_a_header_name_that_cannot_work_is_refused(header: str) -> None:
    with pytest.raises(ValidationError) as raised:
        RequestId.Options(header=header)

    [problem] = raised.value.errors()
    assert problem["msg"] == "expected a header name of letters, digits and hyphens, as X-Request-ID"


def test_options_are_the_constructors_arguments() -> None:
    options: dict[str, Any] = dict(RequestId.Options())

    assert options == {"header": "X-Request-ID", "trust": True}
    assert MADE.fullmatch(Answer(RequestId(list_app, **options)).ids[0])


def test_another_header_is_taken_as_it_is() -> None:
    assert RequestId.Options(header="X-Correlation-ID").header == "X-Correlation-ID"
