"""What is wrong with a site that would be served all the same: pure functions over a `Stack`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

from flask import Flask

from dispatcher.compose import MountedApp, Stack, harm
from dispatcher.errors import Problem
from dispatcher.innerapps import flask_apps, inner_apps, is_django


def check(stack: Stack) -> list[Problem]:
    """Every problem of `stack`, in the order of the file: apps that did not load, and apps that harm each other."""
    together = [*_shared_flask_apps(stack), *_equal_secret_keys(stack), *_django_projects(stack)]
    found = [*_failed(stack), *_harmful(stack), *together]
    return sorted(found, key=lambda problem: problem.place.line if problem.place else 0)


def _failed(stack: Stack) -> Iterator[Problem]:
    for one in stack.mounts:
        if one.error is not None:
            yield from one.error.problems


def _harmful(stack: Stack) -> Iterator[Problem]:
    for one in stack.mounts:
        if one.undone:
            yield harm(stack.config, one.mount, one.undone)


def _shared_flask_apps(stack: Stack) -> Iterator[Problem]:
    first: dict[int, str] = {}
    for one in stack.mounts:
        for app in dict.fromkeys(_flask_apps(one)):
            other = first.setdefault(id(app), one.mount.key)
            if other != one.mount.key:
                what = (
                    f"the Flask app {app.name!r} in it is in {other!r} too, so both have the same cookies; "
                    "make an app for each mount in a factory"
                )
                yield stack.config.problem((*one.mount.path, "app"), what)


def _equal_secret_keys(stack: Stack) -> Iterator[Problem]:
    for first, second in combinations(stack.mounts, 2):
        if what := _shared_key(_flask_apps(first), _flask_apps(second)):
            what = (
                f"{what} {first.mount.key!r}: a session cookie of one would be valid in the other; "
                "give each app a key of its own"
            )
            yield stack.config.problem((*second.mount.path,), what, key=True)


def _shared_key(first: list[Flask], second: list[Flask]) -> str | None:
    """How apps of `second` share a key with others of `first`: the beginning of a sentence."""
    pairs = [(one, other) for one in first for other in second if one is not other]
    if any(_current_key(one) & _current_key(other) for one, other in pairs):
        return "has the same SECRET_KEY as"
    if any(_keys(one) & _keys(other) for one, other in pairs):
        return "has a key in SECRET_KEY or SECRET_KEY_FALLBACKS that is one of"
    return None


def _flask_apps(one: MountedApp) -> list[Flask]:
    return [app for _, app in flask_apps(one.app)]


def _current_key(app: Flask) -> frozenset[bytes]:
    return _as_bytes([app.secret_key])


def _keys(app: Flask) -> frozenset[bytes]:
    return _as_bytes([app.secret_key, *(app.config.get("SECRET_KEY_FALLBACKS") or ())])


def _as_bytes(keys: Iterable[str | bytes | None]) -> frozenset[bytes]:
    return frozenset(key.encode() if isinstance(key, str) else key for key in keys if key)


def _django_projects(stack: Stack) -> Iterator[Problem]:
    projects = [one for one in stack.mounts if any(is_django(inner.app) for inner in inner_apps(one.app))]
    for one in projects[1:]:
        what = (
            f"a second Django project beside {projects[0].mount.key!r}: Django keeps its settings for the whole "
            "process, so both would run with those of the first; serve one of them in a site of its own"
        )
        yield stack.config.problem((*one.mount.path, "app"), what)
