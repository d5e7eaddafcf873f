"""The front page of the site: what is mounted here, as cards with links.

Its picture and css are no files of this app: they lie in the site's own `static/`, which a middleware serves.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flask import Flask, render_template, request
from flask.typing import ResponseReturnValue

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Link:
    """A card: where it leads, its heading, and a sentence about it."""

    url: str
    name: str
    text: str = ""


def create_app(*, title: str = "Home", lead: str = "", links: Iterable[Mapping[str, str]] = ()) -> Flask:
    """The app. `title` and `lead` head the page; each of `links` has a `url`, a `name` and perhaps a `text`."""
    app = Flask(__name__, static_folder=None)
    cards = [Link(**link) for link in links]

    @app.get("/")
    def index() -> ResponseReturnValue:
        logger.info("front page with %d links", len(cards))
        return render_template("index.html", lead=lead, links=cards)

    @app.errorhandler(404)
    def not_found(error: Exception) -> ResponseReturnValue:
        return render_template("404.html"), 404

    @app.context_processor
    def layout() -> dict[str, object]:
        return {"title": title, "site_url": site_url, "facts": facts()}

    return app


def site_url(url: str) -> str:
    """The URL of a path of this site; `script_root` is what a proxy in front may have put before it."""
    return request.script_root + url if url.startswith("/") else url


def facts() -> dict[str, str]:
    """What the dispatcher tells an app about the request, in `environ`; without the dispatcher there is nothing."""
    names = {"mount": "dispatcher.mount", "request": "dispatcher.request_id"}
    return {name: request.environ[key] for name, key in names.items() if key in request.environ}
