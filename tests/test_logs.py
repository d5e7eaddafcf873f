from __future__ import annotations

import logging
import logging.config
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dispatcher import logs
from dispatcher.sections import Logging
from dispatcher.wsgi import MOUNT, REQUEST_ID, current_environ

pytestmark = pytest.mark.usefixtures("forget")


@pytest.fixture
def request_of_a_mount() -> Iterator[None]:
    """This thread answers a request."""
    token = current_environ.set({MOUNT: "/todos", REQUEST_ID: "id-1"})
    yield
    current_environ.reset(token)


def record_of(log: logging.Logger, message: str, *args: object, **extra: object) -> str:
    """The text that `RequestFormatter` makes of a record."""
    found: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(self.format(record))

    handler = Keeping()
    handler.setFormatter(logs.RequestFormatter("%(levelname)s %(mount)s %(request_id)s %(name)s: %(message)s"))
    log.addHandler(handler)
    try:
        log.warning(message, *args, extra=extra)
    finally:
        log.removeHandler(handler)
    return found[0]


def test_a_record_names_mount_and_request_whichever_app_logged_it(request_of_a_mount: None) -> None:
    assert record_of(logging.getLogger("apps.any"), "swept") == "WARNING /todos id-1 apps.any: swept"


def test_outside_a_request_they_are_dashes() -> None:
    assert record_of(logging.getLogger("apps.any"), "started") == "WARNING - - apps.any: started"


def test_an_app_may_have_fields_of_these_names_for_itself(request_of_a_mount: None) -> None:
    text = record_of(logging.getLogger("apps.any"), "x", mount="mine", request_id="mine")

    assert text == "WARNING /todos id-1 apps.any: x"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        pytest.param("a\nERROR - - root: forged", "a\n    ERROR - - root: forged", id="line feed"),
        pytest.param("a\r\nb", "a\\r\n    b", id="carriage return"),
        pytest.param("a\x1b[31mb", "a\\x1b[31mb", id="terminal sequence"),
        pytest.param("a\x85b\u2028c\u2029d", "a\\x85b\\u2028c\\u2029d", id="Unicode line ends"),
        pytest.param("a\tb", "a\tb", id="a tab stays"),
    ],
)
def test_no_message_looks_like_a_record_of_its_own(message: str, shown: str) -> None:
    assert record_of(logging.getLogger("x"), "%s", message) == f"WARNING - - x: {shown}"


def test_records_go_to_the_file_and_to_the_console(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "logs" / "app.log"

    logs.configure(Logging(file=file))
    logging.getLogger("apps.todos").info("swept")
    logging.getLogger("apps.todos").debug("too fine")

    line = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO - - apps\.todos: swept\n"
    assert re.fullmatch(line, file.read_text())
    assert re.fullmatch(line, capsys.readouterr().err)


def test_without_a_console_there_is_only_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Logging(file=tmp_path / "app.log", console=False, format="%(message)s"))
    logging.getLogger("x").error("kept")

    assert ((tmp_path / "app.log").read_text(), capsys.readouterr().err) == ("kept\n", "")


def test_a_second_call_replaces_the_first_and_keeps_the_handlers_of_others(tmp_path: Path) -> None:
    other = logging.NullHandler()
    root = logging.getLogger()
    before = root.handlers[:]
    root.addHandler(other)

    logs.configure(Logging(file=tmp_path / "one.log", console=False))
    logs.configure(Logging(file=tmp_path / "two.log", console=False, level="ERROR"))
    logging.getLogger("x").error("once")

    assert not (tmp_path / "one.log").exists()
    assert (tmp_path / "two.log").read_text().count("once") == 1
    assert other in root.handlers
    assert len(root.handlers) == len(before) + 2
    assert root.level == logging.ERROR


def test_no_file_is_made_before_there_is_a_record(tmp_path: Path) -> None:
    logs.configure(Logging(file=tmp_path / "app.log", console=False))

    assert list(tmp_path.iterdir()) == [], "the process that only loads the apps may be another user's"


@pytest.mark.parametrize(
    "reconfigure",
    [
        pytest.param(
            lambda: logging.config.dictConfig(
                {"version": 1, "disable_existing_loggers": False, "root": {"level": "INFO", "handlers": []}}
            ),
            id="dictConfig",
        ),
        pytest.param(lambda: logging.basicConfig(force=True, handlers=[logging.NullHandler()]), id="basicConfig"),
        pytest.param(lambda: logging.getLogger().handlers.clear(), id="clear"),  # noqa: PLW0108  # the list of then
    ],
)
def test_an_app_that_configures_logging_in_a_request_does_not_end_the_log(
    tmp_path: Path, reconfigure: Callable[[], None]
) -> None:
    logs.configure(Logging(file=tmp_path / "app.log", console=False, format="%(message)s"))
    logging.getLogger("x").info("before")

    reconfigure()
    logging.getLogger("x").info("after")

    assert (tmp_path / "app.log").read_text() == "before\nafter\n"


def test_an_app_may_remove_its_own_handlers(tmp_path: Path) -> None:
    logs.configure(Logging(file=tmp_path / "app.log", console=False))
    own = [logging.NullHandler() for _ in range(2)]
    logging.getLogger().handlers.extend(own)

    logging.getLogger().removeHandler(own[0])
    assert own[0] not in logging.getLogger().handlers
    logging.getLogger().handlers.clear()

    assert own[1] not in logging.getLogger().handlers


def test_what_an_import_does_to_the_logging_of_others_is_undone(tmp_path: Path) -> None:
    logs.configure(Logging(file=tmp_path / "app.log", console=False, format="%(name)s %(message)s"))
    early = logging.getLogger("somebody.else")
    quiet = logging.getLogger("quiet.on.purpose")
    quiet.disabled = True

    with logs.preserved():
        logging.config.dictConfig({"version": 1, "root": {"level": "CRITICAL", "handlers": []}})
        logging.getLogger().addFilter(lambda record: False)
        logging.disable(logging.CRITICAL)

    early.info("still heard")
    quiet.info("still quiet")
    assert (tmp_path / "app.log").read_text() == "somebody.else still heard\n"


def test_what_an_import_does_to_its_own_loggers_stays(tmp_path: Path) -> None:
    with logs.preserved():
        logging.getLogger("own").setLevel(logging.ERROR)
        logging.getLogger("own").addHandler(logging.NullHandler())

    own = logging.getLogger("own")
    assert (own.level, len(own.handlers)) == (logging.ERROR, 1)


def test_without_logging_the_root_logger_is_the_apps_own() -> None:
    own = logging.NullHandler()

    with logs.preserved() as undone:
        logging.getLogger().addHandler(own)

    assert own in logging.getLogger().handlers
    assert undone == []


def test_it_is_undone_when_the_import_fails_too() -> None:
    logs.configure(Logging())
    handlers = logging.getLogger().handlers[:]

    def fails() -> None:
        logging.getLogger().handlers.clear()
        raise RuntimeError("at import")

    with pytest.raises(RuntimeError, match="at import"), logs.preserved():
        fails()

    assert logging.getLogger().handlers == handlers
