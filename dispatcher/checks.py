"""What is wrong with a site that would be served all the same: pure functions over a `Stack`."""

from __future__ import annotations

import hmac
import sys
from collections.abc import Iterable, Iterator
from itertools import combinations

from flask import Flask

from dispatcher.compose import MountedApp, Stack, harm
from dispatcher.errors import Problem


def check(stack: Stack) -> list[Problem]:
    """Every problem of `stack`, in the order of the file: apps that did not load, and apps that harm each other."""
    found = [*_failed(stack), *_harmful(stack), *_equal_secret_keys(stack), *_django_projects(stack)]
    return sorted(found, key=lambda problem: problem.place.line if problem.place else 0)


def _failed(stack: Stack) -> Iterator[Problem]:
    for one in stack.mounts:
        if one.error is not None:
            yield from one.error.problems


def _harmful(stack: Stack) -> Iterator[Problem]:
    for one in stack.mounts:
        if one.undone:
            yield harm(stack.config, one.mount, one.undone)


def _equal_secret_keys(stack: Stack) -> Iterator[Problem]:
    keyed = [(one, key) for one in stack.mounts if (key := _secret_key(one))]
    for (first, one_key), (second, other_key) in combinations(keyed, 2):
        if hmac.compare_digest(one_key, other_key):
            what = (
                f"has the same SECRET_KEY as {first.mount.key!r}: a session cookie of one would be valid in the other; "
                "give each app a key of its own"
            )
            yield stack.config.problem((*second.mount.path,), what, key=True)


def _secret_key(one: MountedApp) -> bytes:
    key = one.app.secret_key if isinstance(one.app, Flask) else None
    return key.encode() if isinstance(key, str) else key or b""


def _django_projects(stack: Stack) -> Iterable[Problem]:
    handlers = sys.modules.get("django.core.handlers.wsgi")
    if handlers is None:
        return
    projects = [one for one in stack.mounts if isinstance(one.app, handlers.WSGIHandler)]
    for one in projects[1:]:
        what = (
            f"a second Django project beside {projects[0].mount.key!r}: Django keeps its settings for the whole "
            "process, so both would run with those of the first; serve one of them in a site of its own"
        )
        yield stack.config.problem((*one.mount.path, "app"), what)
