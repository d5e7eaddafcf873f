"""The sections of the config file as pydantic models: their fields are the schema, the defaults and the description."""

from __future__ import annotations

import logging
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from dispatcher import importstring
from dispatcher.fields import Duration, SitePath
from dispatcher.rotationoptions import RotationOptions
from dispatcher.suggestions import suggest

_RECORD_FIELDS: Final = {*logging.makeLogRecord({}).__dict__, "message", "asctime", "mount", "request_id"}


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Reload(_Section):
    """`reload:`: how edits of the file go live."""

    watch: Duration = Field(default=0.5, gt=0, description="How often to look whether the file has changed.")


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _check_reload(value: object) -> object:
    if value is None or isinstance(value, bool | dict):
        return value
    raise PydanticCustomError("reload", "expected {watch: 500ms}, or true or false")


def _check_format(value: str) -> str:
    try:
        logging.Formatter(value or "empty", validate=True)
        value % dict.fromkeys(_RECORD_FIELDS, 0)
    except KeyError as error:
        name = str(error.args[0])
        what = f"a record has no field {name!r}{suggest(name, _RECORD_FIELDS)}"
        raise PydanticCustomError("format", "{what}", {"what": what}) from None
    except (ValueError, TypeError):
        what = "no format of log records, write one such as '%(levelname)s %(message)s'"
        raise PydanticCustomError("format", "{what}", {"what": what}) from None
    return value


Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)]


class Logging(RotationOptions):
    """`logging:`: where the log records of all apps go; and when the file is rotated, as for any log file."""

    level: Level = Field(default="INFO", description="Records below this level are dropped.")
    file: SitePath | None = Field(default=None, description="The log file; without it there is only the console.")
    console: bool = Field(default=True, description="Whether records also go to standard error.")
    format: Annotated[str, AfterValidator(_check_format)] | None = Field(
        default=None, description="The format of a record, in the percent style of Python's logging."
    )


LoadTimeout = Annotated[
    Duration, Field(gt=0, description="How long loading an app may take; after that the app counts as one that fails.")
]


def _check_hook(value: str) -> str:
    try:
        called = importstring.parse(value).call is not None
    except ValueError as error:
        raise PydanticCustomError("hook", "{what}", {"what": str(error)}) from None
    if called:
        raise PydanticCustomError("hook", "name the function itself, without parentheses; it is called with the app")
    return value


def _check_warm(value: str) -> str:
    if not value.startswith("/"):
        raise PydanticCustomError("warm", "expected a path below the mount such as / or /health")
    return value


Hook = Annotated[str, AfterValidator(_check_hook)]


class File(_Section):
    """The whole file, as far as its sections are known without the middleware."""

    server: dict[str, Any] | None = None
    reload: Annotated[Reload | bool | None, BeforeValidator(_check_reload)] = None
    load_timeout: LoadTimeout = 30.0
    logging: Logging | None = None
    strict: bool = False
    middleware: list[Any] | None = None
    mounts: dict[str, Any] | None = None


class MountOptions(_Section):
    """A mount in its long form."""

    app: str
    args: dict[str, Any] | None = None
    config: dict[str, Any] | None = None
    middleware: list[Any] | None = None
    factory: bool | None = None
    static: bool | None = None
    load_timeout: LoadTimeout | None = None
    warm: Annotated[str, AfterValidator(_check_warm)] | None = Field(
        default=None, description="A path below the mount that each worker requests before the mount is routed to."
    )
    on_start: Hook | None = Field(
        default=None, description="Called with the app in each worker, before the app gets its first request there."
    )
    on_stop: Hook | None = Field(
        default=None, description="Called with the app in each worker, after the app's last request there."
    )
