"""What a file answers, as tables: encodings by q-value, conditions in their order, byte ranges."""

from __future__ import annotations

import os
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.staticfiles.representation import Representation, decide, partial, preferred, represent
from dispatcher.wsgi import Headers

BEFORE: Final = "Tue, 14 Nov 2023 22:13:19 GMT"
MODIFIED: Final = "Tue, 14 Nov 2023 22:13:20 GMT"
AFTER: Final = "Tue, 14 Nov 2023 22:13:21 GMT"
TAG: Final = '"17979cfe362a0005-a"'
COMMON: Final[Headers] = [("Content-Type", "text/css"), ("Cache-Control", "max-age=60"), ("Vary", "Accept-Encoding")]


def facts(size: int = 10, modified_ns: int = 1_700_000_000_000_000_005) -> os.stat_result:
    seconds = modified_ns // 10**9
    whole = (0o100644, 1, 1, 1, 0, 0, size, seconds, seconds, seconds)
    exact = {"st_mtime": modified_ns / 10**9, "st_mtime_ns": modified_ns}
    return os.stat_result(whole, exact)


FILE: Final = represent("/a.css", "identity", COMMON, facts())


def answer(
    headers: Mapping[str, str], *, file: Representation = FILE, method: str = "GET"
) -> tuple[int, tuple[int, int]]:
    environ = {"REQUEST_METHOD": method, **{f"HTTP_{name}": value for name, value in headers.items()}}
    status, part = decide(environ, file)
    return int(status), part


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        pytest.param("", "identity", id="no header"),
        pytest.param("gzip", "gzip", id="one"),
        pytest.param("GZip", "gzip", id="names are case-insensitive"),
        pytest.param("gzip, deflate, br, zstd", "br", id="equal: the smallest"),
        pytest.param("br;q=0.5, gzip;q=0.8", "gzip", id="the better q-value"),
        pytest.param("gzip;q=0", "identity", id="q=0 refuses"),
        pytest.param("gzip;q=0.000, br;q=0", "identity", id="q=0.000 refuses too"),
        pytest.param("gzip;q=0.1", "gzip", id="any q-value beats an identity that is not named"),
        pytest.param("gzip;q=0.5, identity", "identity", id="identity preferred"),
        pytest.param("identity;q=0, gzip", "gzip", id="identity refused"),
        pytest.param("*;q=0", "identity", id="nothing is acceptable: send it as it is"),
        pytest.param("gzip, *;q=0", "gzip", id="nothing but gzip"),
        pytest.param("*, br;q=0", "gzip", id="anything but br"),
        pytest.param("gzip;q=nonsense", "identity", id="a bad q-value"),
        pytest.param("gzipped, xgzip", "identity", id="a name that only contains gzip"),
        pytest.param(";;=,,\x00", "identity", id="noise"),
    ],
)
def test_the_encoding_is_chosen_by_q_value(accept: str, expected: str) -> None:
    assert preferred(accept, ("br", "gzip", "identity")) == expected


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 200, id="no condition"),
        pytest.param({"IF_NONE_MATCH": TAG}, 304, id="the same tag"),
        pytest.param({"IF_NONE_MATCH": "W/" + TAG}, 304, id="the same tag, made weak by a proxy"),
        pytest.param({"IF_NONE_MATCH": f'"x", W/"y" ,{TAG}'}, 304, id="a list of tags"),
        pytest.param({"IF_NONE_MATCH": "*"}, 304, id="any"),
        pytest.param({"IF_NONE_MATCH": " * "}, 304, id="any, with spaces"),
        pytest.param({"IF_NONE_MATCH": '"x"'}, 200, id="another tag"),
        pytest.param({"IF_NONE_MATCH": "\x00,,W/"}, 200, id="no tag at all"),
        pytest.param({"IF_NONE_MATCH": '"x"', "IF_MODIFIED_SINCE": AFTER}, 200, id="a tag outranks the date"),
        pytest.param({"IF_NONE_MATCH": TAG, "IF_MODIFIED_SINCE": BEFORE}, 304, id="a tag outranks an old date"),
        pytest.param({"IF_MODIFIED_SINCE": MODIFIED}, 304, id="not modified since"),
        pytest.param({"IF_MODIFIED_SINCE": AFTER}, 304, id="not modified since later"),
        pytest.param({"IF_MODIFIED_SINCE": BEFORE}, 200, id="modified since"),
        pytest.param({"IF_MODIFIED_SINCE": "Tuesday, 14-Nov-23 22:13:20 GMT"}, 304, id="a date as in RFC 850"),
        pytest.param({"IF_MODIFIED_SINCE": "yesterday"}, 200, id="no date"),
        pytest.param({"IF_MODIFIED_SINCE": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, 200, id="a huge year"),
        pytest.param({"IF_MATCH": TAG}, 200, id="if-match: the same"),
        pytest.param({"IF_MATCH": "*"}, 200, id="if-match: any"),
        pytest.param({"IF_MATCH": "W/" + TAG}, 412, id="if-match compares strongly"),
        pytest.param({"IF_MATCH": '"x"'}, 412, id="if-match: another"),
        pytest.param({"IF_MATCH": TAG, "IF_NONE_MATCH": TAG}, 304, id="if-match holds, then if-none-match"),
        pytest.param({"IF_MATCH": '"x"', "IF_NONE_MATCH": TAG}, 412, id="if-match comes first"),
        pytest.param({"IF_UNMODIFIED_SINCE": MODIFIED}, 200, id="unmodified since"),
        pytest.param({"IF_UNMODIFIED_SINCE": BEFORE}, 412, id="modified since then"),
        pytest.param({"IF_MATCH": TAG, "IF_UNMODIFIED_SINCE": BEFORE}, 200, id="if-match outranks the date"),
        pytest.param({"IF_UNMODIFIED_SINCE": BEFORE, "IF_NONE_MATCH": TAG}, 412, id="412 before 304"),
        pytest.param({"IF_NONE_MATCH": TAG, "RANGE": "bytes=0-1"}, 304, id="304 before a range"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_conditions_have_their_order(headers: dict[str, str], status: int, method: str) -> None:
    assert answer(headers, method=method)[0] == status


@pytest.mark.parametrize(
    ("value", "status", "part"),
    [
        pytest.param("bytes=0-0", 206, (0, 1), id="the first byte"),
        pytest.param("bytes=-1", 206, (9, 10), id="the last byte"),
        pytest.param("bytes=2-4", 206, (2, 5), id="the middle"),
        pytest.param("bytes=4-", 206, (4, 10), id="from the fifth on"),
        pytest.param("bytes=0-", 206, (0, 10), id="from the first on"),
        pytest.param("bytes=8-99", 206, (8, 10), id="past the end"),
        pytest.param("bytes=-99", 206, (0, 10), id="a suffix longer than the file"),
        pytest.param("BYTES=1-2", 206, (1, 3), id="units are case-insensitive"),
        pytest.param("bytes=10-", 416, (10, 10), id="starts at the end"),
        pytest.param("bytes=99-100", 416, (10, 10), id="starts after the end"),
        pytest.param("bytes=4-2", 200, (0, 10), id="backwards"),
        pytest.param("bytes=-0", 200, (0, 10), id="no last bytes"),
        pytest.param("bytes=a-b", 200, (0, 10), id="letters"),
        pytest.param("bytes=", 200, (0, 10), id="nothing"),
        pytest.param("bytes", 200, (0, 10), id="units alone"),
        pytest.param("bytes=٣-٤", 200, (0, 10), id="digits of another script"),
        pytest.param("bytes=0-" + "9" * 5000, 200, (0, 10), id="five thousand digits"),
        pytest.param("lines=1-2", 200, (0, 10), id="other units"),
        pytest.param("bytes=0-1,4-5", 200, (0, 10), id="two ranges get the whole file"),
    ],
)
def test_a_range_is_answered_or_ignored(value: str, status: int, part: tuple[int, int]) -> None:
    assert answer({"RANGE": value}) == (status, part)


@pytest.mark.parametrize(
    ("if_range", "status"),
    [
        pytest.param(TAG, 206, id="the same tag"),
        pytest.param('"x"', 200, id="another tag"),
        pytest.param("W/" + TAG, 200, id="a weak tag"),
        pytest.param(MODIFIED, 206, id="the very date"),
        pytest.param("Tuesday, 14-Nov-23 22:13:20 GMT", 206, id="the very date, as in RFC 850"),
        pytest.param(AFTER, 200, id="a later date is not the very date"),
        pytest.param(BEFORE, 200, id="an earlier date"),
        pytest.param("noise", 200, id="neither tag nor date"),
    ],
)
def test_parts_are_sent_of_the_same_file_only(if_range: str, status: int) -> None:
    assert answer({"RANGE": "bytes=0-1", "IF_RANGE": if_range})[0] == status


def test_a_changed_file_is_sent_whole_even_where_the_range_lies_outside() -> None:
    assert answer({"RANGE": "bytes=50-", "IF_RANGE": '"x"'}) == (200, (0, 10))


def test_head_knows_no_ranges() -> None:
    assert answer({"RANGE": "bytes=0-1"}, method="HEAD") == (200, (0, 10))


def test_an_empty_file_is_sent_whole_whatever_the_range() -> None:
    empty = represent("/a.css", "identity", COMMON, facts(size=0))

    assert [answer({"RANGE": value}, file=empty) for value in ("bytes=0-", "bytes=-1")] == [(200, (0, 0))] * 2


@pytest.mark.parametrize(("method", "status"), [("POST", 405), ("DELETE", 405), ("OPTIONS", 204), ("get", 405)])
def test_a_file_knows_three_methods(method: str, status: int) -> None:
    assert answer({}, method=method)[0] == status


def test_a_file_is_described_whole() -> None:
    assert FILE.whole == [
        ("Content-Length", "10"),
        ("ETag", TAG),
        ("Last-Modified", MODIFIED),
        ("Accept-Ranges", "bytes"),
        *COMMON,
    ]


def test_a_304_says_nothing_of_a_content() -> None:
    assert FILE.unchanged == [("ETag", TAG), ("Cache-Control", "max-age=60"), ("Vary", "Accept-Encoding")]


def test_a_part_has_its_own_length_and_place() -> None:
    headers = partial(FILE, (2, 5))

    assert headers[:2] == [("Content-Length", "3"), ("Content-Range", "bytes 2-4/10")]
    assert headers[2:] == FILE.whole[1:]


def test_each_encoding_has_its_own_tag() -> None:
    packed = represent("/a.css.gz", "gzip", COMMON, facts())

    assert packed.etag == '"17979cfe362a0005-a-gzip"'
    assert ("Content-Encoding", "gzip") in packed.whole


def test_a_change_within_one_second_changes_the_tag() -> None:
    assert FILE.as_of(facts(modified_ns=1_700_000_000_000_000_006)).etag != FILE.etag
    assert FILE.as_of(facts()) is FILE


@pytest.mark.parametrize(
    "modified_ns",
    [
        pytest.param(0, id="the epoch"),
        pytest.param(-(10**18), id="before the epoch"),
        pytest.param(253_402_300_800 * 10**9, id="the year 10000"),
        pytest.param(4_000_000_000 * 10**9, id="the future"),
    ],
)
def test_an_impossible_time_is_no_last_modified(modified_ns: int) -> None:
    file = represent("/a.css", "identity", COMMON, facts(modified_ns=modified_ns))

    assert "Last-Modified" not in dict(file.whole)
    assert answer({"IF_MODIFIED_SINCE": AFTER}, file=file)[0] == 200
    assert answer({"RANGE": "bytes=0-1", "IF_RANGE": AFTER}, file=file)[0] == 200


HEADER_TEXT: Final = st.text(string.printable + "äÿ\x00", max_size=40) | st.sampled_from(
    ["*", TAG, BEFORE, "bytes=0-1", "bytes=-5,", 'W/"', "Mon, 1 Jan 1 00:00:00 +9999", "gzip;q=1;q=", '"\\']
)


@given(
    st.dictionaries(
        st.sampled_from(["IF_MATCH", "IF_NONE_MATCH", "IF_MODIFIED_SINCE", "IF_UNMODIFIED_SINCE", "IF_RANGE", "RANGE"]),
        st.lists(HEADER_TEXT, min_size=1, max_size=3).map("".join),
    )
)
def test_no_header_breaks_a_file(headers: dict[str, str]) -> None:
    status, (start, stop) = answer(headers)

    assert status in (200, 206, 304, 412, 416)
    assert 0 <= start <= stop <= 10


@given(st.lists(HEADER_TEXT, max_size=3).map("".join))
def test_no_accept_encoding_breaks_the_choice(value: str) -> None:
    assert preferred(value, ("gzip", "identity")) in ("gzip", "identity")


def test_describing_a_real_file_agrees_with_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "a.css"
    path.write_bytes(b"12345")

    assert represent(str(path), "identity", COMMON, path.stat()).size == 5
