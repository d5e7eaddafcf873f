"""Each app here has a file in its static folder; where a folder is found, Flask alone would have sent that file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, abort
from werkzeug.middleware.proxy_fix import ProxyFix

from dispatcher.flaskstatic import StaticFolder, static_folders
from dispatcher.wsgi import respond


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "file.txt").write_text("content")
    return str(tmp_path)


def test_static_folders_of_an_app_and_its_blueprints_are_found(tmp_path: Path) -> None:
    app = Flask("shop", static_folder=str(tmp_path / "static"))
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = timedelta(hours=1)
    blueprint = Blueprint("admin", "admin", url_prefix="/admin", static_folder=str(tmp_path / "admin" / "static"))
    app.register_blueprint(blueprint)

    assert static_folders(app) == (
        StaticFolder("/static", str(tmp_path / "static"), 3600.0),
        StaticFolder("/admin/static", str(tmp_path / "admin" / "static"), 3600.0),
    )


def answer(app: Flask, path: str, base_url: str = "http://localhost") -> tuple[int, str]:
    """The status and text that the app itself answers with."""
    with app.test_client().get(path, base_url=base_url) as response:
        return response.status_code, response.get_data(as_text=True)


def open_app(folder: str) -> Flask:
    return Flask("open", static_folder=folder, static_url_path="/static")


def with_another_url(folder: str) -> Flask:
    app = open_app(folder)
    app.add_url_rule("/assets/<path:filename>", endpoint="static")
    return app


def with_an_index(folder: str) -> Flask:
    app = open_app(folder)
    app.add_url_rule("/static/", "index", lambda: "index")
    app.add_url_rule("/<path:anything>", "page", lambda anything: "page")
    return app


def with_a_guarded_neighbour(folder: str) -> Flask:
    app = open_app(folder)
    blueprint = Blueprint("admin", "admin", url_prefix="/admin")
    blueprint.before_request(deny)
    app.register_blueprint(blueprint)
    return app


def with_headers(folder: str) -> Flask:
    app = open_app(folder)
    app.after_request(lambda response: response)
    return app


@pytest.mark.parametrize(
    ("make", "urls"),
    [
        pytest.param(open_app, ["/static"], id="plain"),
        pytest.param(with_another_url, ["/assets", "/static"], id="two URLs"),
        pytest.param(with_an_index, ["/static"], id="a view of the folder, and one of everything"),
        pytest.param(with_a_guarded_neighbour, ["/static"], id="another blueprint is guarded"),
        pytest.param(with_headers, ["/static"], id="after_request"),
    ],
)
def test_a_folder_that_only_flask_answers_for_is_served_in_front(
    folder: str, make: Callable[[str], Flask], urls: list[str]
) -> None:
    app = make(folder)

    assert sorted(found.url for found in static_folders(app)) == urls
    assert [answer(app, f"{url}/file.txt") for url in urls] == [(200, "content")] * len(urls)


def deny(*_: object, **__: object) -> Any:
    abort(401)


def before_request(folder: str) -> Flask:
    app = open_app(folder)
    app.before_request(deny)
    return app


def value_preprocessor(folder: str) -> Flask:
    app = open_app(folder)
    app.url_value_preprocessor(deny)
    return app


def blueprint_app(folder: str, guard: Callable[[Blueprint, Blueprint], object]) -> Flask:
    """An app whose folder is that of a blueprint in another one, after `guard(inner, outer)`."""
    app = Flask("nested", static_folder=None)
    outer = Blueprint("outer", "outer")
    inner = Blueprint("inner", "inner", static_folder=folder, static_url_path="/static")
    guard(inner, outer)
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    return app


def guarded_by_its_blueprint(folder: str) -> Flask:
    return blueprint_app(folder, lambda inner, outer: inner.before_request(deny))


def guarded_by_the_blueprint_around(folder: str) -> Flask:
    return blueprint_app(folder, lambda inner, outer: outer.before_request(deny))


def guarded_by_a_blueprint_for_all(folder: str) -> Flask:
    return blueprint_app(folder, lambda inner, outer: outer.before_app_request(deny))


def blueprint_value_preprocessor(folder: str) -> Flask:
    return blueprint_app(folder, lambda inner, outer: outer.url_value_preprocessor(deny))


def wrapped_inside(folder: str) -> Flask:
    app = open_app(folder)
    app.wsgi_app = lambda environ, start_response: respond(environ, start_response, 401)  # type: ignore[method-assign]
    return app


def replaced_view(folder: str) -> Flask:
    app = open_app(folder)
    app.view_functions["static"] = deny
    return app


def decorated_view(folder: str) -> Flask:
    app = open_app(folder)
    app.view_functions["static"] = wraps(app.view_functions["static"])(deny)
    return app


def replaced_blueprint_view(folder: str) -> Flask:
    app = blueprint_app(folder, lambda inner, outer: None)
    app.view_functions["outer.inner.static"] = deny
    return app


def special_blueprint(folder: str) -> Flask:
    class Special(Blueprint):
        send_static_file = deny

    app = Flask("special", static_folder=None)
    app.register_blueprint(Special("special", "special", static_folder=folder, static_url_path="/static"))
    return app


def view_of_one_file(folder: str) -> Flask:
    app = open_app(folder)
    app.add_url_rule("/static/file.txt", "one", deny)
    return app


def view_below(folder: str) -> Flask:
    app = open_app(folder)
    app.add_url_rule("/static/<name>", "below", deny)
    return app


def hosts_looked_at(folder: str) -> Flask:
    app = open_app(folder)
    app.config["TRUSTED_HOSTS"] = ["intranet.example"]
    return app


def only_for_urls(folder: str) -> Flask:
    app = Flask("built", static_folder=folder, static_url_path="/elsewhere")
    app.add_url_rule("/static/<path:filename>", endpoint="static", build_only=True)
    app.view_functions["static"] = deny
    return app


def of_one_host(folder: str) -> Flask:
    return Flask("host", static_folder=folder, static_url_path="/static", static_host="a.example", host_matching=True)


def of_the_main_domain(folder: str) -> Flask:
    app = Flask("domain", static_folder=folder, static_url_path="/static", subdomain_matching=True)
    app.config["SERVER_NAME"] = "main.example"
    return app


GUARDED = [
    pytest.param(before_request, 401, id="before_request"),
    pytest.param(value_preprocessor, 401, id="url_value_preprocessor"),
    pytest.param(guarded_by_its_blueprint, 401, id="before_request of the blueprint"),
    pytest.param(guarded_by_the_blueprint_around, 401, id="before_request of the blueprint around it"),
    pytest.param(guarded_by_a_blueprint_for_all, 401, id="before_app_request"),
    pytest.param(blueprint_value_preprocessor, 401, id="url_value_preprocessor of a blueprint"),
    pytest.param(wrapped_inside, 401, id="app.wsgi_app wrapped"),
    pytest.param(replaced_view, 401, id="view replaced"),
    pytest.param(decorated_view, 401, id="view decorated"),
    pytest.param(replaced_blueprint_view, 401, id="view of a blueprint replaced"),
    pytest.param(special_blueprint, 401, id="a Blueprint subclass"),
    pytest.param(view_of_one_file, 401, id="a view of one of the files"),
    pytest.param(view_below, 401, id="a view below the folder"),
    pytest.param(hosts_looked_at, 400, id="trusted hosts"),
]


@pytest.mark.parametrize(("make", "status"), GUARDED)
def test_a_folder_that_the_app_may_guard_is_left_to_the_app(
    folder: str, make: Callable[[str], Flask], status: int
) -> None:
    app = make(folder)

    assert static_folders(app) == ()
    assert answer(app, "/static/file.txt")[0] == status


@pytest.mark.parametrize(("make", "status"), GUARDED)
def test_a_mount_can_say_that_its_folders_need_no_guard(folder: str, make: Callable[[str], Flask], status: int) -> None:
    assert static_folders(make(folder), True) == (StaticFolder("/static", folder, None),)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(only_for_urls, id="build_only"),
        pytest.param(of_one_host, id="host_matching"),
        pytest.param(of_the_main_domain, id="subdomain_matching"),
    ],
)
def test_a_url_that_does_not_answer_everywhere_is_left_to_the_app(folder: str, make: Callable[[str], Flask]) -> None:
    app = make(folder)

    assert "/static" not in [found.url for found in static_folders(app)]
    assert answer(app, "/static/file.txt", "http://other.main.example")[0] == 404


@pytest.mark.parametrize(
    "name",
    [
        "__call__",
        "wsgi_app",
        "request_context",
        "create_url_adapter",
        "full_dispatch_request",
        "preprocess_request",
        "dispatch_request",
        "send_static_file",
        "get_send_file_max_age",
    ],
)
def test_an_app_with_a_method_of_its_own_on_the_way_is_left_alone(folder: str, name: str) -> None:
    def own(self: Flask, *args: Any, **kwargs: Any) -> Any:
        return getattr(Flask, name)(self, *args, **kwargs)

    app = type("Own", (Flask,), {name: own})("own", static_folder=folder, static_url_path="/static")

    assert static_folders(app) == ()
    assert answer(app, "/static/file.txt") == (200, "content")


def test_a_subclass_that_changes_nothing_of_that_is_served_in_front(folder: str) -> None:
    class Shop(Flask):
        def make_response(self, rv: Any) -> Any:
            return super().make_response(rv)

    assert len(static_folders(Shop("shop", static_folder=folder, static_url_path="/static"))) == 1


def test_of_two_folders_with_one_url_the_one_that_flask_answers_from_is_found(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file.txt").write_text(name)
    app = open_app(str(tmp_path / "first"))
    app.register_blueprint(Blueprint("b", "b", static_folder=str(tmp_path / "second"), static_url_path="/static"))

    assert [found.folder for found in static_folders(app)] == [str(tmp_path / "first")]
    assert answer(app, "/static/file.txt") == (200, "first")


def test_a_folder_whose_url_is_in_anothers_is_served_and_the_outer_one_left_to_the_app(folder: str) -> None:
    app = open_app(folder)
    app.register_blueprint(Blueprint("b", "b", static_folder=folder, static_url_path="/static/b"))

    assert [found.url for found in static_folders(app)] == ["/static/b"]
    assert [found.url for found in static_folders(app, True)] == ["/static", "/static/b"]


def test_static_folders_whose_url_is_not_fixed_are_left_to_the_app(folder: str) -> None:
    app = Flask("shop", static_folder=None)
    app.register_blueprint(Blueprint("shop", "shop", url_prefix="/<lang>", static_folder=folder))

    assert static_folders(app, True) == ()


def test_an_app_that_is_wrapped_in_something_keeps_its_folders(folder: str) -> None:
    assert static_folders(ProxyFix(open_app(folder)), True) == ()


def test_a_mount_can_say_that_its_app_sends_its_files_itself(folder: str) -> None:
    assert static_folders(open_app(folder), False) == ()
