"""Writes one record for every request, when its response is closed: what was asked, what was sent, and how it ended.

    middleware:
      - access_log: {file: logs/access.log, format: combined, max_bytes: 50MB, backups: 10}

A record has the real status, bytes and outcome (`dispatcher.exchange`), also for an app that streams, uses ``write()``,
raises, or never starts a response. A log that cannot be written never fails a response.

Put it above (outside) whatever it is to measure, and below a middleware that corrects the client's address.
docs/access-log.md describes the formats, what is escaped, and what is hidden.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
import time
from collections.abc import Callable, Iterable, Sequence
from fnmatch import translate
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, ValidatorFunctionWrapHandler, field_validator
from pydantic_core import PydanticCustomError

from dispatcher.exchange import Exchange
from dispatcher.fields import Duration, SitePath, Size
from dispatcher.logfile import BatchedLog, LogFile
from dispatcher.logformat import Record, compile_format
from dispatcher.redaction import Redactor
from dispatcher.rotationoptions import RotationOptions
from dispatcher.wsgi import MOUNT, REQUEST_ID, StartResponse, WSGIApplication, WSGIEnvironment

_STDOUT: Final = Path("/dev/stdout")
_logger: Final = logging.getLogger(__name__)


def _log_format(text: str) -> str:
    try:
        compile_format(text)
    except ValueError as error:
        raise PydanticCustomError("format", "{reason}", {"reason": str(error)}) from None
    return text


def _path_glob(text: str) -> str:
    if not text.startswith(("/", "*")):
        raise PydanticCustomError("path_glob", "expected a path such as /health, or with *, as /static/*")
    return text


def _parameter_glob(text: str) -> str:
    if not re.fullmatch(r"!?[\w.*-]+", text):
        raise PydanticCustomError("parameter", "expected the name of a parameter such as ticket, *_id or !code")
    return text


class AccessLog:
    """Writes a record of each request to a file that any number of processes may share."""

    class Options(RotationOptions):
        file: SitePath = Field(
            default=Path("logs/access.log"), validate_default=True, description="The log file; - is standard output."
        )
        format: Annotated[str, AfterValidator(_log_format)] = Field(
            default="combined", description="common, combined, json, or a template such as {client} {path} {status}."
        )
        buffer: Size = Field(
            default=0, description="Collect so many bytes of records before they are written; 0 writes each at once."
        )
        flush: Duration = Field(default=1.0, gt=0, description="Write what is collected after this time at the latest.")
        redact: tuple[Annotated[str, AfterValidator(_parameter_glob)], ...] = Field(
            default=(), description="More query parameters whose values are hidden; !name shows one that is hidden."
        )
        exclude: tuple[Annotated[str, AfterValidator(_path_glob)], ...] = Field(
            default=(), description="Paths that leave no record, with * for any characters."
        )

        @field_validator("file", mode="wrap")
        @classmethod
        def _standard_output(cls, value: object, handler: ValidatorFunctionWrapHandler) -> Any:
            return _STDOUT if value == "-" else handler(value)

    def __init__(
        self,
        app: WSGIApplication,
        *,
        file: Path = Path("logs/access.log"),
        format: str = "combined",  # noqa: A002  # the name in the YAML
        max_bytes: int = 50_000_000,
        backups: int = 10,
        when: str | None = None,
        at: dt.time | None = None,
        compress: Literal["gzip"] | None = None,
        buffer: int = 0,
        flush: float = 1.0,
        redact: Sequence[str] = (),
        exclude: Sequence[str] = (),
        clock: Callable[[], float] = time.perf_counter,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._app = app
        self._format = compile_format(format)
        self._hide = Redactor(redact)
        self._is_excluded = _matcher(exclude)
        self._clock = clock
        self._now = now
        log = LogFile(file, max_bytes=max_bytes, backups=backups, when=when, at=at, compress=compress)
        self._write: Callable[[bytes], object] = (
            BatchedLog(log, size_bytes=buffer, seconds=flush).write if buffer else log.write
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self._is_excluded is not None and self._is_excluded(_path(environ)):
            return self._app(environ, start_response)
        return Exchange(environ, start_response, self._clock(), self._finished).run(self._app)

    def _finished(self, exchange: Exchange) -> None:
        try:
            self._write(f"{self._format(self._record(exchange))}\n".encode())
        except Exception as error:  # noqa: BLE001  # a log that cannot be written never fails a response
            _logger.warning("a record of the access log could not be written: %r", error)

    def _record(self, exchange: Exchange) -> Record:
        get = exchange.environ.get
        user = get("REMOTE_USER")
        status, sent, outcome = exchange.ending()
        return Record(
            self._now(),
            get("REMOTE_ADDR", ""),
            str(user) if user else "",  # apps set it, to what they please
            get("HTTP_HOST", ""),
            exchange.method,
            self._hide(exchange.target),
            get("SERVER_PROTOCOL", ""),
            status,
            sent,
            self._hide(get("HTTP_REFERER", "")),
            get("HTTP_USER_AGENT") or "",
            self._clock() - exchange.started,
            # The mount table names the mount in the environ that was handed down, so it is known only now.
            _as_wsgi(get(MOUNT, "")),
            get(REQUEST_ID, ""),
            outcome,
        )


def _matcher(globs: Sequence[str]) -> Callable[[str], object] | None:
    """A test for a path as it stands in `environ` (UTF-8 bytes read as Latin-1) that any of `globs` matches."""
    return re.compile("|".join(translate(_as_wsgi(glob)) for glob in globs)).match if globs else None


def _path(environ: WSGIEnvironment) -> str:
    path: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return path


def _as_wsgi(text: str) -> str:
    return text if text.isascii() else text.encode().decode("latin-1")
