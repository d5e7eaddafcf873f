"""What a file answers to a request: which of its encodings, whether it has changed, which bytes of it.

Pure functions over `environ` and a `Representation` (RFC 9110: the file as it is, or its compressed sibling). Finding
and opening it is the business of `folder`, sending it that of `answer`. The parsers are werkzeug's; what stands here
are the rules of RFC 9110 that neither werkzeug nor WhiteNoise keep: the order of the conditions (section 13.2.2), `*`
and strong comparison in If-Match and If-Range, HEAD without ranges.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus

from werkzeug.datastructures import ETags
from werkzeug.http import http_date, parse_accept_header, parse_date, parse_etags, parse_range_header

from dispatcher.wsgi import Headers, WSGIEnvironment

IDENTITY = "identity"


@dataclass(frozen=True, slots=True)
class Representation:
    """The bytes of the file at `path`, in `encoding` (``identity``, ``gzip`` or ``br``), as they were at one moment.

    `common` are the headers that do not depend on the content, `whole` all those of a 200, `unchanged` those of a 304.
    """

    path: str
    encoding: str
    common: Headers
    size: int
    modified_ns: int
    etag: str
    last_modified: str
    whole: Headers
    unchanged: Headers

    def as_of(self, stat: os.stat_result) -> Representation:
        """This one if `stat` says that the file is as it was, otherwise a new one."""
        if stat.st_mtime_ns == self.modified_ns and stat.st_size == self.size:
            return self
        return represent(self.path, self.encoding, self.common, stat)


def represent(path: str, encoding: str, common: Headers, stat: os.stat_result) -> Representation:
    """The file at `path`, of which `stat` is true, with all headers made once.

    The ETag is strong, since If-Range takes no other (RFC 9110 section 13.1.5): modification time in nanoseconds, size
    and encoding, so that no two encodings share one (section 8.8.3.3). Without the inode: hosts that got the file
    from one archive agree.
    """
    etag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}{"" if encoding == IDENTITY else "-" + encoding}"'
    last_modified = _last_modified(stat)
    dated = [("Last-Modified", last_modified)] if last_modified else []
    encoded = [] if encoding == IDENTITY else [("Content-Encoding", encoding)]
    whole = [
        ("Content-Length", str(stat.st_size)),
        ("ETag", etag),
        *dated,
        *encoded,
        ("Accept-Ranges", "bytes"),
        *common,
    ]
    # RFC 9110 section 15.4.5: a 304 says what guides a cache, and nothing of a content that it does not carry.
    unchanged = [("ETag", etag), *(item for item in common if not item[0].lower().startswith("content-"))]
    return Representation(path, encoding, common, stat.st_size, stat.st_mtime_ns, etag, last_modified, whole, unchanged)


def _last_modified(stat: os.stat_result) -> str:
    """The HTTP date, or "": an epoch of 0 is no date, and RFC 9110 section 8.8.2.1 forbids one that lies ahead."""
    return http_date(stat.st_mtime) if 1 <= stat.st_mtime <= time.time() else ""


@lru_cache(maxsize=256)
def preferred(accept_encoding: str, offered: tuple[str, ...]) -> str:
    """The encoding to send out of `offered` (smallest first): the best `q`, then the smallest.

    Where none is acceptable, `identity` (RFC 9110 section 12.5.3), and where it goes unmentioned it is the last resort.
    """
    accepted = parse_accept_header(accept_encoding)
    mentioned = {name.lower() for name, _ in accepted}

    def quality(coding: str) -> float:
        last_resort = coding == IDENTITY and not mentioned & {IDENTITY, "*"}
        return 0.0001 if last_resort else accepted.quality(coding)

    best = max(offered, key=quality)
    return best if quality(best) > 0 else IDENTITY


def decide(environ: WSGIEnvironment, file: Representation) -> tuple[HTTPStatus, tuple[int, int]]:
    """The status of the answer, and the first byte of the content and the one after the last.

    200 and 206 have content; 204 answers OPTIONS; 304, 405, 412 and 416 are what they always are.
    """
    whole = (0, file.size)
    method = environ["REQUEST_METHOD"]
    if method not in ("GET", "HEAD"):
        return (HTTPStatus.NO_CONTENT if method == "OPTIONS" else HTTPStatus.METHOD_NOT_ALLOWED), whole
    status = precondition(environ, file)
    # RFC 9110 section 14.2: HEAD knows no ranges, and so is the answer to a GET without one.
    if status is not HTTPStatus.OK or method == "HEAD" or "HTTP_RANGE" not in environ:
        return status, whole
    part = byte_range(environ, file)
    if part is None:
        return status, whole
    satisfiable = part[0] < part[1]
    return (HTTPStatus.PARTIAL_CONTENT if satisfiable else HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE), part


def partial(file: Representation, part: tuple[int, int]) -> Headers:
    """The headers of a 206 for the bytes from `part[0]` up to but not including `part[1]`."""
    start, stop = part
    return [
        ("Content-Length", str(stop - start)),
        ("Content-Range", f"bytes {start}-{stop - 1}/{file.size}"),
        *(item for item in file.whole if item[0] != "Content-Length"),
    ]


def precondition(environ: WSGIEnvironment, file: Representation) -> HTTPStatus:
    """200, or what the request's conditions make of it: 304 or 412, in the order of RFC 9110 section 13.2.2."""
    if tags := environ.get("HTTP_IF_MATCH"):
        if not _tags(tags).contains(_opaque(file)):
            return HTTPStatus.PRECONDITION_FAILED
    elif _changed_since(file, environ.get("HTTP_IF_UNMODIFIED_SINCE")) is True:
        return HTTPStatus.PRECONDITION_FAILED
    if tags := environ.get("HTTP_IF_NONE_MATCH"):
        if tags == file.etag or _tags(tags).contains_weak(_opaque(file)):
            return HTTPStatus.NOT_MODIFIED
    elif _changed_since(file, environ.get("HTTP_IF_MODIFIED_SINCE")) is False:
        return HTTPStatus.NOT_MODIFIED
    return HTTPStatus.OK


def _tags(value: str) -> ETags:
    return parse_etags(value.strip())


def _opaque(file: Representation) -> str:
    return file.etag[1:-1]


def _changed_since(file: Representation, value: str | None) -> bool | None:
    """Whether the file is newer than the HTTP date `value`; None if that or the file's own date is none."""
    if not value or not file.last_modified:
        return None
    if value == file.last_modified:  # browsers send back what they were given
        return False
    since = _date(value)
    return None if since is None else file.modified_ns // 10**9 > since.timestamp()


def _date(value: str) -> datetime | None:
    try:
        return parse_date(value)
    except OverflowError:  # a year of twenty digits, which werkzeug lets through
        return None


def byte_range(environ: WSGIEnvironment, file: Representation) -> tuple[int, int] | None:
    """The first byte and the one after the last that the Range asks for, or None for the whole file.

    Equal ones mean that no byte of the file lies in the range. What is malformed or asks for several ranges gets the
    whole file, as RFC 9110 section 14.2 allows; so does any range of an empty file, which no Content-Range could say.
    """
    asked = parse_range_header(environ.get("HTTP_RANGE"))
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1 or not file.size:
        return None
    if not _if_range(environ, file):
        return None
    start, stop = asked.ranges[0]
    if start < 0:
        # A suffix longer than the file is the whole of it (section 14.1.2); werkzeug would call it unsatisfiable.
        return max(start + file.size, 0), file.size
    return min(start, file.size), file.size if stop is None else min(stop, file.size)


def _if_range(environ: WSGIEnvironment, file: Representation) -> bool:
    """Whether the client's parts are of this very file: the same strong ETag, or the very date (section 13.1.5)."""
    value = environ.get("HTTP_IF_RANGE")
    if not value or value == file.etag:
        return True
    if '"' in value or not file.last_modified:  # another tag, or a weak one
        return False
    date = _date(value)
    return date is not None and date == datetime.fromtimestamp(file.modified_ns // 10**9, UTC)
