from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dispatcher.errors import LoadError
from dispatcher.loader import add_import_path, load_app, load_object

SITE = """
import functools
from flask import Flask

def app(environ, start_response):
    start_response("200 OK", [])
    return [b"app"]

flask_app = Flask(__name__)

def create_app(title="none", config=None):
    made = Flask(__name__)
    made.title = title
    made.seen = config
    return made

def needs(name):
    return app

def two(name, config):
    return app

def star(*args):
    return app(*args)

@functools.wraps(app)
def wrapped(*args):
    return app(*args)

class Made:
    def __call__(self, environ, start_response):
        return app(environ, start_response)

class holder:
    inner = flask_app

def nothing():
    pass

def text():
    return "text"

def fails():
    raise RuntimeError("no database")

def exits():
    raise SystemExit(3)

def leaves():
    raise GeneratorExit

def __getattr__(name):
    if name == "lazy":
        raise RuntimeError("no database")
    raise AttributeError(name)

async def asgi(scope, receive, send):
    pass

def make_asgi():
    return asgi

part = functools.partial(create_app, "part")
TITLE = "Chores"
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the import path with modules of several kinds; they are forgotten afterwards."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    before = set(sys.modules)
    for name, source in {
        "lab.py": SITE,
        "broken.py": "def app(:\n",
        "raises.py": "raise ValueError('bad setting')\n",
        "by_hand.py": "raise ModuleNotFoundError('install the extra')\n",
        "quits.py": "import sys\nsys.exit(2)\n",
        "leaves.py": "raise GeneratorExit\n",
        "needy.py": "import flask_sqlalchemmy\n",
    }.items():
        (tmp_path / name).write_text(source)
    package = tmp_path / "pack"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "home.py").write_text("def create_app():\n    return lambda environ, start_response: []\n")
    add_import_path(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("lab:app", id="a function of environ and start_response"),
        pytest.param("lab:wrapped", id="a decorated one, by its __wrapped__"),
        pytest.param("lab:two", id="any two required arguments"),
        pytest.param("lab:flask_app", id="an object"),
        pytest.param("lab:holder.inner", id="dotted attributes"),
    ],
)
def test_an_app_is_taken_as_it_is(site: Path, text: str) -> None:
    assert load_app(text) is load_object(text)


@pytest.mark.parametrize(
    ("text", "options", "title"),
    [
        pytest.param("lab:create_app", {}, "none", id="a function without required arguments"),
        pytest.param("lab:create_app()", {}, "none", id="a call"),
        pytest.param("lab:create_app('x')", {}, "x", id="a call with a literal"),
        pytest.param("lab:create_app", {"args": {"title": "y"}}, "y", id="args"),
        pytest.param("lab:create_app(config={})", {"args": {"title": "y"}}, "y", id="a call and args"),
        pytest.param("lab:part", {}, "part", id="a partial"),
    ],
)
def test_a_factory_is_called(site: Path, text: str, options: dict[str, Any], title: str) -> None:
    app: Any = load_app(text, **options)

    assert app.title == title


def test_a_class_is_a_factory(site: Path) -> None:
    assert type(load_app("lab:Made")).__name__ == "Made"


def test_two_required_arguments_with_args_make_a_factory(site: Path) -> None:
    assert load_app("lab:two", args={"name": 1, "config": 2}) is load_object("lab:app")


def test_factory_false_takes_what_is_named(site: Path) -> None:
    assert load_app("lab:create_app", factory=False) is load_object("lab:create_app")
    assert load_app("lab:star", factory=False) is load_object("lab:star")


def test_config_goes_into_a_flask_apps_config_and_to_a_factory_that_asks(site: Path) -> None:
    app: Any = load_app("lab:create_app", config={"PAGE_SIZE": 20})

    assert app.config["PAGE_SIZE"] == 20
    assert app.seen == {"PAGE_SIZE": 20}


def test_config_goes_into_a_flask_app_that_is_no_factory(site: Path) -> None:
    app: Any = load_app("lab:flask_app", config={"PAGE_SIZE": 20})

    assert app.config["PAGE_SIZE"] == 20


SEARCHED = "looked in the folder of the config and in the installed packages"


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        pytest.param("labb:app", {}, f"no module 'labb', did you mean 'lab'?; {SEARCHED}", id="no module"),
        pytest.param("zzzzzz:app", {}, f"no module 'zzzzzz'; {SEARCHED}", id="no module, nothing near"),
        pytest.param(
            "pack.hom:create_app", {}, f"no module 'pack.hom', did you mean 'pack.home'?; {SEARCHED}", id="no submodule"
        ),
        pytest.param("lab.sub:app", {}, f"no module 'lab.sub'; {SEARCHED}", id="a module is no package"),
        pytest.param(
            "needy:app",
            {},
            "'needy' imports 'flask_sqlalchemmy', and there is no such module; install it or mend the import",
            id="an import of the module fails",
        ),
        pytest.param(
            "lab:create_ap",
            {},
            "module 'lab' has no attribute 'create_ap', did you mean 'create_app'?",
            id="no attribute",
        ),
        pytest.param("lab:holder.iner", {}, "'lab:holder' has no attribute 'iner', did you mean 'inner'?", id="dotted"),
        pytest.param(
            "lab:TITLE", {}, "'lab:TITLE' is a str, neither a WSGI app nor a factory; name a callable", id="text"
        ),
        pytest.param(
            "lab:TITLE()", {}, "'lab:TITLE()' is a str, not a factory; name a callable", id="a call of a text"
        ),
        pytest.param(
            "lab:needs", {}, "the factory 'lab:needs' needs 'name'; give it in 'args:'", id="missing argument"
        ),
        pytest.param(
            "lab:star",
            {},
            "cannot tell whether 'lab:star' is a WSGI app or a factory; say 'factory: true' or 'factory: false'",
            id="ambiguous",
        ),
        pytest.param(
            "lab:nothing", {}, "the factory 'lab:nothing' returned None, not a WSGI app; return the app", id="None"
        ),
        pytest.param(
            "lab:text", {}, "the factory 'lab:text' returned a str, not a WSGI app; return the app", id="a str"
        ),
        pytest.param("lab:fails", {}, "calling 'lab:fails' raised RuntimeError: no database", id="factory raises"),
        pytest.param("lab:exits", {}, "calling 'lab:exits' ended in sys.exit(3)", id="factory exits"),
        pytest.param("lab:leaves", {}, "calling 'lab:leaves' raised GeneratorExit", id="factory raises no Exception"),
        pytest.param(
            "lab:lazy",
            {},
            "module 'lab' raised RuntimeError: no database for its attribute 'lazy'",
            id="lazy attribute",
        ),
        pytest.param("leaves:app", {}, "importing 'leaves' raised GeneratorExit", id="import raises no Exception"),
        pytest.param("raises:app", {}, "importing 'raises' raised ValueError: bad setting", id="import raises"),
        pytest.param(
            "by_hand:app",
            {},
            "importing 'by_hand' raised ModuleNotFoundError: install the extra",
            id="import raises an import error by hand",
        ),
        pytest.param(
            "quits:app", {}, "importing 'quits' called sys.exit(2); move that below a __main__ guard", id="import exits"
        ),
        pytest.param(
            "lab:make_asgi",
            {},
            "the factory 'lab:make_asgi' returned a function: an ASGI app, which WSGI cannot call; "
            "wrap it in a2wsgi.ASGIMiddleware",
            id="ASGI",
        ),
        pytest.param(
            "lab:create_app",
            {"args": {"titel": 1}},
            "'lab:create_app' cannot be called so: got an unexpected keyword argument 'titel'",
            id="wrong args",
        ),
        pytest.param(
            "lab:create_app(title='x')",
            {"args": {"title": "y"}},
            "'title' is given in the call and in 'args:'; leave one out",
            id="argument twice",
        ),
        pytest.param(
            "lab:app",
            {"config": {"A": 1}},
            "'config:' is for Flask apps, and 'lab:app' gives a function; use 'args:'",
            id="config for another app",
        ),
    ],
)
def test_what_cannot_be_loaded_says_why(site: Path, text: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(LoadError) as caught:
        load_app(text, **options)

    assert [problem.what for problem in caught.value.problems] == [message]


def test_a_syntax_error_says_where_it_is(site: Path) -> None:
    with pytest.raises(LoadError) as caught:
        load_app("broken:app")

    assert caught.value.problems[0].what == f"'broken' has a syntax error at {site / 'broken.py'}:1: invalid syntax"


def test_the_apps_own_exception_stays_the_cause(site: Path) -> None:
    with pytest.raises(LoadError) as caught:
        load_app("lab:fails")

    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        pytest.param({"args": {"titel": 1}}, "args", id="args"),
        pytest.param({}, "app", id="app"),
    ],
)
def test_the_problem_names_the_field_to_blame(site: Path, options: dict[str, Any], field: str) -> None:
    text = "lab:create_app" if options else "lab:nothing"

    with pytest.raises(LoadError) as caught:
        load_app(text, **options)

    assert caught.value.problems[0].path == field


def test_a_middleware_is_named_and_not_called(site: Path) -> None:
    with pytest.raises(LoadError) as caught:
        load_object("lab:Made()")

    assert str(caught.value) == ("app: 'lab:Made()' is a call; name the class or function itself, without parentheses")


def test_the_import_path_gets_the_folder_once(site: Path) -> None:
    add_import_path(site)

    assert sys.path.count(str(site)) == 1
