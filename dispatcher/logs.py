"""`logging:` → the root logger's handlers, and the request's facts in each record, whichever app logged it.

`configure` is called once in each process that answers requests. `preserved` goes around everything that may run an
app's own code at import: an app that calls `logging.config.dictConfig` there closes and removes the handlers of
everybody and disables every logger that exists. That is undone; what it did to loggers by their name stays. An app
that does it later, while it answers a request, does not get rid of our handlers either.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dispatcher.config import Logging
from dispatcher.rotation import RotatingFileHandler
from dispatcher.wsgi import MOUNT, REQUEST_ID, current_environ

FORMAT: Final = "%(asctime)s %(levelname)s %(mount)s %(request_id)s %(name)s: %(message)s"

# A line end or a terminal sequence in a message must not look like a record of its own.
_CONTROL: Final = {
    **{code: f"\\x{code:02x}" for code in (*range(9), 11, 12, *range(14, 32), *range(127, 160))},
    ord("\r"): "\\r",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
    ord("\n"): "\n    ",
}


class RequestFormatter(logging.Formatter):
    """Formats records with two more fields, ``%(mount)s`` and ``%(request_id)s``: ``-`` outside a request.

    They are put in here and not on the record: an app that logs ``extra={"request_id": …}`` would otherwise get a
    `KeyError` from `logging`. A record is one line at column 0; its further lines (a traceback) are indented.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the name that logging calls
        environ = current_environ.get() or {}
        facts = {"mount": environ.get(MOUNT, "-"), "request_id": environ.get(REQUEST_ID, "-")}
        return self._style._fmt % {**record.__dict__, **facts}

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).translate(_CONTROL)


class _Handlers(list[logging.Handler]):
    """The root logger's handlers, of which ours are not removed by those who remove all, as `dictConfig` does.

    To look after each request whether they are still there would cost every request, and find it out too late.
    """

    def remove(self, handler: logging.Handler) -> None:
        if not _is_ours(handler):
            super().remove(handler)

    def clear(self) -> None:
        self[:] = [handler for handler in self if _is_ours(handler)]


def _is_ours(handler: logging.Handler) -> bool:
    return isinstance(handler.formatter, RequestFormatter)


def configure(options: Logging) -> None:
    """Give the root logger the file and the console of `options`, in place of those of an earlier call."""
    root = logging.getLogger()
    handlers: list[logging.Handler] = []
    if options.file is not None:
        handlers.append(_file_handler(options.file, options))
    if options.console:
        handlers.append(logging.StreamHandler(sys.stderr))
    formatter = RequestFormatter(options.format or FORMAT)
    for handler in handlers:
        handler.setFormatter(formatter)
    old = [handler for handler in root.handlers if _is_ours(handler)]
    root.handlers = _Handlers([*handlers, *(handler for handler in root.handlers if handler not in old)])
    for handler in old:
        handler.close()
    root.setLevel(options.level)


def _file_handler(file: Path, options: Logging) -> logging.Handler:
    return RotatingFileHandler(
        file,
        maxBytes=options.max_bytes,
        backupCount=options.backups,
        when=options.when,
        atTime=options.at,
        compress=options.compress,
        # By its first record: made here it would belong to root, where gunicorn starts as root and loads the apps
        # before it becomes the user of its workers.
        delay=True,
    )


@contextmanager
def preserved() -> Iterator[list[str]]:
    """Undo what the code inside does to the root logger that `configure` has set up, and which loggers it disables.

    What was undone is in the list that the block gets, after the block. Without `configure` the root logger is the
    apps' own: what `logging.basicConfig` does to it stays.
    """
    undone: list[str] = []
    root = logging.getLogger()
    is_ours = any(map(_is_ours, root.handlers))
    handlers, filters, level, disabled = root.handlers[:], root.filters[:], root.level, logging.root.manager.disable
    silent = {name for name, logger in _loggers() if logger.disabled}
    try:
        yield undone
    finally:
        silenced = [logger for name, logger in _loggers() if logger.disabled and name not in silent]
        if is_ours and (root.handlers, root.filters, root.level) != (handlers, filters, level):
            undone.append("the root logger")
            root.handlers[:] = handlers
            root.filters[:] = filters
            root.setLevel(level)
        if silenced or logging.root.manager.disable != disabled:
            undone.append("what other loggers write")
        logging.disable(disabled)
        for logger in silenced:
            logger.disabled = False


def _loggers() -> Iterator[tuple[str, logging.Logger]]:
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger):
            yield name, logger
