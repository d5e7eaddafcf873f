from __future__ import annotations

import json
from typing import Any

import pytest
from limits import parse
from werkzeug.test import create_environ, run_wsgi_app
from werkzeug.wrappers import Response

from dispatcher.limiting.decision import Decision
from dispatcher.limiting.refusing import prefers_text, refuse, refuse_unavailable

DENIED = Decision(False, parse("10 per 5 minutes"), 0, 300.0, 12.3)

CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"


def answer(app: Any, **environ: Any) -> Response:
    return Response(*run_wsgi_app(app, create_environ(**environ)))


def test_a_denial_says_which_limit_and_how_long() -> None:
    response = answer(lambda environ, start: refuse(environ, start, 429, DENIED))

    assert response.status == "429 Too Many Requests"
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Retry-After"] == "13"
    assert response.headers["Cache-Control"] == "no-store"
    assert json.loads(response.get_data()) == {
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": "Request cannot be satisfied as assigned quota has been exceeded",
        "status": 429,
        "detail": "No more than 10 per 5 minutes are allowed, try again in 13 s.",
        "violated-policies": ["10-per-5-minutes"],
    }


def test_a_denial_as_text() -> None:
    response = answer(lambda environ, start: refuse(environ, start, 429, DENIED), headers={"Accept": "text/*"})

    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.get_data(as_text=True) == (
        "429 Too Many Requests\nNo more than 10 per 5 minutes are allowed, try again in 13 s.\n"
    )


def test_a_denial_of_head_has_no_body_but_its_length() -> None:
    response = answer(lambda environ, start: refuse(environ, start, 429, DENIED), method="HEAD")

    assert response.get_data() == b""
    assert int(response.headers["Content-Length"]) > 100


def test_a_denial_may_have_another_status() -> None:
    response = answer(lambda environ, start: refuse(environ, start, 503, DENIED))

    assert response.status == "503 Service Unavailable"
    assert response.get_json()["status"] == 503


def test_an_outage_is_no_fault_of_the_client() -> None:
    response = answer(lambda environ, start: refuse_unavailable(environ, start, 1))

    assert response.status == "503 Service Unavailable"
    assert response.headers["Retry-After"] == "1"
    assert response.get_json() == {
        "title": "Service Unavailable",
        "status": 503,
        "detail": "The rate limit cannot be checked for now, try again in 1 s.",
    }


@pytest.mark.parametrize(
    ("accept", "text"),
    [
        pytest.param("*/*", False, id="anything"),
        pytest.param("application/json", False, id="JSON"),
        pytest.param("application/problem+json", False, id="problem details"),
        pytest.param("application/*", False, id="any application"),
        pytest.param("text/plain", True, id="text"),
        pytest.param(CHROME, True, id="a browser"),
        pytest.param("application/json;q=0.5, text/plain", True, id="text rather than JSON"),
        pytest.param("text/plain;q=0.5, application/json", False, id="JSON rather than text"),
        pytest.param("application/problem+json;q=0, text/plain;q=0.1", True, id="problem details refused"),
        pytest.param("image/png", False, id="neither"),
        pytest.param(";;;q=x,,", False, id="nonsense"),
    ],
)
def test_the_form_is_chosen_by_accept(accept: str, text: bool) -> None:
    assert prefers_text(accept) is text
