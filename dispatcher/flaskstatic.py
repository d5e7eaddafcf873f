"""Finds the static folders of a Flask app that can be served in front of it.

A file served in front of the app is a request that the app never sees: whatever it does to requests (a login check,
say) does not happen. So only those folders are found whose files Flask's own static view, and nothing else, would have
answered with. What the app does to responses afterwards (`after_request`) does not happen either, and keeps no folder
from being served: it adds headers, mostly to pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from flask import Blueprint, Flask
from werkzeug.routing import Rule

_HOOKS: Final = (  # of Flask, in the order in which a request meets them
    "__call__",
    "wsgi_app",
    "request_context",
    "create_url_adapter",
    "full_dispatch_request",
    "preprocess_request",
    "dispatch_request",
)
_STATIC_HOOKS: Final = ("send_static_file", "get_send_file_max_age")
_STATIC_VIEW: Final = Flask("any", root_path="/").view_functions["static"].__code__  # each app has a closure over it


@dataclass(frozen=True, slots=True)
class StaticFolder:
    """A static folder of a Flask app: its URL below the mount, the folder, and the seconds it may be cached (None:
    ask each time, as Flask does)."""

    url: str
    folder: str
    max_age: float | None


def static_folders(app: object, wanted: bool | None = None) -> tuple[StaticFolder, ...]:
    """The folders to serve in front of `app`, in the order in which to put them around it (shortest URL first).

    `wanted` is the mount's `static`: None leaves to the app what it could mean to answer otherwise, True takes every
    folder with a fixed URL, False none. An app that is no Flask app itself has none, as what is around it may guard it.
    """
    if wanted is False or not isinstance(app, Flask) or not (wanted or _leaves_requests_alone(app)):
        return ()
    folders = (
        StaticFolder(url, str(owner.static_folder), _max_age(app))
        for url, (rule, owner) in sorted(_static_rules(app).items(), key=lambda item: len(item[0]))
        if wanted or _answers_alone(app, rule, owner, url)
    )
    return tuple(folders)


def _leaves_requests_alone(app: Flask) -> bool:
    """Whether no request is looked at before the view is called, as far as the whole app goes."""
    any_host = not app.subdomain_matching and not app.config.get("TRUSTED_HOSTS")
    return any_host and _is_as_in(Flask, app, _HOOKS) and not _is_guarded(app, None)


def _is_as_in(base: type, owner: object, names: tuple[str, ...]) -> bool:
    """Whether neither a subclass nor an assignment to `owner` has replaced one of these methods of `base`."""
    return all(getattr(getattr(owner, name), "__func__", None) is getattr(base, name) for name in names)


def _is_guarded(app: Flask, name: str | None) -> bool:
    """Whether a function is called before each request of the blueprint `name`, or of the app (None)."""
    return bool(app.before_request_funcs.get(name) or app.url_value_preprocessors.get(name))


def _static_rules(app: Flask) -> dict[str, tuple[Rule, Flask | Blueprint]]:
    """The rules of static folders and whose they are, by the folder's URL; of two with one URL the first answers."""
    found: dict[str, tuple[Rule, Flask | Blueprint]] = {}
    for rule in app.url_map.iter_rules():
        name, _, last = rule.endpoint.rpartition(".")
        owner = app.blueprints.get(name) if name else app
        url = _fixed_url(rule)
        if url and last == "static" and isinstance(owner, Flask | Blueprint) and owner.has_static_folder:
            found.setdefault(url, (rule, owner))
    return found


def _fixed_url(rule: Rule) -> str | None:
    """The URL path of the folder, where one answers for every host and without variables."""
    head, found, tail = rule.rule.partition("/<path:filename>")
    anywhere = not (rule.host or rule.subdomain or rule.build_only or rule.map.host_matching)
    return head if found and not tail and head and "<" not in head and anywhere else None


def _answers_alone(app: Flask, rule: Rule, owner: Flask | Blueprint, url: str) -> bool:
    """Whether Flask's own static view answers every request for a file below `url`, with nothing before it."""
    parts = rule.endpoint.split(".")[:-1]
    blueprints = (".".join(parts[: count + 1]) for count in range(len(parts)))  # "a.b.static": of "a" and of "a.b"
    return (
        _is_flasks_own(app, rule, owner)
        and not any(_is_guarded(app, name) for name in blueprints)
        and not any(_is_rival(other, rule, url) for other in app.url_map.iter_rules())
    )


def _is_flasks_own(app: Flask, rule: Rule, owner: Flask | Blueprint) -> bool:
    base = Flask if isinstance(owner, Flask) else Blueprint
    view = app.view_functions.get(rule.endpoint)
    is_static_view = view == owner.send_static_file or getattr(view, "__code__", None) == _STATIC_VIEW
    return is_static_view and _is_as_in(base, owner, _STATIC_HOOKS)


def _is_rival(other: Rule, rule: Rule, url: str) -> bool:
    """Whether `other` answers some of the requests below `url`: fixed text wins over variables, from the left on."""
    is_never_reached = other.rule == rule.rule and other.endpoint.rpartition(".")[2] == "static"
    is_below = other.rule.startswith(f"{url}/") and other.rule != f"{url}/"
    return is_below and not other.build_only and not is_never_reached


def _max_age(app: Flask) -> float | None:
    value = app.config.get("SEND_FILE_MAX_AGE_DEFAULT")
    return value.total_seconds() if isinstance(value, timedelta) else value
