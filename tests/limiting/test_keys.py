from __future__ import annotations

import logging
from typing import Any

import pytest

from dispatcher.errors import LoadError
from dispatcher.limiting.keys import key_function


def by_user(environ: dict[str, Any]) -> str:
    return str(environ["REMOTE_USER"])


def by_nothing(environ: dict[str, Any]) -> None:
    return None


not_callable = "text"


@pytest.mark.parametrize(
    ("by", "environ", "key"),
    [
        pytest.param("client", {"REMOTE_ADDR": "[2001:db8::1]:80"}, "2001:db8::/64", id="client"),
        pytest.param("client", {"REMOTE_ADDR": ""}, "", id="client on a unix socket"),
        pytest.param("client", {}, "", id="client of a server that names none"),
        pytest.param("header:X-API-Key", {"HTTP_X_API_KEY": " abc "}, "abc", id="header"),
        pytest.param("header:x-api-key", {"HTTP_X_API_KEY": "abc"}, "abc", id="header in lower case"),
        pytest.param("header:X-API-Key", {}, "", id="header missing"),
        pytest.param("header:Content-Type", {"CONTENT_TYPE": "text/plain"}, "text/plain", id="header without HTTP_"),
        pytest.param("cookie:sid", {"HTTP_COOKIE": "a=1; sid=xyz; b=2"}, "xyz", id="cookie"),
        pytest.param("cookie:sid", {"HTTP_COOKIE": 'sid="xyz"'}, "xyz", id="cookie in quotes"),
        pytest.param("cookie:sid", {"HTTP_COOKIE": "sid=1; sid=2"}, "1", id="the first of two cookies"),
        pytest.param("cookie:sid", {"HTTP_COOKIE": "xsid=1; other=sid=2"}, "", id="cookie with another name"),
        pytest.param("cookie:s.d", {"HTTP_COOKIE": "sxd=1"}, "", id="a name is no pattern"),
        pytest.param("cookie:sid", {}, "", id="cookie missing"),
        pytest.param("path", {"PATH_INFO": "/a//b/"}, "/a/b", id="path"),
        pytest.param("path", {"PATH_INFO": "/b", "dispatcher.mount": "/a"}, "/a/b", id="path in a mount"),
        pytest.param("global", {"REMOTE_ADDR": "1.2.3.4"}, "", id="global"),
        pytest.param(f"{__name__}:by_user", {"REMOTE_USER": "ann"}, "ann", id="function"),
    ],
)
def test_a_request_is_counted_under_what_by_says(by: str, environ: dict[str, Any], key: str) -> None:
    assert key_function(by)(environ) == key


@pytest.mark.parametrize(
    ("name", "error"),
    [
        pytest.param("by_user", "KeyError: 'REMOTE_USER'", id="raises"),
        pytest.param("by_nothing", "TypeError: expected a str, not NoneType", id="returns no text"),
    ],
)
def test_a_key_function_that_fails_counts_under_the_shared_key_and_is_logged_once(
    name: str, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = key_function(f"{__name__}:{name}")

    assert [key({}), key({}), key({})] == ["", "", ""]

    (record,) = caplog.records
    assert (record.name, record.levelno) == ("dispatcher.rate_limit", logging.ERROR)
    assert record.getMessage() == (f"{__name__}:{name} failed; such requests count under one shared key (said once)")
    assert error in caplog.text


@pytest.mark.parametrize(
    ("by", "what"),
    [
        pytest.param(
            "no.such:f", "by: 'no.such:f' cannot be imported: ModuleNotFoundError: No module named 'no'", id="module"
        ),
        pytest.param("json:missing", "by: 'json:missing': module 'json' has no attribute 'missing'", id="attribute"),
        pytest.param(
            f"{__name__}:not_callable",
            f"by: '{__name__}:not_callable' is not callable; name a function that takes the environ",
            id="not callable",
        ),
    ],
)
def test_a_key_function_that_is_not_there_is_a_load_error(by: str, what: str) -> None:
    with pytest.raises(LoadError) as caught:
        key_function(by)

    assert str(caught.value) == what
