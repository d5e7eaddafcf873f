from __future__ import annotations

import time
from typing import Any

import pytest

from dispatcher.limiting import matching


def environ(path: str = "/", method: str = "GET", **more: Any) -> dict[str, Any]:
    return {"REQUEST_METHOD": method, "PATH_INFO": path, **more}


def in_mount(key: str, path: str, **more: Any) -> dict[str, Any]:
    return environ(path, **{"dispatcher.mount": key, **more})


@pytest.mark.parametrize(
    ("glob", "path", "fits"),
    [
        pytest.param("/login", "/login", True, id="the path itself"),
        pytest.param("/login", "/login/", True, id="a final slash"),
        pytest.param("/login/", "/login", True, id="a final slash in the pattern"),
        pytest.param("/login", "/login2", False, id="a longer name"),
        pytest.param("/login", "/a/login", False, id="below another path"),
        pytest.param("/login", "/LOGIN", False, id="paths know upper and lower case"),
        pytest.param("/api/*", "/api", True, id="the folder itself"),
        pytest.param("/api/*", "/api/", True, id="the folder with a slash"),
        pytest.param("/api/*", "/api/v1/users", True, id="everything below it"),
        pytest.param("/api/*", "/apix", False, id="no other name"),
        pytest.param("*.php", "/a/b.php", True, id="an ending anywhere"),
        pytest.param("/a/*/c", "/a/b/b/c", True, id="a star in the middle takes slashes"),
        pytest.param("/v?/x", "/v1/x", True, id="one character"),
        pytest.param("/*", "/", True, id="everything, at the root"),
        pytest.param("/", "/", True, id="the root"),
        pytest.param("/", "", True, id="the root as servers may send it"),
        pytest.param("/", "/a", False, id="the root is not all"),
        pytest.param("/café/*", "/caf\xc3\xa9/x", True, id="UTF-8 in PATH_INFO"),
        pytest.param("/alpha/secret", "/alpha//secret", True, id="dodge: doubled slash"),
        pytest.param("/alpha/secret", "//alpha/secret", True, id="dodge: leading slashes"),
        pytest.param("/alpha/secret", "/alpha/./secret", True, id="dodge: a dot segment"),
        pytest.param("/alpha/secret", "/beta/../alpha/secret", True, id="dodge: up and down again"),
        pytest.param("/admin/*", "/admin/../alpha/x", True, id="dodge: routed to admin, whatever follows"),
        pytest.param("/alpha/*", "/admin/../alpha/x", True, id="dodge: resolved by the app"),
        pytest.param("/alpha/secret", "http://example.com/alpha/secret", True, id="dodge: absolute form"),
        pytest.param("/alpha/secret", "/alpha/secret///", True, id="dodge: many final slashes"),
    ],
)
def test_a_path_fits_a_glob_however_it_is_spelled(glob: str, path: str, fits: bool) -> None:
    wanted = matching.wanted(paths=[glob])

    assert wanted is not None
    assert bool(wanted(environ(path))) is fits


@pytest.mark.parametrize(
    ("request_environ", "fits"),
    [
        pytest.param(in_mount("/todos", "/new"), True, id="in its mount"),
        pytest.param(in_mount("*.example.com/todos", "/new"), True, id="in a mount with a host"),
        pytest.param(in_mount("/", "/todos/new"), True, id="in the default mount"),
        pytest.param(in_mount("*.example.com/", "/todos/new"), True, id="in the default mount of a host"),
        pytest.param(environ("/todos/new"), True, id="outside the mounts"),
        pytest.param(environ("/todos/new", SCRIPT_NAME="/x"), True, id="dodge: a SCRIPT_NAME that a peer made up"),
        pytest.param(in_mount("/todos", "/new", SCRIPT_NAME="/x/todos"), True, id="dodge: the same, in a mount"),
        pytest.param(in_mount("/other", "/new"), False, id="in another mount"),
        pytest.param(environ("/new", SCRIPT_NAME="/todos"), False, id="SCRIPT_NAME routes nothing"),
    ],
)
def test_a_path_is_the_one_that_the_mounts_see(request_environ: dict[str, Any], fits: bool) -> None:
    wanted = matching.wanted(paths=["/todos/new"])

    assert wanted is not None
    assert bool(wanted(request_environ)) is fits


@pytest.mark.parametrize(
    ("path", "free"),
    [
        pytest.param("/static/app.js", True, id="below it"),
        pytest.param("/static//app.js", True, id="below it, spelled otherwise"),
        pytest.param("/static/../login", False, id="dodge: leaves it again"),
        pytest.param("/login/../static/x", False, id="dodge: the app may not resolve it"),
        pytest.param("/static/%2e%2e/login", True, id="not decoded twice: no app resolves this"),
        pytest.param("http://x/static/a", False, id="dodge: not what the mounts see"),
    ],
)
def test_a_path_is_exempt_only_if_every_spelling_is(path: str, free: bool) -> None:
    exempt = matching.exempt(paths=["/static/*"])

    assert exempt is not None
    assert exempt(environ(path)) is free


@pytest.mark.parametrize(
    ("methods", "method", "fits"),
    [
        pytest.param(["POST"], "POST", True, id="the method"),
        pytest.param(["POST"], "GET", False, id="another"),
        pytest.param(["POST"], "post", True, id="dodge: lower case, which werkzeug takes for POST"),
        pytest.param(["post"], "POST", True, id="lower case in the options"),
        pytest.param(["GET"], "HEAD", True, id="GET includes HEAD"),
        pytest.param(["POST"], "HEAD", False, id="POST does not"),
        pytest.param(["POST"], "BREW", False, id="a method nobody knows"),
    ],
)
def test_a_limit_is_for_its_methods(methods: list[str], method: str, fits: bool) -> None:
    wanted = matching.wanted(methods=methods)

    assert wanted is not None
    assert wanted(environ(method=method)) is fits


@pytest.mark.parametrize(
    ("method", "path", "fits"), [("POST", "/a", True), ("POST", "/b", False), ("GET", "/a", False)]
)
def test_method_and_path_have_to_fit_both(method: str, path: str, fits: bool) -> None:
    wanted = matching.wanted(methods=["POST"], paths=["/a"])

    assert wanted is not None
    assert wanted(environ(path, method)) is fits


@pytest.mark.parametrize(
    ("remote_addr", "path", "free"),
    [("10.1.1.1", "/a", True), ("1.1.1.1", "/static/x", True), ("1.1.1.1", "/a", False)],
)
def test_client_or_path_is_enough_to_be_exempt(remote_addr: str, path: str, free: bool) -> None:
    exempt = matching.exempt(cidrs=["10.0.0.0/8"], paths=["/static/*"])

    assert exempt is not None
    assert exempt(environ(path, REMOTE_ADDR=remote_addr)) is free


def test_nothing_is_tested_where_nothing_is_asked_for() -> None:
    assert matching.wanted() is None
    assert matching.exempt() is None


@pytest.mark.parametrize("path", ["/" * 50_000, "/." * 25_000, "/.." * 16_000, "/a" * 25_000 + "b"])
def test_a_long_path_costs_no_more_than_its_length(path: str) -> None:
    wanted = matching.wanted(paths=["/*/a/*/b/*/c", "/login"])
    assert wanted is not None

    started = time.process_time()
    wanted(environ(path))

    assert time.process_time() - started < 0.25
