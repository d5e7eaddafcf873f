"""`logging` handlers that any number of processes and threads may use on one file: rotation loses no record.

Drop-in for `logging.handlers.RotatingFileHandler` and `TimedRotatingFileHandler`: the same arguments and attributes,
in `logging.config.dictConfig` too. docs/logging.md says what is promised; `dispatcher.logfile` keeps it.
"""

from __future__ import annotations

import datetime as dt
import logging
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
        self._encoding, self._errors = encoding or "utf-8", errors or "backslashreplace"
        super().__init__(filename, "a", self._encoding, delay=True, errors=self._errors)
        self.maxBytes = maxBytes
        self.backupCount = backupCount
        self.log = LogFile(
            filename,
            max_bytes=maxBytes,
            backups=backupCount,
            when=when,
            interval=interval,
            at=dt.time.fromisoformat(atTime) if isinstance(atTime, str) else atTime,
            utc=utc,
            compress=compress,
            mode=fileMode,
            name=self.rotation_filename,
            move=self.rotate,
            renames=self._renames,
        )
        self._write = self.log.write
        if not delay:
            self.log.open(truncate=mode == "w" and not maxBytes and when is None)

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
        self.log.close()
        super().close()


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
