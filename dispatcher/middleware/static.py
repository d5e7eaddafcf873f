"""Files of a folder under a URL, sent as nginx would send them: `static: {url: /static, root: static}`.

What is no file there goes on to the app behind, with every method. A file is opened first and described afterwards, so
that its length and its ETag are those of the bytes that are sent; new, changed and deleted files are seen without a
restart. Which file a URL means stands in `staticfiles.folder`, what it answers in `staticfiles.representation`.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Final
from wsgiref.util import is_hop_by_hop

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo
from pydantic_core import PydanticCustomError
from whitenoise.responders import NotARegularFileError, Redirect

from dispatcher.fields import Duration, Site, SitePath
from dispatcher.staticfiles.answer import Answer, prepare, send
from dispatcher.staticfiles.folder import Folder, Found
from dispatcher.wsgi import StartResponse, WSGIApplication, WSGIEnvironment, respond

_log = logging.getLogger(__name__)

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_FIELD_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_ORIGIN: Final = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/\s?#@]+")  # RFC 6454 section 7.1
_ROOT_PROBLEMS: Final = {FileNotFoundError: "no such folder", NotADirectoryError: "not a folder"}
_OWN_HEADER: Final = re.compile(r"accept-ranges|content-(encoding|length|range|type)|date|etag|last-modified", re.I)


def _prefix(url: str) -> str:
    """`url` with exactly one slash at both ends: ``/static/``, or ``/``."""
    path = "/".join(filter(None, url.split("/")))
    return f"/{path}/" if path else "/"


def _check_url(url: str) -> str:
    segments = url.split("/")
    if "." in segments or ".." in segments or re.search(r"[\\?#%\x00-\x1f\x7f]", url):
        raise PydanticCustomError("url", "expected a URL path such as /static, written without %, ? and #")
    return _prefix(url).rstrip("/") or "/"


def _check_root(root: Path, info: ValidationInfo) -> Path:
    try:
        os.scandir(root).close()
    except OSError as error:
        reason = _ROOT_PROBLEMS.get(type(error), error.strerror)
        raise PydanticCustomError("root", "{root}: {reason}", {"root": str(root), "reason": reason}) from error
    site: Site | None = (info.context or {}).get("site")
    if site is not None and site.root.resolve().is_relative_to(root.resolve()):
        text = "{root}: holds the config file, which would be published; name a folder of its own"
        raise PydanticCustomError("root", text, {"root": str(root)})
    return root


def _check_immutable(pattern: str | None) -> str | None:
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise PydanticCustomError("pattern", "not a regular expression: {reason}", {"reason": str(error)}) from error
    return pattern


def _check_headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        problem = ""
        if not _TOKEN.fullmatch(name):
            problem = "no name for a header"
        elif _OWN_HEADER.fullmatch(name) or is_hop_by_hop(name):
            problem = "is set for each file by itself"
        elif not _FIELD_VALUE.fullmatch(value):
            problem = "its value is not one line of Latin-1 text"
        if problem:
            raise PydanticCustomError("header", "{name}: {problem}", {"name": repr(name), "problem": problem})
    return headers


def _check_charset(charset: str) -> str:
    if not _TOKEN.fullmatch(charset):
        raise PydanticCustomError("charset", "expected the name of a character encoding such as utf-8")
    return charset


def _check_origin(origin: str | None) -> str | None:
    if origin is not None and not _ORIGIN.fullmatch(origin):
        raise PydanticCustomError("origin", "expected * or one origin such as https://www.example.com")
    return origin


class Static:
    """Answers for the files below `root` under `url`; the options are those of `Options`.

    A `root` that does not exist is no error here: then every request goes on to `app`, until the folder appears.
    `clock` gives monotonic seconds.
    """

    class Options(BaseModel):
        """What `static` can be told."""

        model_config = ConfigDict(frozen=True, extra="forbid")

        url: Annotated[str, AfterValidator(_check_url)] = Field(
            "/static", description="URL path of the folder. `/` is allowed: what is no file goes on to the apps."
        )
        root: Annotated[SitePath, AfterValidator(_check_root)] = Field(description="Folder with the files.")
        max_age: Duration = Field(
            60.0,
            description="How long browsers and caches may use a file without asking again; 0: they always ask.",
        )
        immutable: Annotated[str | None, AfterValidator(_check_immutable)] = Field(
            None,
            description="Regular expression, searched in the URL: files whose names change with their content. "
            "They are cached for ten years.",
        )
        index: bool = Field(False, description="Whether a folder's URL shows its index.html.")
        dotfiles: bool = Field(
            False, description="Whether names that begin with a dot are served; .well-known at the top always is."
        )
        follow_links: bool = Field(False, description="Whether symbolic links may lead out of the folder.")
        headers: Annotated[dict[str, str], AfterValidator(_check_headers)] = Field(
            {}, description="Headers that every file is sent with."
        )
        allow_origin: Annotated[str | None, AfterValidator(_check_origin)] = Field(
            None, description="Access-Control-Allow-Origin: * or one origin, for fonts and scripts on other sites."
        )
        media_types: dict[str, str] = Field(
            {}, description="Content-Type by ending (.glb) or by whole name, where the built-in one is not right."
        )
        charset: Annotated[str, AfterValidator(_check_charset)] = Field(
            "utf-8", description="Character encoding of the text files."
        )

    def __init__(
        self,
        app: WSGIApplication,
        *,
        root: str | os.PathLike[str],
        url: str = "/static",
        max_age: float | None = 60.0,
        immutable: str | None = None,
        index: bool = False,
        dotfiles: bool = False,
        follow_links: bool = False,
        headers: Mapping[str, str] | None = None,
        allow_origin: str | None = None,
        media_types: Mapping[str, str] | None = None,
        charset: str = "utf-8",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        prefix = _prefix(url)
        self._app = app
        self._prefix = prefix.encode().decode("latin-1")  # as it comes in PATH_INFO (PEP 3333)
        self._bare = self._prefix[:-1] if index and prefix != "/" else None
        cross_origin = {"Access-Control-Allow-Origin": allow_origin} if allow_origin else {}
        self._folder = Folder(
            Path(root),
            prefix,
            max_age=int(max_age or 0),
            immutable=immutable,
            index=index,
            dotfiles=dotfiles,
            follow_links=follow_links,
            fixed_headers=cross_origin | dict(headers or {}),
            media_types={name.lower(): media_type for name, media_type in (media_types or {}).items()},
            charset=charset,
            clock=clock,
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if not path.startswith(self._prefix) and path != self._bare:
            return self._app(environ, start_response)
        try:
            found = self._prepare(path, environ)
        except OSError as error:
            _log.warning("%r cannot be read: %s", error.filename or path, error.strerror)
            return respond(environ, start_response, 403 if isinstance(error, PermissionError) else 503)
        if isinstance(found, Answer):
            return send(environ, start_response, found)
        if found is None or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return self._app(environ, start_response)
        return respond(environ, start_response, 302, headers=found.response.headers)

    def _prepare(self, path: str, environ: WSGIEnvironment) -> Answer | Redirect | None:
        """The answer of the file that `path` means, None if there is none. OSError for one that is not to be opened."""
        for find in (self._folder.recall, self._folder.look):  # again, if it has moved since it was found
            found = find(path)
            if not isinstance(found, Found):
                return found
            try:
                return prepare(environ, found.choose(environ.get("HTTP_ACCEPT_ENCODING", "")))
            except (FileNotFoundError, NotARegularFileError):
                continue
            except OSError:
                if find == self._folder.look:
                    raise
        return None
