"""Protection of forms against other sites: each form carries a token that only this session knows.

It guards the POSTs of the blueprints it is registered for, not the whole app: what needs no session stays free of it.
"""

from __future__ import annotations

import hmac
import secrets

from flask import request, session
from werkzeug.exceptions import BadRequest


def token() -> str:
    """The token of this session, made when the first form asks for it."""
    if "csrf_token" not in session:
        session["csrf_token"] = secrets.token_urlsafe(32)
    return str(session["csrf_token"])


def check() -> None:
    """Refuse a POST without the token; a `before_request` of each blueprint that has forms."""
    if request.method == "POST" and not _has_token():
        raise BadRequest("This form was sent from somewhere else, or you were logged out meanwhile. Please try again.")


def _has_token() -> bool:
    # In bytes, because compare_digest refuses strings that are not ASCII, and a client may send any.
    sent = request.form.get("csrf_token", "").encode("utf-8", "surrogatepass")
    return hmac.compare_digest(sent, session.get("csrf_token", "").encode()) and bool(sent)
