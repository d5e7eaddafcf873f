"""Opens a file that was found, and sends it, or what there is to say instead, as WSGI."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Final, NamedTuple

from dispatcher.staticfiles.folder import open_file
from dispatcher.staticfiles.representation import Representation, decide, partial
from dispatcher.wsgi import StartResponse, WSGIEnvironment, respond

_BLOCK_BYTES: Final = 65536
_ALLOW: Final = ("Allow", "GET, HEAD, OPTIONS")
_STATUS_LINES: Final = {status: f"{status} {status.phrase}" for status in HTTPStatus}


class Answer(NamedTuple):
    """`status` for a file that is as `facts` say, of which `part` is asked for; `file` is open if it is to be sent."""

    status: HTTPStatus
    facts: Representation
    part: tuple[int, int]
    file: io.FileIO | None


def prepare(environ: WSGIEnvironment, known: Representation) -> Answer:
    """Look at the file of `known` and decide. OSError or NotARegularFileError if it cannot be opened (any more)."""
    if environ.get("HTTP_IF_NONE_MATCH") or environ.get("HTTP_IF_MODIFIED_SINCE"):
        # Most of these end in a 304, and for that one system call is enough.
        facts = known.as_of(os.lstat(known.path))
        status, part = decide(environ, facts)
        if status is HTTPStatus.NOT_MODIFIED:
            return Answer(status, facts, part, None)
    file, facts = open_file(known)
    status, part = decide(environ, facts)
    if status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT) and environ["REQUEST_METHOD"] != "HEAD":
        return Answer(status, facts, part, file)
    file.close()
    return Answer(status, facts, part, None)


def send(environ: WSGIEnvironment, start_response: StartResponse, answer: Answer) -> Iterable[bytes]:
    """Send what was prepared; the server closes the file, or this does where it never gets it."""
    status, facts, part, file = answer
    if file is None:
        return _without_content(environ, start_response, status, facts)
    try:
        headers = list(facts.whole) if status is HTTPStatus.OK else partial(facts, part)
        start_response(_STATUS_LINES[status], headers)
        return _content(environ, file, facts, part)
    except BaseException:
        file.close()
        raise


def _without_content(
    environ: WSGIEnvironment, start_response: StartResponse, status: HTTPStatus, facts: Representation
) -> Iterable[bytes]:
    if status >= HTTPStatus.BAD_REQUEST:
        size = ("Content-Range", f"bytes */{facts.size}")
        named = {HTTPStatus.METHOD_NOT_ALLOWED: [_ALLOW], HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: [size]}
        return respond(environ, start_response, status, headers=named.get(status, []))
    headers = {HTTPStatus.OK: facts.whole, HTTPStatus.NOT_MODIFIED: facts.unchanged, HTTPStatus.NO_CONTENT: [_ALLOW]}
    start_response(_STATUS_LINES[status], list(headers[status]))
    return []


def _content(
    environ: WSGIEnvironment, file: io.FileIO, facts: Representation, part: tuple[int, int]
) -> Iterable[bytes]:
    """The bytes of `part`. Up to the end of the file the server gets the file itself, so that it can use sendfile.

    It stops at Content-Length then (PEP 3333), should the file grow; a file wrapper of our own could not know that.
    """
    start, stop = part
    if start:
        file.seek(start)
    wrapper: Callable[[object, int], Iterable[bytes]] | None = environ.get("wsgi.file_wrapper")
    if wrapper is not None and stop == facts.size:
        return wrapper(file, _BLOCK_BYTES)
    piece = _Slice(file, stop - start)
    return piece if wrapper is None else wrapper(piece, _BLOCK_BYTES)


class _Slice:
    """`remaining` bytes of an open file from where it stands: a file, and a WSGI body. Closing it closes the file."""

    __slots__ = ("_file", "_remaining", "close")

    def __init__(self, file: io.FileIO, remaining: int) -> None:
        self._file = file
        self._remaining = remaining
        self.close = file.close

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(_BLOCK_BYTES), b"")

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(self._remaining if size < 0 else min(size, self._remaining)) or b""
        self._remaining -= len(data)
        return data
