from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from dispatcher.fields import Duration, Site, SitePath, Size, read_duration, read_size


class Model(BaseModel):
    size: Size = 0
    duration: Duration = 0
    path: SitePath | None = None


SITE = Site(root=Path("/srv/site"), runtime=Path("/run/site"))


def read(**data: Any) -> Model:
    return Model.model_validate(data, context={"site": SITE})


@pytest.mark.parametrize(
    ("written", "number"),
    [
        (0, 0),
        (1000, 1000),
        ("1000", 1000),
        ("10B", 10),
        ("64KB", 64_000),
        ("64KiB", 65_536),
        ("50MB", 50_000_000),
        ("50 MiB", 52_428_800),
        ("2GB", 2_000_000_000),
        ("1GiB", 1_073_741_824),
        ("1.5MB", 1_500_000),
        ("50mb", 50_000_000),
    ],
)
def test_a_size_is_read_into_bytes(written: object, number: int) -> None:
    assert read(size=written).size == number


@pytest.mark.parametrize(
    "written", ["", "MB", "5XB", "-1", -1, "0.5", 0.5, "1.5B", True, None, [], "1e3", "9" * 400, 2**63]
)
def test_what_is_no_size_is_refused_with_the_notation(written: object) -> None:
    with pytest.raises(ValidationError, match="expected a size such as 50MB, 64KiB or a number of bytes"):
        read(size=written)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (0, 0),
        (1.5, 1.5),
        ("250ms", 0.25),
        ("10s", 10),
        ("5m", 300),
        ("1h", 3600),
        ("2d", 172_800),
        ("1.5 h", 5400),
        ("7", 7),
    ],
)
def test_a_duration_is_read_into_seconds(written: object, seconds: float) -> None:
    assert read(duration=written).duration == seconds


@pytest.mark.parametrize("written", ["", "s", "5 weeks", "5M", "-1s", -1, True, None, {}, "1e3s", "9" * 400, "9" * 11])
def test_what_is_no_duration_is_refused_with_the_notation(written: object) -> None:
    with pytest.raises(ValidationError, match="expected a duration such as 250ms, 10s, 5m, 1h or a number of seconds"):
        read(duration=written)


@given(st.integers(0, 10**6))
def test_plain_numbers_mean_bytes_and_seconds(number: int) -> None:
    assert read_size(number) == read_size(str(number)) == number
    assert read_duration(number) == read_duration(f"{number * 1000}ms") == number


@given(st.text() | st.floats() | st.integers() | st.none())
def test_any_value_is_read_or_refused(value: object) -> None:
    for name in ("size", "duration"):
        try:
            assert getattr(read(**{name: value}), name) >= 0
        except ValidationError as error:
            assert error.errors()[0]["type"] == name  # noqa: PT017  # both ends are right here


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("logs/app.log", "/srv/site/logs/app.log"),
        ("../shared", "/srv/site/../shared"),
        ("/var/log/app.log", "/var/log/app.log"),
        (".", "/srv/site"),
    ],
)
def test_a_relative_path_starts_at_the_folder_of_the_config(written: str, path: str) -> None:
    assert read(path=written).path == Path(path)


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")

    assert read(path="~/app.log").path == Path("/home/ada/app.log")


def test_without_a_site_a_path_stays_relative() -> None:
    assert Model.model_validate({"path": "a/b"}).path == Path("a/b")


def test_the_home_folder_of_nobody_is_refused() -> None:
    with pytest.raises(ValidationError, match="no home folder is known for '~nobody-at-all', write the whole path"):
        read(path="~nobody-at-all/x")


@pytest.mark.parametrize("written", ["", 5, [], True, "a\0b"])
def test_what_is_no_path_is_refused(written: object) -> None:
    with pytest.raises(ValidationError, match=r"expected a path such as logs/app\.log"):
        read(path=written)


def test_the_json_schema_shows_the_notations() -> None:
    properties = Model.model_json_schema()["properties"]

    assert properties["size"]["type"] == ["string", "integer"]
    assert properties["duration"]["examples"] == ["250ms", "10s", "5m", 1.5]
    assert properties["path"]["anyOf"][0] == {"type": "string"}
