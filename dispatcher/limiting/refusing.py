"""The answer to a request that is not let through: problem details (RFC 9457) or text, as the client accepts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from dispatcher.limiting.announcing import policy_name, retry_after_seconds
from dispatcher.limiting.decision import Decision
from dispatcher.wsgi import StartResponse, WSGIEnvironment, respond

_PROBLEM: Final = "application/problem+json"
_OFFERED: Final = (_PROBLEM, "application/json", "text/plain", "text/html")  # HTML is asked for by people: text will do

# The problem type of draft-ietf-httpapi-ratelimit-headers, section "Quota Exceeded".
_QUOTA_EXCEEDED: Final = {
    "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
    "title": "Request cannot be satisfied as assigned quota has been exceeded",
}


def refuse(environ: WSGIEnvironment, start_response: StartResponse, status: int, decision: Decision) -> Iterable[bytes]:
    """Answer that the limit of `decision` is used up, with a `Retry-After` that is true."""
    limit, wait = decision.limit, retry_after_seconds(decision)
    window = limit.GRANULARITY.name if limit.multiples == 1 else f"{limit.multiples} {limit.GRANULARITY.name}s"
    problem = {
        **_QUOTA_EXCEEDED,
        "status": status,
        "detail": f"No more than {limit.amount} per {window} are allowed, try again in {wait} s.",
        "violated-policies": [policy_name(limit)],
    }
    return _answer(environ, start_response, problem, wait)


def refuse_unavailable(environ: WSGIEnvironment, start_response: StartResponse, wait: int) -> Iterable[bytes]:
    """Answer 503: whether the request is allowed cannot be known for now."""
    problem = {
        "title": HTTPStatus.SERVICE_UNAVAILABLE.phrase,  # of type about:blank, so the title is the phrase
        "status": HTTPStatus.SERVICE_UNAVAILABLE.value,
        "detail": f"The rate limit cannot be checked for now, try again in {wait} s.",
    }
    return _answer(environ, start_response, problem, wait)


def _answer(
    environ: WSGIEnvironment, start_response: StartResponse, problem: Mapping[str, Any], wait: int
) -> Iterable[bytes]:
    headers = [("Retry-After", str(wait)), ("Cache-Control", "no-store"), ("Vary", "Accept")]
    status: int = problem["status"]
    if prefers_text(environ.get("HTTP_ACCEPT") or "*/*"):
        text = f"{status} {HTTPStatus(status).phrase}\n{problem['detail']}\n"
        return respond(environ, start_response, status, text, headers=headers)
    text = json.dumps(problem) + "\n"
    return respond(environ, start_response, status, text, content_type=_PROBLEM, headers=headers)


@lru_cache(maxsize=128)
def prefers_text(accept: str) -> bool:
    """Whether a client with this `Accept` takes text rather than JSON; JSON when it takes both, or neither."""
    best = parse_accept_header(accept, MIMEAccept).best_match(_OFFERED)
    return best is not None and best.startswith("text/")
