"""When a log file is rotated and what becomes of the old ones, as options for whatever writes one."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from dispatcher.fields import Size


def _check_when(value: str) -> str:
    if not re.fullmatch("[SMHD]|MIDNIGHT|W[0-6]", value.upper()):
        raise PydanticCustomError("when", "expected midnight, S, M, H, D, or W0 (Monday) to W6")
    return value


class RotationOptions(BaseModel):
    """The rotation of a `dispatcher.logfile.LogFile`, under its own names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_bytes: Size = Field(default=50_000_000, description="The size at which the file is rotated; 0 means never.")
    backups: int = Field(default=10, ge=0, description="How many rotated files are kept.")
    when: Annotated[str, AfterValidator(_check_when)] | None = Field(
        default=None, description="When to rotate by time as well: midnight, S, M, H, D, or W0 (Monday) to W6."
    )
    at: dt.time | None = Field(default=None, description="The time of day for midnight and W0 to W6, such as 03:30.")
    compress: Literal["gzip"] | None = Field(default=None, description="How rotated files are compressed.")

    @field_validator("at")
    @classmethod
    def _at_needs_a_day(cls, value: dt.time | None, info: ValidationInfo) -> dt.time | None:
        when = info.data.get("when", "midnight")  # not there: it is wrong itself
        if value is not None and (when is None or when.upper() in ("S", "M", "H", "D")):
            raise PydanticCustomError("at", "a time of day goes with 'when: midnight' or W0 to W6, write one of them")
        return value
