from __future__ import annotations

import json
import os
import re
import time as clock
import tracemalloc
from collections.abc import Mapping
from contextlib import suppress
from datetime import time
from pathlib import Path
from textwrap import dedent
from typing import Annotated, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from dispatcher import catalog, config, sections
from dispatcher.config import Config, MiddlewareSpec, Mount, Reload
from dispatcher.errors import ConfigError
from dispatcher.fields import Duration, SitePath
from tests.wrong_configs import HOSTILE, WRONG


def check_rate(value: str) -> str:
    if "/" not in value:
        raise PydanticCustomError("rate", "expected a rate such as 5/second")
    return value


class Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RateLimit(Options):
    limits: tuple[Annotated[str, AfterValidator(check_rate)], ...] = Field(min_length=1)


class Static(Options):
    root: SitePath | None = None
    max_age: Duration = 60


OPTIONS: Mapping[str, type[BaseModel]] = {"rate_limit": RateLimit, "static": Static}
ENVIRON = {"PORT": "8080", "EMPTY": "", "WORD": "many", "BYTES": "\udcff"}
BIG = {"BIG": "x" * 100_000}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the working directory, so that `config.yaml` is in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(text: str | bytes, environ: Mapping[str, str] = ENVIRON) -> Config:
    Path("config.yaml").write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
    return config.read("config.yaml", options=OPTIONS, environ=environ)


def read_section(text: str) -> Config:
    """What is read where nothing but one section and no mount is in the file."""
    return read(f"{text}\nmounts: {{}}\n")


def lines_of(error: ConfigError) -> list[str]:
    """The first line of each problem: what it says without the source line and the caret."""
    return [str(problem).splitlines()[0] for problem in error.problems]


def test_a_file_with_everything_is_read(folder: Path) -> None:
    found = read("""
        x-common: &common {PAGE_SIZE: 20, LANG: no}
        server: {bind: "127.0.0.1:${PORT}", workers: 2, pidfile: run/site.pid}
        reload: {watch: 250ms}
        logging: {level: info, file: logs/app.log, max_bytes: 1MiB, when: midnight, at: 03:30, compress: gzip}
        strict: true
        middleware:
          - static: {root: static, max_age: 1h}
          - my.package:Class: {anything: [1, 2]}
        mounts:
          /: apps.home:create_app
          /todos/:
            app: apps.todos:create_app("x")
            args: {title: Chores}
            config: {<<: *common, DEBUG: true}
            factory: true
            static: false
            middleware: [static]
        """)

    assert found.file == folder / "config.yaml"
    assert found.site.root == folder
    assert found.server == {"bind": "127.0.0.1:8080", "workers": 2, "pidfile": f"{folder}/run/site.pid"}
    assert found.reload == Reload(watch=0.25)
    assert found.logging is not None
    assert found.logging.model_dump() == {
        "level": "INFO",
        "file": folder / "logs/app.log",
        "max_bytes": 2**20,
        "backups": 10,
        "when": "midnight",
        "at": time(3, 30),
        "compress": "gzip",
        "console": True,
        "format": None,
    }
    assert found.strict
    assert found.middleware == (
        MiddlewareSpec("static", {"root": folder / "static", "max_age": 3600.0}, ("middleware", 0)),
        MiddlewareSpec("my.package:Class", {"anything": [1, 2]}, ("middleware", 1)),
    )
    assert found.mounts == (
        Mount("/", "apps.home:create_app", ("mounts", "/")),
        Mount(
            key="/todos",
            app='apps.todos:create_app("x")',
            path=("mounts", "/todos/"),
            args={"title": "Chores"},
            config={"PAGE_SIZE": 20, "LANG": "no", "DEBUG": True},
            middleware=(
                MiddlewareSpec("static", {"root": None, "max_age": 60}, ("mounts", "/todos/", "middleware", 0)),
            ),
            factory=True,
            static=False,
        ),
    )


def test_what_is_not_written_has_a_default(folder: Path) -> None:
    found = read("mounts: {}")

    assert (found.server, found.logging, found.middleware, found.mounts) == ({}, None, (), ())
    assert found.reload == Reload(watch=0.5)
    assert not found.strict


def test_a_section_with_nothing_in_it_counts_as_not_written(folder: Path) -> None:
    found = read("server:\nreload:\nlogging:\nmiddleware:\nmounts:\n  /: {app: 'a:b', args: , middleware: }\n")

    assert (found.server, found.logging, found.middleware) == ({}, None, ())
    assert found.mounts == (Mount("/", "a:b", ("mounts", "/")),)


@pytest.mark.parametrize(("written", "meant"), [("true", Reload()), ("false", None)])
def test_reload_is_switched_by_a_truth_value(folder: Path, written: str, meant: Reload | None) -> None:
    assert read_section(f"reload: {written}").reload == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        pytest.param("unix:run/site.sock", "unix:{folder}/run/site.sock", id="a socket"),
        pytest.param("unix:/run/site.sock", "unix:/run/site.sock", id="a socket with an absolute path"),
        pytest.param("unix://run/site.sock", "unix:{folder}/run/site.sock", id="a socket as a URL"),
        pytest.param("[unix:a.sock, ':80']", ["unix:{folder}/a.sock", ":80"], id="one of several"),
        pytest.param("'[::1]:8000'", "[::1]:8000", id="an IPv6 address"),
    ],
)
def test_a_relative_socket_starts_at_the_folder_of_the_file(folder: Path, written: str, meant: str | list[str]) -> None:
    filled_in = [one.format(folder=folder) for one in ([meant] if isinstance(meant, str) else meant)]

    found = read_section(f"server: {{bind: {written}}}").server["bind"]

    assert found == (filled_in[0] if isinstance(meant, str) else filled_in)


def test_the_console_is_no_path(folder: Path) -> None:
    assert read_section("server: {errorlog: '-', accesslog: a.log}").server == {
        "errorlog": "-",
        "accesslog": f"{folder}/a.log",
    }


def test_the_folder_of_the_file_counts_and_not_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("logging: {file: app.log}\nmounts: {}")

    found = config.read(tmp_path / "config.yaml")

    assert found.logging is not None
    assert found.logging.file == tmp_path / "app.log"


def test_reading_makes_no_file(folder: Path) -> None:
    found = read_section("logging: {file: logs/app.log}\nserver: {pidfile: run/pid}")

    assert list(folder.iterdir()) == [folder / "config.yaml"]
    assert not found.site.runtime.exists()


@pytest.mark.parametrize(("text", "message"), [pytest.param(*row[1:], id=row[0]) for row in WRONG])
def test_a_wrong_file_is_said_with_place_and_way_out(folder: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)

    assert [line.replace(str(folder), "<folder>") for line in lines_of(caught.value)] == [message]


def test_a_file_with_twelve_mistakes_reports_all_twelve_on_their_lines(folder: Path) -> None:
    text = """\
        loging: {}
        server:
          worker: 2
          threads: four
        strict: no
        middleware:
          - rate_limit: {limits: [often]}
          - statik
          - static: {rot: x}
        mounts:
          /: ${NOT_SET}
          todos: a:b
          /a: {app: a:b, app: a:c}
          8000: a:b
          /b:
            midleware: []
        """

    with pytest.raises(ConfigError) as caught:
        read(text)

    assert lines_of(caught.value) == [
        "config.yaml:1:1: loging: unknown key, did you mean 'logging'?",
        "config.yaml:3:3: server.worker: no setting of gunicorn, did you mean 'workers'?",
        "config.yaml:4:12: server.threads: expected a whole number, got 'four'",
        "config.yaml:5:9: strict: expected true or false, got 'no'; write false",
        "config.yaml:7:27: middleware.rate_limit.limits[1]: expected a rate such as 5/second",
        "config.yaml:8:5: middleware.statik: unknown middleware, did you mean 'static'?",
        "config.yaml:9:14: middleware.static.rot: unknown key, did you mean 'root'?",
        "config.yaml:11:6: mounts./: the variable 'NOT_SET' is not set; set it, or write ${NOT_SET:-default}",
        "config.yaml:12:3: mounts.todos: a prefix starts with a slash, write '/todos'",
        "config.yaml:13:18: mounts./a.app: the same key as in line 13; keep one of them",
        "config.yaml:14:3: mounts: a key is text, and '8000' means a number; put it in quotes",
        "config.yaml:15:3: mounts./b.app: missing, write 'app: …'",
        "config.yaml:16:5: mounts./b.midleware: unknown key, did you mean 'middleware'?",
    ]


def test_a_problem_shows_its_line_with_a_caret(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read("mounts:\n  /todos:\n    app: a:b\n    midleware: []\n")

    assert str(caught.value) == (
        "config.yaml:4:5: mounts./todos.midleware: unknown key, did you mean 'middleware'?\n"
        "        midleware: []\n"
        "        ^"
    )


def test_a_password_that_a_variable_brings_is_not_printed(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read("server: {workers: '${STORE}'}", {"STORE": "redis://ada:lovelace@localhost"})

    assert lines_of(caught.value) == [
        "config.yaml:1:19: server.workers: expected a whole number, got 'redis://ada:********@localhost'"
    ]


def test_no_more_than_a_hundred_problems_are_shown(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read("mounts:\n" + "".join(f"  m{number}: a:b\n" for number in range(150)))

    assert len(caught.value.problems) == 101
    assert lines_of(caught.value)[99:] == [
        "config.yaml:101:3: mounts.m99: a prefix starts with a slash, write '/m99'",
        "100 problems are shown, there are more; put these right first",
    ]


def test_more_middleware_than_python_can_call_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read("middleware:\n" + "  - static\n" * 101)

    assert lines_of(caught.value) == [
        "config.yaml:1:1: middleware: more than 100 entries, and each is a call inside a call; use fewer"
    ]
    assert len(read_section("middleware:\n" + "  - static\n" * 100).middleware) == 100


def test_the_file_is_named_as_the_user_named_it(folder: Path) -> None:
    (folder / "sites").mkdir()
    (folder / "sites/a.yaml").write_text("- a")

    with pytest.raises(ConfigError, match=r"^sites/\.\./sites/a\.yaml:1:1: expected a mapping"):
        config.read("sites/../sites/a.yaml")


def test_config_makes_problems_at_the_place_of_a_value(folder: Path) -> None:
    found = read("mounts:\n  /a: a:b\n  /b: {app: a:b}\n  /c: &c {app: a:b}\n  /d: *c\n")

    assert (
        str(found.problem(("mounts", "/a", "app"), "x"))
        == "config.yaml:2:7: mounts./a.app: x\n      /a: a:b\n          ^"
    )
    assert str(found.problem(("mounts", "/b", "app"), "x").place) == "config.yaml:3:13"
    assert str(found.problem(("mounts", "/b", "app"), "x", key=True).place) == "config.yaml:3:8"
    assert str(found.problem(("mounts", "/b", "args"), "x").place) == "config.yaml:3:3"
    assert str(found.problem(("mounts", "/d", "app"), "x").place) == "config.yaml:4:16"
    assert str(found.problem((), "x")) == "config.yaml:1:1: x\n    mounts:\n    ^"


def test_the_options_of_a_class_of_the_users_are_read_through_its_model(folder: Path) -> None:
    found = read_section("middleware:\n  - my.package:Class: {root: files}")

    assert config.read_options(found, found.middleware[0], Static) == {"root": folder / "files", "max_age": 60}


def test_wrong_options_of_a_class_of_the_users_have_their_place(folder: Path) -> None:
    found = read_section("middleware:\n  - my.package:Class: {rot: files, max_age: x}")

    with pytest.raises(ConfigError) as caught:
        config.read_options(found, found.middleware[0], Static)

    assert lines_of(caught.value) == [
        "config.yaml:2:45: middleware.my.package:Class.max_age: "
        "expected a duration such as 250ms, 10s, 5m, 1h or a number of seconds",
        "config.yaml:2:24: middleware.my.package:Class.rot: unknown key, did you mean 'root'?",
    ]


def test_the_environment_wins_over_dotenv_and_is_left_as_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("# secrets\nexport A=file\nB='from file'\nC=${A}/c\nEMPTY=\n")
    monkeypatch.setenv("A", "process")

    (folder / "config.yaml").write_text("mounts: {/: {app: 'a:b', config: {a: '${A}', b: '${B}', c: '${C}'}}}")
    found = config.read("config.yaml")

    assert found.mounts[0].config == {"a": "process", "b": "from file", "c": "process/c"}
    assert found.env == {"A": "file", "B": "from file", "C": "process/c", "EMPTY": ""}
    assert "B" not in os.environ
    assert "from file" not in repr(found).replace(repr(found.mounts), "")


def test_a_wrong_line_of_dotenv_has_its_place(folder: Path) -> None:
    (folder / ".env").write_text("A=1\n\n  B='open\nC=2\n")

    with pytest.raises(ConfigError) as caught:
        read("mounts: {/: '${C}', a: 'b:c'}")

    assert lines_of(caught.value) == [
        ".env:3:3: not a line of a .env file, write NAME=value",
        "config.yaml:1:13: mounts./: module '2' holds '2', which is no Python name",
        "config.yaml:1:21: mounts.a: a prefix starts with a slash, write '/a'",
    ]


def test_a_folder_called_dotenv_is_said(folder: Path) -> None:
    (folder / ".env").mkdir()

    with pytest.raises(ConfigError) as caught:
        read("mounts: {}")

    assert lines_of(caught.value) == [
        ".env: this is a folder, and would hold variables; put a file in its place, or remove it"
    ]


def test_a_virtual_environment_called_dotenv_is_no_matter(folder: Path) -> None:
    (folder / ".env").mkdir()
    (folder / ".env" / "pyvenv.cfg").touch()

    assert read("mounts: {}").env == {}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        pytest.param("server: {workers: 2}\n", "config.yaml", id="no key"),
        pytest.param("server: {workers: 2}\nmounts:\n", "config.yaml:2:1", id="no value"),
    ],
)
def test_a_file_without_mounts_may_be_one_cut_short(folder: Path, text: str, place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)

    assert lines_of(caught.value) == [
        f"{place}: mounts: missing; write below it which app answers where, or 'mounts: {{}}' for a site without apps"
    ]


def test_a_runtime_folder_can_be_given(folder: Path) -> None:
    (folder / "config.yaml").write_text("mounts: {}")

    assert config.read("config.yaml", runtime_folder=folder / "run").site.runtime == folder / "run"


@pytest.mark.parametrize("data", [pytest.param(row[1], id=row[0]) for row in HOSTILE])
def test_a_hostile_file_ends_at_once_with_one_clear_error(folder: Path, data: str) -> None:
    started = clock.process_time()
    with pytest.raises(ConfigError) as caught:
        read(data, BIG)
    seconds = clock.process_time() - started

    assert seconds < 1
    assert 1 <= len(caught.value.problems) <= 101
    assert caught.value.problems[0].place is not None
    assert len(str(caught.value)) < 101 * 2_500


@pytest.mark.parametrize("data", [pytest.param(row[1], id=row[0]) for row in HOSTILE])
def test_a_hostile_file_takes_little_memory(folder: Path, data: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError):
            read(data, BIG)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak_bytes < 50_000_000


WORDS = "server reload logging strict middleware mounts app args static rate_limit /a a:b x-y true 010 1e5 .inf ~"
SIGNS = "${PORT} ${ &a *a << ' \" [ ] { } : , - ? | > ! !!int % @ # \t \0 \x85 \ufeff é"
TOKENS = st.sampled_from([*WORDS.split(" "), *SIGNS.split(" "), " ", "\n", "\n  ", ": ", "\n- "])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary() | st.text().map(str.encode) | st.lists(TOKENS).map(lambda parts: "".join(parts).encode()))
@example(b"")
@example(b"\xff\xfe")
def test_any_bytes_are_a_config_or_a_config_error(folder: Path, data: bytes) -> None:
    with suppress(ConfigError):
        assert read(data).file == folder / "config.yaml"


KEYS = st.text(max_size=40)  # YAML takes no key of over 1024 characters, and an escape has ten
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(KEYS, VALUES))
def test_what_json_can_say_is_read_as_it_was_meant(folder: Path, data: dict[str, Any]) -> None:
    written = json.dumps(data, ensure_ascii=False).replace("${", "$${")
    written = re.sub("[^ -~]", lambda found: f"\\U{ord(found[0]):08x}", written)

    found = read(f'mounts: {{/: {{"app": "a:b", "config": {written}}}}}')

    assert found.mounts[0].config == data


MANUAL = Path(__file__).parents[1] / "docs/configuration.md"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", MANUAL.read_text(), re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: str(text).split(":")[0])
def test_the_examples_of_the_manual_are_read(folder: Path, text: str) -> None:
    (folder / "static").mkdir()
    (folder / "config.yaml").write_text(text if "mounts:" in text else f"{text}\nmounts: {{}}\n")

    found = config.read("config.yaml", options=catalog.OPTIONS, environ={})

    assert found.server or found.mounts or found.middleware


def test_the_manual_names_every_key(folder: Path) -> None:
    manual = MANUAL.read_text()
    keys = [*sections.File.model_fields, *sections.Logging.model_fields, *sections.MountOptions.model_fields]

    assert [key for key in keys if f"`{key}`" not in manual] == []
    assert [name for name in catalog.OPTIONS if f"| `{name}` |" not in manual] == []
