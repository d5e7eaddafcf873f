"""Error pages in the look of the app; they ask neither the session nor the database, which may be what failed."""

from __future__ import annotations

from flask import render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

TEXTS = {
    404: "There is no such page here. The student may have been deleted.",
    405: "This address does not take that kind of request.",
    413: "This is more than the form can take.",
    500: "Something went wrong on our side. It is in the log, for those who can mend it.",
}


def respond(error: HTTPException) -> Response:
    """`error` as a page; its own headers (`Allow` of a 405) are kept."""
    response = Response.force_type(error.get_response())
    if error is request.routing_exception and error.code == 400:
        return response  # a Host header that is none: no URL can be built for the links of our page
    text = TEXTS.get(error.code or 500, error.description)
    response.data = render_template("students/error.html", code=error.code, name=error.name, text=text)
    response.content_type = "text/html; charset=utf-8"
    return response
