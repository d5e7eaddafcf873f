"""Errors as JSON, in the form of RFC 9457 (problem details)."""

from __future__ import annotations

import json

from werkzeug.exceptions import HTTPException, UnprocessableEntity
from werkzeug.wrappers import Response


class Invalid(UnprocessableEntity):
    """422: the request is well-formed, but `errors` says what is wrong with which field."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__("The request has errors; see 'errors' for each of them.")
        self.errors = errors


def respond(error: HTTPException) -> Response:
    """`error` as a problem; its own headers (`Allow` of a 405) are kept."""
    response = Response.force_type(error.get_response())
    problem: dict[str, object] = {
        "type": "about:blank",
        "title": error.name,
        "status": error.code,
        "detail": error.description,
    }
    if isinstance(error, Invalid):
        problem["errors"] = error.errors
    response.data = json.dumps(problem)
    response.content_type = "application/problem+json"
    return response
