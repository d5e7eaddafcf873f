"""What a client may send: each function returns checked values, or raises a problem that names every mistake."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

from flask import Request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from apps.todos.problems import Invalid

TITLE_LENGTH = 200
PAGES = 1_000_000
PAGE_SIZES = 100


def read_json(request: Request) -> dict[str, Any]:
    """The JSON object in the body."""
    if not request.is_json:
        raise UnsupportedMediaType("Send JSON, with 'Content-Type: application/json'.")
    try:
        body = json.loads(request.get_data())
    except (ValueError, RecursionError):  # not UTF-8 and "[[[[…" included
        raise BadRequest("The body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise BadRequest('The body must be a JSON object, such as {"title": "Water the plants"}.')
    return body


def new_todo(body: dict[str, Any]) -> tuple[str, bool]:
    """Title and state of a todo to create."""
    errors = _mistakes(body)
    if "title" not in body:
        errors["title"] = "is missing"
    if errors:
        raise Invalid(errors)
    return body["title"].strip(), body.get("done", False)


def changes(body: dict[str, Any]) -> tuple[str | None, bool | None]:
    """The title and the state that a todo gets; None leaves it as it is."""
    if errors := _mistakes(body):
        raise Invalid(errors)
    return body["title"].strip() if "title" in body else None, body.get("done")


def list_options(args: MultiDict[str, str], default_size: int) -> tuple[int, int, bool | None]:
    """Page number (from 1), page size, and whether only done or only open todos are asked for."""
    errors = _unknown(args, {"page", "page_size", "done"})
    page = _whole_number(args, "page", 1, PAGES, errors)
    size = _whole_number(args, "page_size", default_size, PAGE_SIZES, errors)
    done = {"true": True, "false": False}.get(args.get("done", ""))
    if "done" in args and done is None:
        errors["done"] = "must be 'true' or 'false'"
    if errors:
        raise Invalid(errors)
    return page, size, done


def _unknown(given: Any, known: set[str]) -> dict[str, str]:
    names = ", ".join(sorted(known))
    return {key: f"is unknown here; known: {names}" for key in given if key not in known}


def _mistakes(body: dict[str, Any]) -> dict[str, str]:
    errors = _unknown(body, {"title", "done"})
    if "title" in body and (what := _wrong_title(body["title"])):
        errors["title"] = what
    if "done" in body and not isinstance(body["done"], bool):
        errors["done"] = "must be true or false"
    return errors


def _wrong_title(title: object) -> str:
    if not isinstance(title, str):
        return "must be a string"
    if not title.strip():
        return "must not be empty"
    if len(title.strip()) > TITLE_LENGTH:
        return f"must have at most {TITLE_LENGTH} characters"
    # Cc: control characters; Cs: half a surrogate pair, which JSON can carry and UTF-8 cannot.
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in title):
        return "must be one line of text without control characters"
    return ""


def _whole_number(args: MultiDict[str, str], name: str, default: int, most: int, errors: dict[str, str]) -> int:
    if name not in args:
        return default
    text = args[name]
    # isascii: isdigit alone also takes "²"; the length keeps int() from endless digits.
    if text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most:
        return int(text)
    errors[name] = f"must be a whole number from 1 to {most}"
    return default
