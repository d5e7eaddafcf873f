"""The one table of the middleware names that YAML may use, and the way from an entry of the file to a middleware."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from pydantic import BaseModel

from dispatcher import loader, logs
from dispatcher.config import Config, MiddlewareSpec, read_options
from dispatcher.errors import ConfigError, DispatcherError, LoadError
from dispatcher.middleware.access_log import AccessLog
from dispatcher.middleware.rate_limit import RateLimit
from dispatcher.middleware.request_id import RequestId
from dispatcher.middleware.static import Static
from dispatcher.wsgi import WSGIApplication

Wrap = Callable[[WSGIApplication], WSGIApplication]

MIDDLEWARE: Final[Mapping[str, Callable[..., WSGIApplication]]] = {
    "request_id": RequestId,
    "access_log": AccessLog,
    "rate_limit": RateLimit,
    "static": Static,
}

OPTIONS: Final[Mapping[str, type[BaseModel]]] = {
    "request_id": RequestId.Options,
    "access_log": AccessLog.Options,
    "rate_limit": RateLimit.Options,
    "static": Static.Options,
}


def prepare(site: Config, spec: MiddlewareSpec) -> Wrap:
    """The middleware that `spec` names with its options checked, waiting for the app it wraps.

    ConfigError for wrong options, LoadError for an import string that leads nowhere, each at its place in the file.
    """
    built_in = MIDDLEWARE.get(spec.name)
    if built_in is not None:
        return partial(_construct, site, spec, built_in, spec.options)
    try:
        with logs.preserved():
            found = loader.load_object(spec.name)
    except LoadError as error:
        raise LoadError(site.problem(spec.path, problem.what) for problem in error.problems) from error.__cause__
    if not callable(found):
        raise ConfigError(site.problem(spec.path, f"{spec.name!r} is not callable; name a class or a function"))
    return partial(_construct, site, spec, found, _options(site, spec, found))


def _options(site: Config, spec: MiddlewareSpec, found: Callable[..., Any]) -> Mapping[str, Any]:
    model = getattr(found, "Options", None)
    if isinstance(model, type) and issubclass(model, BaseModel):
        return read_options(site, spec, model)
    try:
        inspect.signature(found).bind(None, **spec.options)
    except TypeError as error:
        raise ConfigError(site.problem(spec.path, f"{spec.name!r} cannot take these options: {error}")) from None
    except ValueError:
        pass  # no signature to check against: the call itself tells
    return spec.options


def _construct(
    site: Config,
    spec: MiddlewareSpec,
    found: Callable[..., WSGIApplication],
    options: Mapping[str, Any],
    app: WSGIApplication,
) -> WSGIApplication:
    try:
        return found(app, **options)
    except DispatcherError as error:  # a built-in one that blames an option
        path = (*spec.path, spec.name)
        placed = [site.problem((*path, one.path) if one.path else path, one.what) for one in error.problems]
        raise LoadError(placed) from error.__cause__
    except Exception as error:
        what = f"{spec.name!r} cannot be made: {type(error).__name__}: {error}"
        raise LoadError(site.problem(spec.path, what)) from error
