from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from werkzeug.test import run_wsgi_app

from dispatcher import catalog, compose, config
from dispatcher.compose import Stack
from dispatcher.config import Contents
from dispatcher.served import Generation, Served
from dispatcher.wsgi import current_environ
from tests import sites

pytestmark = pytest.mark.usefixtures("forget")

LAB = """
CALLS = []

class App:
    def __init__(self, word):
        self.word = word

    def __call__(self, environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield self.word.encode()
        yield b"!"

class Refuses:
    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        return self.app({"REQUEST_METHOD": "GET", "PATH_INFO": environ["PATH_INFO"]}, start_response)

class Bare(Refuses):
    pass

def opens(app):
    CALLS.append(f"{app.word} opens")

def closes(app):
    CALLS.append(f"{app.word} closes")
"""
ONE = "mounts:\n  /a: {app: 'lab:App', args: {word: one}, on_start: 'lab:opens', on_stop: 'lab:closes'}\n"
STILL = "  /still: {app: 'lab:App', args: {word: still}, on_start: 'lab:opens', on_stop: 'lab:closes'}\n"


def generation(folder: Path, text: str, previous: Stack | None = None) -> Generation:
    file = sites.write(folder, text, lab=LAB)
    return Generation(compose.assemble(config.read(file, options=catalog.OPTIONS), previous=previous), Contents(b""))


def next_generation(folder: Path, served: Served, text: str) -> Generation:
    return generation(folder, text, served.current.stack)


def calls() -> list[str]:
    import lab  # type: ignore[import-not-found]  # written by generation()

    found: list[str] = lab.CALLS
    return found


def environ_of(path: str) -> dict[str, Any]:
    environ: dict[str, Any] = {"PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": ""}
    setup_testing_defaults(environ)
    return environ


def begin(served: Served, path: str) -> Iterable[bytes]:
    return served(environ_of(path), lambda status, headers, exc_info=None: lambda data: None)


def whole(body: Any) -> list[bytes]:
    chunks = list(body)
    body.close()
    return chunks


def get(served: Served, path: str) -> str:
    body, _, _ = run_wsgi_app(validator(served), environ_of(path))
    text = b"".join(body).decode()
    body.close()  # type: ignore[attr-defined]  # the validator's body has one
    return text


def test_a_request_is_answered_by_the_generation_that_is_current(tmp_path: Path) -> None:
    served = Served(generation(tmp_path, ONE))
    before = get(served, "/a")

    served.swap(next_generation(tmp_path, served, ONE.replace("one", "two")))

    assert (before, get(served, "/a")) == ("one!", "two!")


def test_a_response_ends_on_the_generation_it_began_on(tmp_path: Path) -> None:
    served = Served(generation(tmp_path, ONE + STILL))
    body: Any = begin(served, "/a")
    chunks = iter(body)
    first = next(chunks)

    served.swap(next_generation(tmp_path, served, ONE.replace("one", "two") + STILL))

    assert (first, list(chunks)) == (b"one", [b"!"])
    body.close()


def test_a_removed_mount_is_let_go_after_its_last_response(tmp_path: Path) -> None:
    served = Served(generation(tmp_path, ONE + STILL))
    served.start()
    app = weakref.ref(served.current.stack.mounts[0].app)
    stack = weakref.ref(served.current.stack)
    body: Any = begin(served, "/a")
    served.swap(next_generation(tmp_path, served, "mounts:\n" + STILL))

    served.release_idle()
    during = (list(body), calls()[2:])
    body.close()
    del body
    served.release_idle()
    after = calls()[2:]
    gc.collect()

    assert during == ([b"one", b"!"], [])
    assert after == ["one closes"]
    assert (app(), stack()) == (None, None)


def test_an_unchanged_mount_keeps_its_object_and_is_neither_started_nor_stopped(tmp_path: Path) -> None:
    served = Served(generation(tmp_path, ONE + STILL))
    served.start()
    app = served.current.stack.mounts[1].app

    for word in ("two", "three"):
        served.swap(next_generation(tmp_path, served, ONE.replace("one", word) + STILL))
        served.release_idle()

    assert served.current.stack.mounts[1].app is app
    assert calls() == ["one opens", "still opens", "two opens", "one closes", "three opens", "two closes"]


def test_a_mount_that_several_generations_had_is_stopped_once_after_all_of_them(tmp_path: Path) -> None:
    served = Served(generation(tmp_path, ONE + STILL))
    served.start()
    first: Any = begin(served, "/still")
    served.swap(next_generation(tmp_path, served, ONE.replace("one", "two") + STILL))
    second: Any = begin(served, "/still")
    served.swap(next_generation(tmp_path, served, ONE.replace("one", "two")))

    second.close()
    served.release_idle()
    between = "still closes" in calls()
    first.close()
    served.release_idle()

    assert not between
    assert calls().count("still closes") == 1


def test_the_end_of_the_process_stops_every_mount_once(tmp_path: Path) -> None:
    served = Served(generation(tmp_path, ONE + STILL))
    served.start()
    served.swap(next_generation(tmp_path, served, "mounts:\n" + STILL))

    served.stop()
    served.stop()

    assert sorted(calls()[2:]) == ["one closes", "still closes"]


def test_before_the_start_no_mount_is_started_or_stopped(tmp_path: Path) -> None:
    served = Served(generation(tmp_path, ONE))
    served.swap(next_generation(tmp_path, served, ONE.replace("one", "two")))

    served.release_idle()
    served.stop()

    assert calls() == []


def test_middleware_around_the_site_that_has_not_changed_is_kept_and_leads_to_the_new_table(tmp_path: Path) -> None:
    own = "middleware: ['lab:Bare']\n"  # hands down an environ of its own
    served = Served(generation(tmp_path, own + ONE))
    before = served.current.stack.app

    served.swap(next_generation(tmp_path, served, own + ONE.replace("one", "two")))
    same = served.current.stack.app is before
    bare = b"".join(whole(begin(served, "/a")))
    served.swap(next_generation(tmp_path, served, "middleware: ['lab:Refuses']\n" + ONE))

    assert (same, bare) == (True, b"two!")
    assert served.current.stack.app is not before
    assert b"".join(whole(begin(served, "/a"))) == b"one!"


def test_an_app_whose_middleware_alone_has_changed_is_kept(tmp_path: Path) -> None:
    served = Served(generation(tmp_path, ONE))
    app = served.current.stack.mounts[0].app

    served.swap(next_generation(tmp_path, served, ONE.replace("args", "middleware: ['lab:Bare'], args")))

    assert served.current.stack.mounts[0].app is app
    assert get(served, "/a") == "one!"


def test_requests_of_many_threads_all_end_and_are_all_counted(tmp_path: Path) -> None:
    served = Served(generation(tmp_path, ONE))
    served.start()
    first = served.current
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.extend(get(served, "/a") for _ in range(100))) for _ in range(4)]

    for thread in threads:
        thread.start()
    for number in range(20):
        served.swap(next_generation(tmp_path, served, ONE.replace("one", f"word-{number}")))
        served.release_idle()
    for thread in threads:
        thread.join()
    served.release_idle()

    assert len(answers) == 400
    assert all(answer == "one!" or answer.startswith("word-") for answer in answers)
    assert (first.flights, served.current.flights) == (set(), set())
    assert [call for call in calls() if "closes" in call] == [
        f"{word} closes" for word in ["one", *(f"word-{number}" for number in range(19))]
    ]


def test_the_request_is_forgotten_when_its_response_is_closed(tmp_path: Path) -> None:
    served = Served(generation(tmp_path, ONE))

    get(served, "/a")

    assert current_environ.get() is None
