"""The pieces that every middleware stands on: `close()` reaches the app once, and files stay files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Any
from wsgiref.util import FileWrapper

import pytest

from dispatcher.wsgi import Body, ExcInfo, Headers, Write, after, is_file_wrapper, replace_header, respond


class Inner:
    """A body that notes in `calls` when it is closed, and raises there if told to."""

    def __init__(self, calls: list[str], error: BaseException | None = None) -> None:
        self._calls = calls
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"one", b"two"])

    def close(self) -> None:
        self._calls.append("close")
        if self._error:
            raise self._error


class Started:
    """A start_response that keeps what it was called with."""

    def __init__(self) -> None:
        self.status = ""
        self.headers: Headers = []

    def __call__(self, status: str, headers: Headers, exc_info: ExcInfo | None = None, /) -> Write:
        self.status, self.headers = status, headers
        return lambda data: None


def note(calls: list[str], what: str) -> Callable[[], None]:
    return lambda: calls.append(what)


def close(body: Iterable[bytes]) -> None:
    body.close()  # type: ignore[attr-defined]  # an optional method in PEP 3333


def test_a_body_is_closed_before_the_work_after_it() -> None:
    calls: list[str] = []
    body = after({}, Inner(calls), note(calls, "done"))

    assert list(body) == [b"one", b"two"]
    close(body)

    assert calls == ["close", "done"]


def test_closing_twice_closes_the_app_and_does_the_work_once() -> None:
    calls: list[str] = []
    body = after({}, Inner(calls), note(calls, "done"))

    close(body)
    close(body)

    assert calls == ["close", "done"]


@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit(3)], ids=["exception", "exit"])
def test_the_work_is_done_when_the_inner_close_raises(error: BaseException) -> None:
    calls: list[str] = []
    body = after({}, Inner(calls, error), note(calls, "done"))

    with pytest.raises(type(error)) as raised:
        close(body)

    assert raised.value is error
    assert calls == ["close", "done"]


def test_a_body_without_close_is_accepted() -> None:
    calls: list[str] = []

    close(after({}, iter([b""]), note(calls, "done")))

    assert calls == ["done"]


def test_work_nested_around_one_body_is_done_from_the_inside_out() -> None:
    calls: list[str] = []
    body = after({}, after({}, Inner(calls), note(calls, "first")), note(calls, "second"))

    close(body)

    assert calls == ["close", "first", "second"]


@pytest.mark.parametrize("blocks", [[b"one"], (b"one",)], ids=["list", "tuple"])
def test_a_list_keeps_its_length_so_that_the_server_can_set_content_length(blocks: Any) -> None:
    body = after({}, blocks, lambda: None)

    assert len(body) == 1  # type: ignore[arg-type]
    assert list(body) == [b"one"]


def test_an_iterator_is_given_no_length() -> None:
    assert not hasattr(after({}, iter([b"one"]), lambda: None), "__len__")


class File(BytesIO):
    """A file that notes in `calls` when it is closed."""

    def __init__(self, calls: list[str]) -> None:
        super().__init__(b"data")
        self._calls = calls

    def close(self) -> None:
        self._calls.append("close")


def test_a_file_wrapper_stays_the_servers_object_and_is_closed_once() -> None:
    calls: list[str] = []
    environ = {"wsgi.file_wrapper": FileWrapper}
    file = FileWrapper(File(calls))

    body = after(environ, after(environ, file, note(calls, "first")), note(calls, "second"))

    assert body is file
    body.close()
    body.close()
    assert calls == ["close", "first", "second"]


class SealedWrapper:
    """Like the wrapper of a server written in C: no attribute can be set on it."""

    __slots__ = ("_file",)

    def __init__(self, file: File) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._file)

    def close(self) -> None:
        self._file.close()


def test_a_file_wrapper_that_takes_no_attributes_is_wrapped_like_any_body() -> None:
    calls: list[str] = []

    body = after({"wsgi.file_wrapper": SealedWrapper}, SealedWrapper(File(calls)), note(calls, "done"))

    assert isinstance(body, Body)
    assert list(body) == [b"data"]
    body.close()
    assert calls == ["close", "done"]


def test_a_file_wrapper_whose_file_has_no_close_is_accepted() -> None:
    class Bare:
        def __iter__(self) -> Iterator[bytes]:
            return iter(())

    calls: list[str] = []

    close(after({"wsgi.file_wrapper": Bare}, Bare(), note(calls, "done")))

    assert calls == ["done"]


@pytest.mark.parametrize(
    ("wrapper", "answer"), [(FileWrapper, True), (dict, False), (lambda file: file, False), (None, False)]
)
def test_only_an_object_of_the_servers_own_class_is_a_file_wrapper(wrapper: object, answer: bool) -> None:
    assert is_file_wrapper({"wsgi.file_wrapper": wrapper}, FileWrapper(File([]))) is answer


def test_respond_answers_with_the_status_and_its_phrase() -> None:
    started = Started()

    body = respond({"REQUEST_METHOD": "GET"}, started, 404)

    assert started.status == "404 Not Found"
    assert started.headers == [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", "14")]
    assert list(body) == [b"404 Not Found\n"]


def test_respond_counts_bytes_not_characters_and_adds_headers() -> None:
    started = Started()

    body = respond({}, started, 503, "später\n", content_type="text/x", headers=[("Retry-After", "5")])

    assert started.headers == [("Content-Type", "text/x"), ("Content-Length", "8"), ("Retry-After", "5")]
    assert list(body) == ["später\n".encode()]


def test_respond_sends_head_the_length_but_no_body() -> None:
    started = Started()

    body = respond({"REQUEST_METHOD": "HEAD"}, started, 404)

    assert ("Content-Length", "14") in started.headers
    assert list(body) == []


def test_replace_header_drops_every_spelling_and_keeps_the_rest_in_order() -> None:
    headers = [("X-Id", "1"), ("Vary", "a"), ("x-ID", "2"), ("Vary", "b")]
    same = headers

    replace_header(headers, "X-ID", "3")

    assert same == [("Vary", "a"), ("Vary", "b"), ("X-ID", "3")]
