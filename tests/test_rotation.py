from __future__ import annotations

import logging
import logging.config
import logging.handlers
import stat
from pathlib import Path

import pytest

from dispatcher.rotation import RotatingFileHandler, TimedRotatingFileHandler


def log_record(message: object, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("shop", logging.INFO, "shop.py", 1, message, arguments, None)


def test_dict_config_makes_one_as_it_makes_the_standard_one(tmp_path: Path) -> None:
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"short": {"format": "%(levelname)s %(message)s"}},
            "handlers": {
                "file": {
                    "class": "dispatcher.rotation.RotatingFileHandler",
                    "filename": str(tmp_path / "app.log"),
                    "maxBytes": 30,
                    "backupCount": 2,
                    "encoding": "utf-8",
                    "delay": True,
                    "when": "midnight",
                    "atTime": "02:30",
                    "formatter": "short",
                }
            },
            "loggers": {"test.dict_config": {"handlers": ["file"], "level": "INFO", "propagate": False}},
        }
    )
    logger = logging.getLogger("test.dict_config")

    logger.info("ordered %d", 5)
    logger.info("paid, and sent")

    assert (tmp_path / "app.log").read_text() == "INFO paid, and sent\n"
    assert len(list(tmp_path.glob("app.log.*"))) == 1
    logger.handlers.pop().close()


def test_it_is_a_file_handler_to_who_asks(tmp_path: Path) -> None:
    handler = RotatingFileHandler(tmp_path / "app.log", maxBytes=10, backupCount=3)

    assert isinstance(handler, logging.FileHandler)
    assert (handler.baseFilename, handler.maxBytes, handler.backupCount) == (str(tmp_path / "app.log"), 10, 3)
    assert handler.stream is None, "who reopens the streams of file handlers, as gunicorn does, leaves it alone"
    handler.close()


@pytest.mark.parametrize("delay", [True, False])
def test_delay_leaves_the_file_to_the_first_record(tmp_path: Path, delay: bool) -> None:
    handler = RotatingFileHandler(tmp_path / "app.log", delay=delay)

    assert (tmp_path / "app.log").exists() is not delay
    handler.handle(log_record("one"))
    assert (tmp_path / "app.log").read_text() == "one\n"


def test_a_new_file_has_the_mode_that_was_asked_for(tmp_path: Path) -> None:
    RotatingFileHandler(tmp_path / "app.log", fileMode=0o600)

    assert stat.S_IMODE((tmp_path / "app.log").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("mode", "max_bytes", "content"),
    [("a", 0, "old\nnew\n"), ("w", 0, "new\n"), ("w", 1000, "old\nnew\n")],
    ids=["append", "overwrite", "overwrite is not for files that rotate"],
)
def test_modes_mean_what_they_mean_in_the_standard_library(
    tmp_path: Path, mode: str, max_bytes: int, content: str
) -> None:
    (tmp_path / "app.log").write_text("old\n")

    RotatingFileHandler(tmp_path / "app.log", mode, max_bytes, 1).handle(log_record("new"))

    assert (tmp_path / "app.log").read_text() == content


@pytest.mark.parametrize(
    ("encoding", "errors", "content"),
    [
        pytest.param(None, None, b"\xc3\xa9 \\udcff\n", id="default"),
        pytest.param("latin-1", "replace", b"\xe9 ?\n", id="asked for"),
    ],
)
def test_what_cannot_be_encoded_is_written_all_the_same(
    tmp_path: Path, encoding: str | None, errors: str | None, content: bytes
) -> None:
    handler = RotatingFileHandler(tmp_path / "app.log", encoding=encoding, errors=errors)

    handler.handle(log_record("é \udcff"))

    assert (tmp_path / "app.log").read_bytes() == content


@pytest.mark.parametrize("encoding", ["utf-16", "UTF_32", "utf-8-sig", "utf-16-be"])
@pytest.mark.parametrize("mode", ["a", "w"])
def test_a_byte_order_mark_stands_at_the_begin_of_each_file_only(tmp_path: Path, encoding: str, mode: str) -> None:
    handler = RotatingFileHandler(tmp_path / "app.log", mode, 40, 3, encoding=encoding)

    for message in ("one", "two", "a record that is too large for one file"):
        handler.handle(log_record(message))

    assert (tmp_path / "app.log").read_bytes() == "a record that is too large for one file\n".encode(encoding)
    older = "".join(path.read_text(encoding) for path in sorted(tmp_path.glob("app.log.*"), reverse=True))
    assert older == "one\ntwo\n"
    assert (tmp_path / "app.log.1").stat().st_size <= 40


def test_an_overwritten_file_begins_with_its_mark_too(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text("old\n", encoding="utf-16")

    RotatingFileHandler(tmp_path / "app.log", "w", encoding="utf-16").handle(log_record("new"))

    assert (tmp_path / "app.log").read_bytes() == "new\n".encode("utf-16")


def test_sizes_that_are_set_later_count(tmp_path: Path) -> None:
    handler = RotatingFileHandler(tmp_path / "app.log")
    handler.handle(log_record("a"))
    handler.maxBytes = 2
    handler.handle(log_record("b"))
    assert not (tmp_path / "app.log.1").exists(), "there is no place for it"

    handler.backupCount = 1
    handler.handle(log_record("c"))
    handler.handle(log_record("d"))

    assert (handler.maxBytes, handler.backupCount) == (2, 1)
    assert (tmp_path / "app.log.1").read_text() == "c\n"
    assert (tmp_path / "app.log").read_text() == "d\n"


def test_a_record_that_cannot_be_formatted_goes_where_logging_sends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = RotatingFileHandler(tmp_path / "app.log")

    handler.handle(log_record("%d", "no number"))
    handler.handle(log_record("next"))

    assert "TypeError" in capsys.readouterr().err
    assert (tmp_path / "app.log").read_text() == "next\n"


def test_a_filter_decides_and_may_put_another_record_in_its_place(tmp_path: Path) -> None:
    class Odd(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            return record.getMessage() in {"1", "3"}

    handler = RotatingFileHandler(tmp_path / "app.log")
    handler.addFilter(Odd())

    for number in range(5):
        handler.handle(log_record(str(number)))

    assert (tmp_path / "app.log").read_text() == "1\n3\n"


def test_a_handler_that_an_app_has_closed_writes_on(tmp_path: Path) -> None:
    handler = RotatingFileHandler(tmp_path / "app.log", maxBytes=1000, backupCount=1)
    handler.handle(log_record("one"))

    handler.close()
    handler.handle(log_record("two"))

    assert (tmp_path / "app.log").read_text() == "one\ntwo\n"


def test_rollover_by_hand(tmp_path: Path) -> None:
    handler = RotatingFileHandler(tmp_path / "app.log", maxBytes=1000, backupCount=1)
    handler.handle(log_record("one"))

    handler.doRollover()
    handler.handle(log_record("two"))

    assert (tmp_path / "app.log.1").read_text() == "one\n"
    assert (tmp_path / "app.log").read_text() == "two\n"


def test_the_timed_one_takes_the_arguments_of_the_standard_one(tmp_path: Path) -> None:
    handler = TimedRotatingFileHandler(tmp_path / "app.log", "midnight", 1, 7, "utf-8", True, True, maxBytes=10)
    standard = logging.handlers.TimedRotatingFileHandler(
        tmp_path / "app.log", "midnight", 1, 7, "utf-8", delay=True, utc=True
    )

    assert handler.computeRollover(1_000_000) == standard.computeRollover(1_000_000)
    for day in range(9):
        (tmp_path / f"app.log.2026-01-0{day + 1}").touch()
    assert sorted(handler.getFilesToDelete()) == sorted(standard.getFilesToDelete())
    assert len(handler.getFilesToDelete()) == 2


@pytest.mark.parametrize("kind", [RotatingFileHandler, TimedRotatingFileHandler])
def test_an_unknown_period_is_an_error(tmp_path: Path, kind: type[RotatingFileHandler]) -> None:
    with pytest.raises(ValueError, match="Invalid rollover interval specified: X") as failed:
        kind(tmp_path / "app.log", when="X")

    handler = failed.traceback[1].locals["self"]
    handler.close()  # `dictConfig` does, as long as it has not been collected


def test_a_rotator_that_is_set_later_gets_a_file_that_nobody_writes_to(tmp_path: Path) -> None:
    given = []

    def rotator(source: str, target: str) -> None:
        given.append(Path(source).name)
        Path(source).rename(target)

    handler = RotatingFileHandler(tmp_path / "app.log", maxBytes=10, backupCount=3)
    handler.handle(log_record("long enough"))
    handler.handle(log_record("by renaming"))
    handler.rotator = rotator
    handler.namer = lambda name: f"{name}.old"
    handler.handle(log_record("by the rotator"))

    assert given == [".app.log.rotating"]
    assert (tmp_path / "app.log.1.old").read_text() == "by renaming\n"


def test_a_subclass_may_rotate_in_its_own_way(tmp_path: Path) -> None:
    class Upper(RotatingFileHandler):
        def rotate(self, source: str, dest: str) -> None:
            Path(dest).write_text(Path(source).read_text().upper())
            Path(source).unlink()

    handler = Upper(tmp_path / "app.log", maxBytes=10, backupCount=3)

    handler.handle(log_record("long enough"))
    handler.handle(log_record("next"))

    assert (tmp_path / "app.log.1").read_text() == "LONG ENOUGH\n"
