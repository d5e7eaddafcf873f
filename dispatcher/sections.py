"""The sections of the config file as pydantic models: their fields are the schema, the defaults and the description."""

from __future__ import annotations

import logging
import re
from datetime import time
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from dispatcher.fields import Duration, SitePath, Size
from dispatcher.suggestions import suggest

_RECORD_FIELDS: Final = {*logging.makeLogRecord({}).__dict__, "message", "asctime", "mount", "request_id"}


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Reload(_Section):
    """`reload:`: how edits of the file go live."""

    watch: Duration = Field(default=0.5, gt=0, description="How often to look whether the file has changed.")


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _check_when(value: str) -> str:
    if not re.fullmatch("[SMHD]|MIDNIGHT|W[0-6]", value.upper()):
        raise PydanticCustomError("when", "expected midnight, S, M, H, D, or W0 (Monday) to W6")
    return value


def _check_format(value: str) -> str:
    try:
        logging.Formatter(value or "empty", validate=True)
    except ValueError:
        raise PydanticCustomError(
            "format", "no format of log records, write one such as '%(levelname)s %(message)s'"
        ) from None
    for name in re.findall(r"%\((.*?)\)", value):
        if name not in _RECORD_FIELDS:
            what = f"a record has no field {name!r}{suggest(name, _RECORD_FIELDS)}"
            raise PydanticCustomError("format", "{what}", {"what": what})
    return value


Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)]


class Logging(_Section):
    """`logging:`: where the log records of all apps go, and when the file is rotated."""

    level: Level = Field(default="INFO", description="Records below this level are dropped.")
    file: SitePath | None = Field(default=None, description="The log file; without it there is only the console.")
    max_bytes: Size = Field(default=50_000_000, description="The size at which the file is rotated; 0 means never.")
    backups: int = Field(default=10, ge=0, description="How many rotated files are kept.")
    when: Annotated[str, AfterValidator(_check_when)] | None = Field(
        default=None, description="When to rotate by time as well: midnight, S, M, H, D, or W0 (Monday) to W6."
    )
    at: time | None = Field(default=None, description="The time of day for midnight and W0 to W6, such as 03:30.")
    compress: Literal["gzip"] | None = Field(default=None, description="How rotated files are compressed.")
    console: bool = Field(default=True, description="Whether records also go to standard error.")
    format: Annotated[str, AfterValidator(_check_format)] | None = Field(
        default=None, description="The format of a record, in the percent style of Python's logging."
    )

    @field_validator("at")
    @classmethod
    def _at_needs_a_day(cls, value: time | None, info: ValidationInfo) -> time | None:
        when = info.data.get("when", "midnight")  # not there: it is wrong itself
        if value is not None and (when is None or when.upper() in ("S", "M", "H", "D")):
            raise PydanticCustomError("at", "a time of day goes with 'when: midnight' or W0 to W6, write one of them")
        return value


class File(_Section):
    """The whole file, as far as its sections are known without the middleware."""

    server: dict[str, Any] | None = None
    reload: Reload | bool | None = None
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
