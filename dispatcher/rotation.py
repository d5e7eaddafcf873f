"""`logging` handlers that any number of processes and threads may use on one file: rotation loses no record.

Drop-in for `logging.handlers.RotatingFileHandler` and `TimedRotatingFileHandler`: the same arguments and attributes,
in `logging.config.dictConfig` too. docs/logging.md says what is promised; `dispatcher.logfile` keeps it.
"""

from __future__ import annotations

import codecs
import datetime as dt
import logging
import sys
from functools import partial
from logging.handlers import BaseRotatingHandler
from os import PathLike
from typing import Any, Literal

from dispatcher.logfile import LogFile
from dispatcher.logfile.schedule import Schedule


class RotatingFileHandler(BaseRotatingHandler):
    """Rotates by size as `logging.handlers.RotatingFileHandler` does, and with `when` by time as well.

    Further arguments, by keyword: `when`, `interval`, `utc`, `atTime` (a `datetime.time`, or its text as ``"02:30"``),
    `compress` (``"gzip"``) and `fileMode` (of a new file). Other defaults than there: `encoding` is UTF-8, and `errors`
    is "backslashreplace", because a record with a lone surrogate is still a record. A file that cannot be opened or
    written raises nothing: that is reported on stderr.
    """

    stream: Any  # always None: the descriptor is the LogFile's

    def __init__(
        self,
        filename: str | PathLike[str],
        mode: str = "a",
        maxBytes: int = 0,  # noqa: N803  # the names of the standard library
        backupCount: int = 0,  # noqa: N803
        encoding: str | None = None,
        delay: bool = False,
        errors: str | None = None,
        *,
        when: str | None = None,
        interval: int = 1,
        utc: bool = False,
        atTime: dt.time | str | None = None,  # noqa: N803
        compress: Literal["gzip"] | None = None,
        fileMode: int = 0o640,  # noqa: N803
    ) -> None:
        # `delay`: the base class must not open anything.
        super().__init__(filename, "a", encoding or "utf-8", delay=True, errors=errors or "backslashreplace")
        self._encoding, head = _with_one_mark(encoding or "utf-8")
        self._errors = self.errors or ""
        self._maxBytes, self._backupCount = maxBytes, backupCount
        self._make_log = partial(
            LogFile,
            self.baseFilename,
            when=when,
            interval=interval,
            at=dt.time.fromisoformat(atTime) if isinstance(atTime, str) else atTime,
            utc=utc,
            compress=compress,
            mode=fileMode,
            head=head,
            name=self.rotation_filename,
            move=self.rotate,
            renames=self._renames,
        )
        self._start()
        if not delay:
            self.log.open(truncate=mode == "w" and not maxBytes and when is None)

    def _start(self) -> None:
        self.log = self._make_log(max_bytes=self._maxBytes, backups=self._backupCount)
        self._write = self.log.write

    @property
    def maxBytes(self) -> int:  # noqa: N802
        """The size in bytes that no file outgrows; 0: any. May be set, by all processes alike."""
        return self._maxBytes

    @maxBytes.setter
    def maxBytes(self, value: int) -> None:  # noqa: N802
        self._maxBytes = value
        self.log.close()
        self._start()

    @property
    def backupCount(self) -> int:  # noqa: N802
        """How many files are kept beside the live one. May be set, by all processes alike."""
        return self._backupCount

    @backupCount.setter
    def backupCount(self, value: int) -> None:  # noqa: N802
        self._backupCount = value
        self.log.close()
        self._start()

    def handle(self, record: logging.LogRecord) -> bool:
        # Without the handler's lock: LogFile needs none, and under threads the waiting for it costs more than the rest.
        kept: Any = self.filter(record)
        if kept:
            self.emit(kept if isinstance(kept, logging.LogRecord) else record)
        return kept  # type: ignore[no-any-return]  # since Python 3.12 a filter may answer with a record

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._write((self.format(record) + self.terminator).encode(self._encoding, self._errors))
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001  # as every handler does: a record that cannot be formatted ends no request
            self.handleError(record)

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802
        """Whether this record would be the first of a new file."""
        if not self.log.is_due(self.maxBytes + 1):
            return False  # empty, or not a file: no record is too large for that, nor formatted to find out
        return self.log.is_due(len((self.format(record) + self.terminator).encode(self._encoding, self._errors)))

    def doRollover(self) -> None:  # noqa: N802
        """Rotate now."""
        self.log.rotate()

    def _renames(self) -> bool:
        return not callable(self.rotator) and type(self).rotate is BaseRotatingHandler.rotate

    def close(self) -> None:
        if hasattr(self, "log"):  # `dictConfig` closes all handlers, also one whose arguments were wrong
            self.log.close()
        super().close()


def _with_one_mark(encoding: str) -> tuple[str, bytes]:
    """The encoding for a record, and the byte order mark that belongs only at the begin of a file."""
    order = "le" if sys.byteorder == "little" else "be"
    plain = {"utf-16": f"utf-16-{order}", "utf-32": f"utf-32-{order}", "utf-8-sig": "utf-8"}
    name = codecs.lookup(encoding).name
    return plain.get(name, encoding), "".encode(encoding) if name in plain else b""


class TimedRotatingFileHandler(RotatingFileHandler):
    """The same with the arguments of `logging.handlers.TimedRotatingFileHandler`; `maxBytes` may be given too."""

    def __init__(
        self,
        filename: str | PathLike[str],
        when: str = "h",
        interval: int = 1,
        backupCount: int = 0,  # noqa: N803
        encoding: str | None = None,
        delay: bool = False,
        utc: bool = False,
        atTime: dt.time | str | None = None,  # noqa: N803
        errors: str | None = None,
        *,
        maxBytes: int = 0,  # noqa: N803
        compress: Literal["gzip"] | None = None,
        fileMode: int = 0o640,  # noqa: N803
    ) -> None:
        super().__init__(
            filename,
            "a",
            maxBytes,
            backupCount,
            encoding,
            delay,
            errors,
            when=when,
            interval=interval,
            utc=utc,
            atTime=atTime,
            compress=compress,
            fileMode=fileMode,
        )
        self.when = when.upper()
        self.utc = utc
        self._schedule = self.log.schedule or Schedule(when, interval, utc=utc)

    def computeRollover(self, currentTime: int) -> float:  # noqa: N802, N803
        """When a file that was started at `currentTime` is over, both in seconds since the epoch."""
        return float(self._schedule.rules.computeRollover(currentTime))

    def getFilesToDelete(self) -> list[str]:  # noqa: N802
        """The backups that are one too many."""
        return self.log.too_old()
