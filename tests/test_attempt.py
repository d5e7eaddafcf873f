from __future__ import annotations

import os
from pathlib import Path
from typing import Final, cast

import pytest

from dispatcher import catalog, compose, config
from dispatcher.attempt import judge
from dispatcher.trial import Outcome, Trial
from tests import sites

pytestmark = pytest.mark.usefixtures("forget")

LAB = """
def create_app(word="x"):
    return lambda environ, start_response: []

def fails():
    raise RuntimeError("no database")

def middleware(app):
    return app
"""
OLD = "mounts:\n  /a: lab:create_app\n  /bad: lab:fails\n"


class Asked(Exception):  # noqa: N818  # raised in place of an interpreter
    """A trial was asked for."""


class NoTrial:
    is_usable = True

    def run(self, *_: object) -> Outcome:
        raise Asked


NO_TRIAL: Final = cast(Trial, NoTrial())


def verdict(folder: Path, text: str, trial: Trial | None = NO_TRIAL) -> tuple[list[str], tuple[str, ...]]:
    """The first line of each problem, and the mounts that may fail, when `text` follows `OLD`."""
    serving = compose.assemble(config.read(sites.write(folder, OLD, lab=LAB), options=catalog.OPTIONS))
    file = sites.write(folder, text)
    contents = config.read_contents(file)
    site = config.read(file, options=catalog.OPTIONS, contents=contents)
    problems, waiting = judge(site, contents, serving, environ=os.environ, trial=trial)
    return [problem.splitlines()[0].partition("config.yaml:")[2] for problem in problems], waiting


@pytest.mark.parametrize(
    ("text", "waiting"),
    [
        pytest.param(OLD + "# a remark\n", ("/bad",), id="nothing has changed"),
        pytest.param("mounts:\n  /bad: lab:fails\n", ("/bad",), id="a mount is gone"),
        pytest.param("mounts:\n  /a: lab:create_app\n", (), id="the failing mount is gone"),
        pytest.param("middleware: [request_id]\n" + OLD, ("/bad",), id="middleware of ours"),
        pytest.param(
            OLD.replace("/a: lab:create_app", "/a: {app: lab:create_app, middleware: [request_id]}"),
            ("/bad",),
            id="middleware of ours around a mount",
        ),
    ],
)
def test_where_no_code_would_be_loaded_there_is_no_trial(tmp_path: Path, text: str, waiting: tuple[str, ...]) -> None:
    assert verdict(tmp_path, text) == ([], waiting)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(OLD + "  /new: lab:create_app\n", id="a new mount"),
        pytest.param(OLD.replace("lab:create_app", "lab:create_app('y')"), id="a changed mount"),
        pytest.param(OLD.replace("lab:fails", "lab:create_app"), id="a failing mount that has changed"),
        pytest.param("middleware: ['lab:middleware']\n" + OLD, id="middleware of the site's own"),
    ],
)
def test_what_is_new_is_tried(tmp_path: Path, text: str) -> None:
    with pytest.raises(Asked):
        verdict(tmp_path, text)


def test_a_mount_that_served_must_not_fail_and_one_that_failed_may(tmp_path: Path) -> None:
    text = "mounts:\n  /a: lab:fails\n  /bad: lab:fails()\n"

    problems, waiting = verdict(tmp_path, text, trial=None)

    assert problems == ["2:7: mounts./a.app: calling 'lab:fails' raised RuntimeError: no database", ""]
    assert waiting == ("/a", "/bad")
