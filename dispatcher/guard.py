"""Turns what an app raises into an answer, so that neither the client nor the worker goes down with it.

Servers take an app's `OSError` for a client that has gone, its `StopIteration` for the end of the connection and its
`SystemExit` for their own end: the client gets an empty reply, or all clients get none. One guard goes around each
mounted app with its middleware, and one around the whole site:

- Before the headers are out, whatever is raised becomes one log record with its traceback, and a 500 with the request
  id and no detail. So do an app that never calls ``start_response``, a body that is not of bytes, and one that is
  shorter than its Content-Length.
- After that the response cannot be taken back: one log record, and the connection is cut, so that the client can tell.
- What the server itself raises while it reads the request or ends its worker goes on unchanged.

``start_response`` is handed on with the first chunk, or when an app that returns a list has returned: until then a 500
can take the place of what the app had begun.
"""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Final, cast

from dispatcher.blame import is_servers
from dispatcher.wsgi import (
    REQUEST_ID,
    ExcInfo,
    Headers,
    StartResponse,
    Write,
    WSGIApplication,
    WSGIEnvironment,
    is_file_wrapper,
    respond,
)

_WITHOUT_BODY: Final = ("1", "204", "304")
_END: Final[Any] = object()  # None would end a body that yields None by mistake
_log: Final = logging.getLogger(__name__)


class ResponseCutError(BrokenPipeError):
    """Ends a response that has begun and cannot be finished; what is wrong has been logged.

    A `BrokenPipeError`, because servers take that for a client that has gone: they close the connection, without the
    end of the body, and without a traceback of their own.
    """


class Guard:
    """Answers in place of `app` where that fails."""

    __slots__ = ("_app",)

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return _Attempt(environ, start_response).run(self._app)


class _Attempt:
    """One request on its way through an app; as an iterable, the response's body."""

    # Without __slots__, for these defaults: to set them in every object costs more.
    _status = ""
    _headers: Headers
    _exc_info: ExcInfo | None = None
    _missing = 0  # bytes that the Content-Length still promises
    _sent = False  # the server has got the headers, and with them a part of the body or all of it
    _body: Iterable[bytes] = ()

    def __init__(self, environ: WSGIEnvironment, start: StartResponse) -> None:
        self._environ = environ
        self._start = start

    def run(self, app: WSGIApplication) -> Iterable[bytes]:
        try:
            body = app(self._environ, self.start_response)
            whole = type(body) is list or type(body) is tuple
            if whole:
                for chunk in body:
                    self._take(chunk)
                self._check_end()
        except BaseException as error:  # noqa: BLE001  # SystemExit and KeyboardInterrupt of an app end no worker
            return self._answer(error)
        if whole or (self._status and is_file_wrapper(self._environ, body)):
            if not self._sent:
                self._hand_on()
            return body
        self._body = body
        return _Sized(self, body) if hasattr(body, "__len__") else self

    def start_response(self, status: str, headers: Headers, exc_info: ExcInfo | None = None, /) -> Write:
        if exc_info is not None and exc_info[1] is not None:
            if self._sent:
                raise exc_info[1].with_traceback(exc_info[2])  # PEP 3333, "Error Handling"
            self._exc_info = exc_info
        elif self._status:
            raise AssertionError("start_response was called again, without exc_info")
        self._status, self._headers, self._missing = status, headers, 0
        for name, value in headers:
            if len(name) == 14 and name.lower() == "content-length":
                self._missing = self._promised(status, int(value))
        return self.write

    def _promised(self, status: str, length: int) -> int:
        """The bytes of the body that a Content-Length of `length` announces (RFC 9110, section 8.6)."""
        return 0 if status.startswith(_WITHOUT_BODY) or self._environ.get("REQUEST_METHOD") == "HEAD" else length

    def write(self, data: bytes) -> None:
        self._take(data)
        if not self._sent:
            self._hand_on()
        self._write(data)

    def _hand_on(self) -> None:
        """Give the server the status and headers that the app came to."""
        self._sent = True
        if self._exc_info is None:
            self._write: Write = self._start(self._status, self._headers)
        else:
            exc_info, self._exc_info = self._exc_info, None  # its frames hold this object
            self._write = self._start(self._status, self._headers, exc_info)

    def _take(self, chunk: bytes) -> None:
        if not isinstance(chunk, bytes):
            raise TypeError(f"the body has to be of bytes, got {type(chunk).__name__}")
        if not self._status:
            raise AssertionError("the body began before start_response was called")
        self._missing -= len(chunk)

    def _check_end(self) -> None:
        if not self._status:
            raise AssertionError("start_response was never called")
        if self._missing > 0:
            raise AssertionError(f"the body is {self._missing} bytes shorter than its Content-Length")

    def __iter__(self) -> Iterator[bytes]:
        chunks: Iterator[bytes] | None = None
        while True:
            try:
                if chunks is None:
                    chunks = iter(self._body)
                chunk = next(chunks, _END)
                if chunk is _END:
                    self._check_end()
                else:
                    self._take(chunk)
            except BaseException as error:  # noqa: BLE001  # as in run()
                yield from self._answer(error)
                return
            if not self._sent:
                self._hand_on()
            if chunk is _END:
                return
            yield chunk

    def _answer(self, error: BaseException) -> Iterable[bytes]:
        """The body of a 500 in place of the app's response; raises where that is too late or not ours to decide."""
        if is_servers(error):
            raise error
        if not isinstance(error, ResponseCutError):
            _report(self._environ, error)
        if self._sent:
            raise _abort(self._environ) from None
        request_id = self._environ.get(REQUEST_ID)
        text = f"500 Internal Server Error\nrequest id: {request_id}\n" if request_id else ""
        start = partial(_start_error, self._start, error)
        return respond(self._environ, start, 500, text, headers=[("Cache-Control", "no-store")])

    def close(self) -> None:
        body, self._body = self._body, ()
        close = getattr(body, "close", None)
        if close is None:
            return
        try:
            close()
        except ResponseCutError:
            pass  # an inner guard has logged it; the client has got everything that it can get
        except BaseException as error:
            if is_servers(error):
                raise
            _report(self._environ, error)
            raise _abort(self._environ) from None  # so that an access log further out sees that it failed


class _Sized:
    """The body of an app that tells how many chunks it has: of one, a server makes the Content-Length."""

    __slots__ = ("_attempt", "_body")

    def __init__(self, attempt: _Attempt, body: Iterable[bytes]) -> None:
        self._attempt = attempt
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._attempt)

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]  # made only of a body that has a length

    def close(self) -> None:
        self._attempt.close()


def _start_error(start: StartResponse, error: BaseException, status: str, headers: Headers) -> Write:
    # With exc_info, as an error handler should (PEP 3333): who stands further out can tell it from an app's own 500.
    return start(status, headers, cast(ExcInfo, (type(error), error, error.__traceback__)))


def _report(environ: WSGIEnvironment, error: BaseException) -> None:
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    _log.error(
        "%s %r failed with %s (request id %s)",
        environ.get("REQUEST_METHOD"),
        path,
        type(error).__name__,
        environ.get(REQUEST_ID, "-"),
        exc_info=error,
    )


def _abort(environ: WSGIEnvironment) -> Exception:
    if "waitress.client_disconnected" in environ:  # it logs a traceback for an OSError, and none for its own class
        gone: Exception = sys.modules["waitress.channel"].ClientDisconnected()
        return gone
    return ResponseCutError(errno.EPIPE, "the response was cut off")
