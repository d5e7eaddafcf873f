"""Watches one request go through an app: the real status, the bytes of the body, and how it ended.

It ends when the client may have the whole answer: just before the server is handed the last chunk, where the length
is known, else at the end of the body; and if it never comes so far, when the body is closed. So what is written at the
end is never missing for an answer that a client has seen, even if the worker is killed the moment after. A last chunk
of more than 64 KiB, which a server may not be able to send at once, has to be taken first.

The outcome is

- ``ok``: the server took the whole body, whatever the status, or a body that it does not send (HEAD, 204, 304);
- ``error``: the app raised, before or during its body, or never called ``start_response``, or an error handler answered
  500 in its place and told so by ``exc_info``. The status is then 500, which the server sends, unless a part of the
  body had been sent under the app's own status;
- ``client_gone``: the server closed the body before its end, or could not write, which is so when the client has
  gone. The status is 499, as nginx has it, if the app had not come to one.

A file that the server sends by itself (`wsgi.file_wrapper`) is not seen on its way: it counts as ``ok``, with the size
that its Content-Length gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final
from urllib.parse import quote

from dispatcher import wsgi
from dispatcher.wsgi import ExcInfo, Headers, StartResponse, Write, WSGIApplication, WSGIEnvironment

_NO_CONTENT: Final = ("204", "304")
_AT_ONCE: Final = 64 * 1024  # bytes that a server hands to the kernel without waiting for the client


class Exchange:
    """What is seen of one request on its way through an app; `finish` hands it on, once."""

    __slots__ = (
        "_finished", "_start", "_write", "by_server", "complete", "environ", "failed", "gone", "headers", "method",
        "sent", "started", "status", "target",
    )  # fmt: skip

    def __init__(
        self,
        environ: WSGIEnvironment,
        start: StartResponse,
        started: float,
        finished: Callable[[Exchange], None],
    ) -> None:
        self.environ = environ
        self.started = started
        # Taken now: an app may rewrite them. What others add (user, mount, request id) is read at the end.
        self.method: str = environ.get("REQUEST_METHOD", "")
        self.target: str = environ.get("RAW_URI") or environ.get("REQUEST_URI") or _rebuilt(environ)
        self.status = ""
        self.headers: Headers = []
        self.sent = 0  # bytes that the server took
        self.complete = False  # the server came to the end of the body
        self.failed = False  # the app raised
        self.gone = False  # the server could not write
        self.by_server = False  # the server sends the file itself
        self._start = start
        self._finished: Callable[[Exchange], None] | None = finished

    def run(self, app: WSGIApplication) -> Iterable[bytes]:
        """The body of `app`, watched; what the app raises goes on unchanged."""
        try:
            body = app(self.environ, self.start_response)
        except BaseException:
            self.failed = True
            self.finish()
            raise
        return self._watch(body)

    def start_response(self, status: str, headers: Headers, exc_info: ExcInfo | None = None, /) -> Write:
        if exc_info and status.startswith("500"):
            self.failed = True  # an error handler answers in place of the app (PEP 3333, "Error Handling")
        self._write = self._start(status, headers, exc_info)
        self.status, self.headers = status, headers  # only when the server has accepted them
        return self.write

    def write(self, data: bytes) -> None:
        size = len(data)
        if size <= _AT_ONCE and self.sent + size == self.announced():
            self.hand_over(size)
            self._write(data)
            return
        try:
            self._write(data)
        except (AssertionError, TypeError, ValueError):
            raise  # the server refuses what the app hands it
        except Exception:
            self.gone = True
            raise
        self.sent += size

    def _watch(self, body: Iterable[bytes]) -> Iterable[bytes]:
        if wsgi.is_file_wrapper(self.environ, body):
            self.by_server = True
            if 0 <= self.announced() <= _AT_ONCE:
                self.finish()
            return wsgi.after(self.environ, body, self.finish)
        if isinstance(body, list | tuple):
            self.complete = not body
            return _SizedBody(self, body)
        return _Body(self, body)

    def ending(self) -> tuple[str, int | None, str]:
        """Status, bytes of the body (None where the server alone knows) and outcome."""
        status = _code(self.status)
        empty = self.method == "HEAD" or status in _NO_CONTENT or status.startswith("1")
        sent = 0 if empty else self._size_of_file() if self.by_server else self.sent
        if self.gone or not (self.complete or self.failed or empty or self.by_server):
            return status or "499", sent, "client_gone"
        if self.failed or not status:
            return status if status and self.sent else "500", sent, "error"
        return status, sent, "ok"

    def _size_of_file(self) -> int | None:
        announced = self.announced()
        return None if announced < 0 else announced

    def announced(self) -> int:
        """The Content-Length that the app has given, or -1."""
        for name, value in self.headers:
            if len(name) == 14 and name.lower() == "content-length":
                return int(value) if value.isdecimal() else -1
        return -1

    def hand_over(self, size: int) -> None:
        """The last chunk, of `size` bytes, is about to go to the server."""
        self.sent += size
        self.complete = True
        self.finish()

    def finish(self) -> None:
        finished, self._finished = self._finished, None
        if finished is not None:
            finished(self)

    def __del__(self) -> None:
        self.finish()  # for a server that never closes the body


class _Body:
    """The app's body on its way to the server, chunk by chunk, with its bytes counted.

    Not a `wsgi.Body`, because it must see the chunks and whether `close` raises.
    """

    __slots__ = ("_body", "_exchange")

    def __init__(self, exchange: Exchange, body: Iterable[bytes]) -> None:
        self._exchange = exchange
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        exchange = self._exchange
        total = -2  # not asked for: a generator has no headers before its first chunk
        try:
            for chunk in self._body:
                size = len(chunk)
                if not exchange.status:
                    exchange.failed = True  # PEP 3333: not before start_response; what the server does now is its reply
                elif total == -2:
                    total = self._total()
                if exchange.sent + size == total and size <= _AT_ONCE:
                    exchange.hand_over(size)
                    yield chunk
                else:
                    yield chunk
                    exchange.sent += size  # asked for the next, so the server has taken this one
        except GeneratorExit:
            raise
        except BaseException:
            exchange.failed = True
            raise
        exchange.complete = True
        exchange.finish()  # before the server ends a body of unknown length

    def _total(self) -> int:
        return self._exchange.announced()

    def close(self) -> None:
        body, self._body = self._body, ()
        try:
            close = getattr(body, "close", None)
            if close is not None:
                close()
        except BaseException:
            self._exchange.failed = True  # of an answer that had not come to its end
            raise
        finally:
            self._exchange.finish()


class _SizedBody(_Body):
    """As `wsgi.SizedBody`, for the same reason."""

    __slots__ = ()

    def _total(self) -> int:
        return self._exchange.sent + sum(map(len, self._body))

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]  # made only of a list or tuple


def _code(status: str) -> str:
    code = status[:3]
    return code if not code or (code.isascii() and code.isdigit() and len(code) == 3) else "000"


def _rebuilt(environ: WSGIEnvironment) -> str:
    """The request target, quoted as a client would (PEP 3333, "URL Reconstruction")."""
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    query = environ.get("QUERY_STRING")
    target = quote(path, safe="/:@!$&'()*+,;=~", encoding="latin-1", errors="replace")
    return f"{target}?{query}" if query else target
