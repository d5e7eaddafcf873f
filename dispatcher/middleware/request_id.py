"""Gives every request an id that the client, the apps, their log records and the access log share.

An id that comes in as `X-Request-ID` is taken when it is well formed: 1 to 128 of the letters, digits and ``._:+/=@-``,
which covers UUIDs, ULIDs, base64 and trace ids and leaves nothing that could end a log line or a header. Any other, or
none, is replaced by 32 hexadecimal digits. The id tells requests apart; it is no secret and proves nothing. With
``trust: false`` one is always made: a client that may choose its id can give two requests the same one.

The apps find it as ``environ["dispatcher.request_id"]`` and as the request header, the client as the response header.

    middleware:
      - request_id: {header: X-Correlation-ID, trust: false}
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from dispatcher.wsgi import (
    REQUEST_ID,
    ExcInfo,
    Headers,
    StartResponse,
    Write,
    WSGIApplication,
    WSGIEnvironment,
    replace_header,
)

_is_well_formed: Final = re.compile(r"[A-Za-z0-9._:+/=@-]{1,128}").fullmatch

# A generator of our own: an app that calls random.seed(0) would otherwise make ids repeat. It costs no system call for
# each id, and is seeded anew in a forked worker, as CPython does for the one behind the random module.
_random: Final = random.Random()  # noqa: S311  # an id is no secret
os.register_at_fork(after_in_child=_random.seed)


def _header_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]+", value):
        raise PydanticCustomError("header", "expected a header name of letters, digits and hyphens, as X-Request-ID")
    return value


class RequestId:
    """Sets one id for a request in `environ`, in its request header and in the response's header."""

    class Options(BaseModel):
        model_config = ConfigDict(frozen=True, extra="forbid")

        header: Annotated[str, AfterValidator(_header_name)] = Field(
            default="X-Request-ID", description="The header that carries the id, in the request and in the response."
        )
        trust: bool = Field(
            default=True, description="Take a well-formed id from the request; false makes a new one for each."
        )

    def __init__(self, app: WSGIApplication, *, header: str = "X-Request-ID", trust: bool = True) -> None:
        self._app = app
        self._header = header
        self._key = "HTTP_" + header.upper().replace("-", "_")
        self._trust = trust

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        name, request_id = self._header, self._id_of(environ)
        environ[REQUEST_ID] = environ[self._key] = request_id

        def start(status: str, headers: Headers, exc_info: ExcInfo | None = None, /) -> Write:
            headers = list(headers)  # a copy: some apps hand in one list for every response
            replace_header(headers, name, request_id)
            return start_response(status, headers, exc_info)

        return self._app(environ, start)

    def _id_of(self, environ: WSGIEnvironment) -> str:
        given = environ.get(self._key, "") if self._trust else ""
        return given if _is_well_formed(given) else f"{_random.getrandbits(128):032x}"
