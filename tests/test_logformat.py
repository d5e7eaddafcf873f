"""One record is one line that says what the client sent, and nothing that the client would like it to say."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher import logformat
from dispatcher.logformat import Record, as_word, combined, common, compile_format, in_quotes, json_line

RECORD = Record(
    at=971211336.25,
    client="127.0.0.1",
    user="frank",
    host="example.com",
    method="GET",
    path="/apache_pb.gif?a=1",
    protocol="HTTP/1.0",
    status="200",
    bytes=2326,
    referer="http://www.example.com/start.html",
    user_agent="Mozilla/4.08 [en] (Win98; I ;Nav)",
    seconds=0.0123456,
    mount="/pics",
    request_id="abc-1",
    outcome="ok",
)
NOTHING = Record(971211336.0, "", "", "", "", "", "", "499", None, "", "", 0.0, "", "", "client_gone")

LINE = re.compile(
    r"(?P<client>[^ ]+) - (?P<user>[^ ]+) \[(?P<time>[^\]]+)\] "
    r'"(?P<method>[^ "]+) (?P<path>[^ "]+) (?P<protocol>[^ "]+)" '
    r'(?P<status>[0-9]{3}) (?P<bytes>[0-9]+|-) "(?P<referer>[^"]*)" "(?P<user_agent>[^"]*)"'
)
LATIN1 = st.text(st.characters(max_codepoint=255), min_size=1, max_size=60)


@pytest.fixture(autouse=True)
def _seven_hours_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "XYZ7")
        forget_the_zone()
        yield
    forget_the_zone()


def forget_the_zone() -> None:
    time.tzset()
    logformat.clf_time.cache_clear()
    logformat._iso_second.cache_clear()


def unescape(text: str) -> str:
    return re.sub(r"\\x([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), text)


def test_common_has_apaches_fields() -> None:
    assert common(RECORD) == (
        '127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif?a=1 HTTP/1.0" 200 2326'
    )


def test_combined_adds_referer_and_user_agent() -> None:
    assert combined(RECORD) == (
        '127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif?a=1 HTTP/1.0" 200 2326 '
        '"http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)"'
    )


def test_what_is_not_known_is_a_hyphen() -> None:
    assert combined(NOTHING) == '- - - [10/Oct/2000:13:55:36 -0700] "- - -" 499 - "-" "-"'


def test_json_has_every_field_under_its_name() -> None:
    assert json.loads(json_line(RECORD)) == {
        "time": "2000-10-10T13:55:36.250-07:00",
        "client": "127.0.0.1",
        "user": "frank",
        "host": "example.com",
        "method": "GET",
        "path": "/apache_pb.gif?a=1",
        "protocol": "HTTP/1.0",
        "status": 200,
        "bytes": 2326,
        "referer": "http://www.example.com/start.html",
        "user_agent": "Mozilla/4.08 [en] (Win98; I ;Nav)",
        "duration": 0.012346,
        "mount": "/pics",
        "request_id": "abc-1",
        "outcome": "ok",
    }


def test_in_json_what_is_not_known_is_null() -> None:
    known = {name: value for name, value in json.loads(json_line(NOTHING)).items() if value is not None}

    assert known == {
        "time": "2000-10-10T13:55:36.000-07:00",
        "status": 499,
        "duration": 0.0,
        "outcome": "client_gone",
    }


@pytest.mark.parametrize(
    ("zone", "clf", "iso"),
    [
        ("UTC0", "10/Oct/2000:20:55:36 +0000", "2000-10-10T20:55:36.250+00:00"),
        ("IST-5:30", "11/Oct/2000:02:25:36 +0530", "2000-10-11T02:25:36.250+05:30"),
        ("NST3:30", "10/Oct/2000:17:25:36 -0330", "2000-10-10T17:25:36.250-03:30"),
    ],
    ids=["UTC", "east", "west, half an hour"],
)
def test_times_are_local_with_their_offset(zone: str, clf: str, iso: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    forget_the_zone()

    assert logformat.clf_time(971211336) == clf
    assert logformat.iso_time(971211336.25) == iso


@pytest.mark.parametrize("at", [971211336.0, 971211336.9999, 1700000000.001, 1700000000.999])
def test_the_millisecond_is_cut_not_rounded_into_the_next_second(at: float) -> None:
    text = logformat.iso_time(at)

    assert 0 <= at - datetime.fromisoformat(text).timestamp() < 0.0011


ESCAPES = {
    "quote": ('a"b', r"a\x22b"),
    "backslash": ("a\\b", r"a\x5Cb"),
    "line feed": ("a\nb", r"a\x0Ab"),
    "carriage return": ("a\rb", r"a\x0Db"),
    "tab": ("a\tb", r"a\x09b"),
    "NUL": ("\0", r"\x00"),
    "escape sequence": ("\x1b[2J", r"\x1B[2J"),
    "delete": ("\x7f", r"\x7F"),
    "C1 control sequence": ("\x9b2J", r"\x9B2J"),
    "next line": ("a\x85b", r"a\x85b"),
    "UTF-8 bytes": ("caf\xc3\xa9", r"caf\xC3\xA9"),
    "line separator in UTF-8": ("\xe2\x80\xa8", r"\xE2\x80\xA8"),
    "line separator set by an app": ("\u2028\u2029", r"\xE2\x80\xA8\xE2\x80\xA9"),
    "lone surrogate": ("\ud800", r"\xED\xA0\x80"),
    "already escaped": (r"\x0A", r"\x5Cx0A"),
    "nothing": ("", "-"),
    "plain": ("/a?b=c&d=%20[x]'", "/a?b=c&d=%20[x]'"),
}


@pytest.mark.parametrize(("value", "written"), ESCAPES.values(), ids=ESCAPES)
def test_a_text_is_escaped_so_that_it_stays_in_its_place(value: str, written: str) -> None:
    assert in_quotes(value) == written
    assert as_word(value) == written


def test_a_space_is_escaped_only_outside_quotes() -> None:
    assert in_quotes("a b") == "a b"
    assert as_word("a b") == r"a\x20b"
    assert as_word('x" y') == r"x\x22\x20y"


def test_a_forged_record_stays_inside_its_field() -> None:
    forged = 'x"\r\n10.0.0.1 - admin [10/Oct/2000:13:55:36 -0700] "GET /admin HTTP/1.1" 200 1 "-" "-'

    line = combined(RECORD._replace(user_agent=forged, user=forged, path=forged))

    match = LINE.fullmatch(line)
    assert match
    assert [unescape(match[name]) for name in ("user_agent", "user", "path")] == [forged] * 3
    assert match["status"] == "200"


@given(client=LATIN1, user=LATIN1, method=LATIN1, path=LATIN1, protocol=LATIN1, referer=LATIN1, user_agent=LATIN1)
def test_any_texts_make_one_combined_line_that_reads_back(**texts: str) -> None:
    line = combined(RECORD._replace(**texts))  # type: ignore[arg-type]

    assert line.isascii()
    assert line.isprintable()
    match = LINE.fullmatch(line)
    assert match
    assert {name: unescape(match[name]) for name in texts} == texts


@given(path=LATIN1, user_agent=st.text(min_size=1, max_size=60))
def test_any_texts_make_one_json_line(path: str, user_agent: str) -> None:
    line = json_line(RECORD._replace(path=path, user_agent=user_agent))

    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["path"] == path.encode("latin-1").decode("utf-8", "backslashreplace")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_json_shows_utf8_as_text(text: str) -> None:
    line = json_line(RECORD._replace(path=text.encode().decode("latin-1")))

    assert json.loads(line)["path"] == text


def test_json_shows_bytes_that_are_no_utf8_as_escapes() -> None:
    assert json.loads(json_line(RECORD._replace(path="/caf\xe9")))["path"] == r"/caf\xe9"


@pytest.mark.parametrize("name", ["common", "combined", "json"])
def test_a_format_has_a_name(name: str) -> None:
    known = {"common": common, "combined": combined, "json": json_line}

    assert compile_format(name)(RECORD) == known[name](RECORD)


def test_a_template_can_name_every_field() -> None:
    template = (
        "{time} [{clf_time}] {client} {user} {host} {method} {path} {protocol} {status} {bytes} {referer} "
        '"{user_agent}" {duration}s {duration_ms}ms {mount} {request_id} {outcome} 100% {{x}}'
    )

    assert compile_format(template)(RECORD) == (
        "2000-10-10T13:55:36.250-07:00 [10/Oct/2000:13:55:36 -0700] 127.0.0.1 frank example.com GET "
        '/apache_pb.gif?a=1 HTTP/1.0 200 2326 http://www.example.com/start.html "Mozilla/4.08 [en] (Win98; I ;Nav)" '
        "0.012346s 12.346ms /pics abc-1 ok 100% {x}"
    )


def test_in_a_template_only_a_quoted_field_keeps_its_spaces() -> None:
    line = compile_format('{user_agent} "{user_agent}" "{method} {user_agent}" {user_agent}')(
        RECORD._replace(user_agent='a "b')
    )

    assert line == r'a\x20\x22b "a \x22b" "GET a \x22b" a\x20\x22b'


def test_in_a_template_an_unquoted_field_cannot_hold_the_separator() -> None:
    line = compile_format('{path}|{status};"{path}"')(RECORD._replace(path="/a|b;c,d"))

    assert line == r'/a\x7Cb\x3Bc,d|200;"/a|b;c,d"'


def test_a_template_shows_an_unknown_size_as_a_hyphen() -> None:
    assert compile_format("{bytes} {mount}")(NOTHING) == "- -"


FIELDS = (
    "bytes, clf_time, client, duration, duration_ms, host, method, mount, outcome, path, protocol, referer, "
    "request_id, status, time, user, user_agent"
)
REFUSED = {
    "near a name": ("combind", "unknown format 'combind', did you mean 'combined'?"),
    "no name": ("x", "unknown format 'x'; known are combined, common, json, or a template such as {client} {path}"),
    "near a field": ("{clent}", "unknown field {clent}, did you mean 'client'?"),
    "no field": ("{zzz}", f"unknown field {{zzz}}; known are {FIELDS}"),
    "no name in the braces": ("{}", f"unknown field {{}}; known are {FIELDS}"),
    "attribute": ("{path.x}", "unknown field {path.x}, did you mean 'path'?"),
    "conversion": ("{path!r}", "a field is a name alone, without a conversion or a format: write {path}"),
    "format": ("{status:>5}", "a field is a name alone, without a conversion or a format: write {status}"),
    "open brace": ("{path", "expected '}' before end of string in the template; write {{ and }} for braces"),
    "line end": ("{path}\n", "a template is one line: it may hold no control characters but tabs"),
    "line separator": ("{path}\u2028", "a template is one line: it may hold no control characters but tabs"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_a_format_that_cannot_be_is_refused_with_a_way_out(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        compile_format(text)
