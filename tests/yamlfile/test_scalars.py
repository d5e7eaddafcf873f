from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.yamlfile.scalars import resolve


@pytest.mark.parametrize("text", ["null", "Null", "NULL", "~", ""])
def test_nothing_has_five_spellings(text: str) -> None:
    assert resolve(text) is None


@pytest.mark.parametrize("text", ["true", "True", "TRUE", "false", "False", "FALSE"])
def test_truth_values_have_three_spellings_each(text: str) -> None:
    assert resolve(text) is (text.lower() == "true")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(
            ("0", 0),
            ("-0", 0),
            ("+7", 7),
            ("-12", -12),
            ("9223372036854775807", 2**63 - 1),
            ("-9223372036854775808", -(2**63)),
        ),
        *(("0o17", 15), ("0o0017", 15), ("0x1F", 31), ("0xff", 255), ("0x7fffffffffffffff", 2**63 - 1)),
        *(
            (".5", 0.5),
            ("1.", 1.0),
            ("-1.5", -1.5),
            ("1e3", 1000.0),
            ("1E-2", 0.01),
            ("1.5e+3", 1500.0),
            ("010.5", 10.5),
        ),
    ],
)
def test_numbers_are_those_of_the_core_schema(text: str, number: float) -> None:
    found = resolve(text)

    assert found == number
    assert type(found) is type(number)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "on",
            "off",
            "yes",
            "no",
            "y",
            "n",
            "tRue",
            "nULL",
            "None",
            "010",
            "0640",
            "-010",
            "00",
            "10:30",
            "1:30:00",
            "0b101",
        ),
        *(
            "1_000",
            "0o8",
            "0xg",
            "-0x1",
            "0O17",
            "1e",
            "e5",
            ".",
            "-",
            "+",
            "1.2.3",
            "2024-01-01",
            "1,5",
            "٣",
            "१",
            "=",
            "<<",
        ),
        *("50MB", "inf", "nan", " 1", "1 ", "1\n"),
    ],
)
def test_all_else_is_text(text: str) -> None:
    assert resolve(text) == text


@pytest.mark.parametrize("text", [".inf", "-.Inf", "+.INF", ".nan", ".NaN", ".NAN"])
def test_what_is_not_finite_is_refused(text: str) -> None:
    message = (
        f"^'{text.replace('+', '[+]')}' is no finite number; write a number, or put it in quotes if text is meant$"
    )

    with pytest.raises(ValueError, match=message):
        resolve(text)


@pytest.mark.parametrize(
    "text", ["9223372036854775808", "-9223372036854775809", "9" * 10_000, "0x" + "f" * 16, "0o" + "7" * 40]
)
def test_a_whole_number_beyond_64_bits_is_refused(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"^this number does not fit into 64 bits; write a smaller one, or put it in quotes"
    ):
        resolve(text)


@pytest.mark.parametrize("text", ["1e309", "-1e99999", "9" * 400 + ".0"])
def test_a_number_beyond_all_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^this number is too large; write a smaller one, or put it in quotes"):
        resolve(text)


@given(st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_read_as_python_prints_them(number: float) -> None:
    assert resolve(repr(number)) == number
