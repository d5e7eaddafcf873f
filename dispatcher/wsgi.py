"""The few WSGI pieces that every middleware here needs (PEP 3333), and the names of the facts in `environ`.

Work after the response goes through one place, `after`: it keeps `close()` reaching the app, keeps a streaming body
streaming, and keeps the server's `wsgi.file_wrapper` what it is, so that sendfile still works behind every middleware.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from http import HTTPStatus
from types import TracebackType
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = [
    "MOUNT",
    "REQUEST_ID",
    "STACK",
    "Body",
    "ExcInfo",
    "Headers",
    "SizedBody",
    "StartResponse",
    "WSGIApplication",
    "WSGIEnvironment",
    "Write",
    "after",
    "current_environ",
    "is_file_wrapper",
    "replace_header",
    "respond",
]

Headers = list[tuple[str, str]]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
Write = Callable[[bytes], object]

MOUNT: Final = "dispatcher.mount"  # the key of the mount that answers, as normalised: "/todos", "*.example.com/"
REQUEST_ID: Final = "dispatcher.request_id"
STACK: Final = "dispatcher.stack"  # the stack that the request began on, and ends on whatever is swapped meanwhile

# The environ, as the client sent it, of the request that this thread (or greenlet) is answering: log records take
# their mount and request id from it. Set and cleared by the stack.
current_environ: ContextVar[WSGIEnvironment | None] = ContextVar("dispatcher.environ", default=None)


class Body:
    """A response body that runs `done` exactly once after its close, even when the inner `close` raises."""

    __slots__ = ("_body", "_done")

    def __init__(self, body: Iterable[bytes], done: Callable[[], object]) -> None:
        self._body = body
        self._done: Callable[[], object] | None = done

    def __iter__(self) -> Iterator[bytes]:
        # Hands out the inner iterator: a chunk costs nothing on its way through.
        return iter(self._body)

    def close(self) -> None:
        done, self._done = self._done, None
        if done is None:
            return
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            done()


class SizedBody(Body):
    """A `Body` around a list or tuple, which keeps its length.

    Servers send a Content-Length of their own when an app that set none returns one block (PEP 3333, "Handling the
    Content-Length header"); without a length they would send chunks, or close the connection.
    """

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]  # `after` makes one only of a list or tuple


def is_file_wrapper(environ: WSGIEnvironment, body: object) -> bool:
    """Whether `body` was made by the server's own `wsgi.file_wrapper`, so that the server may use sendfile for it."""
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)


def after(environ: WSGIEnvironment, body: Iterable[bytes], done: Callable[[], object]) -> Iterable[bytes]:
    """`body`, with `done()` run after its `close()`.

    A body made by the server's own `wsgi.file_wrapper` stays that object (servers test for its class before they use
    sendfile): its `close` is replaced instead. Where the wrapper is a C type that refuses, it is wrapped like any.
    """
    if is_file_wrapper(environ, body):
        try:
            closing = Body(_Closing(body), done)  # type: ignore[arg-type]  # closed, never iterated
            body.close = closing.close  # type: ignore[attr-defined]  # an instance attribute wins
        except AttributeError:
            pass  # a C type, as in mod_wsgi and uWSGI: no sendfile, but right
        else:
            return body
    return SizedBody(body, done) if isinstance(body, list | tuple) else Body(body, done)


class _Closing:
    """Holds the `close` that a file wrapper had before it was replaced."""

    __slots__ = ("close",)

    def __init__(self, body: object) -> None:
        self.close = getattr(body, "close", lambda: None)


def respond(
    environ: WSGIEnvironment,
    start_response: StartResponse,
    status: int,
    text: str = "",
    *,
    content_type: str = "text/plain; charset=utf-8",
    headers: Iterable[tuple[str, str]] = (),
) -> Iterable[bytes]:
    """Answer with `status` and a short text, by default the status and its phrase; HEAD gets no body (RFC 9110)."""
    phrase = HTTPStatus(status).phrase
    body = (text or f"{status} {phrase}\n").encode()
    start_response(
        f"{status} {phrase}",
        [("Content-Type", content_type), ("Content-Length", str(len(body))), *headers],
    )
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]


def replace_header(headers: Headers, name: str, value: str) -> None:
    """Set `name` in `headers`, in place, dropping what was there under that name in any case."""
    lower = name.lower()
    headers[:] = [(key, old) for key, old in headers if key.lower() != lower]
    headers.append((name, value))
