"""Request bodies: JSON into a struct, with every bad field named by its dotted path."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, Literal
from unicodedata import normalize
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from shared.currency import Currency
from shared.errors import InvalidInput
from shared.money import Money
from shared.web.bodies import decode
from shared.web.shapes import MAX_BYTES, TRIMMED, JsonObject
from shared.web.times import MAX_TIME_LENGTH

Name = Annotated[str, Meta(min_length=1, max_length=10)]


class TaskStatus(Enum):
    OPEN = "open"
    DONE = "done"


class Line(msgspec.Struct, forbid_unknown_fields=True):
    name: Name
    price: Money
    service_id: UUID | None = None


class Body(msgspec.Struct, forbid_unknown_fields=True):
    email: str
    items: Annotated[list[Line], Meta(min_length=1, max_length=3)]
    count: Annotated[int, Meta(ge=0)] = 1
    note: str | None = None
    tags: list[Name] = []
    metadata: JsonObject = JsonObject(b"{}")
    discount: Money | None = None
    ship_to: Line | None = None


class Change(msgspec.Struct, forbid_unknown_fields=True):
    name: Name | msgspec.UnsetType = msgspec.UNSET
    price: Money | msgspec.UnsetType | None = msgspec.UNSET


GOOD = {"email": "jane@roe.example", "items": [{"name": "SEO", "price": "9.50"}]}


def body(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode()


def refusal(raw: bytes, shape: Any = Body) -> InvalidInput:
    with pytest.raises(InvalidInput) as refused:
        decode(raw, shape)
    return refused.value


def errors_of(raw: bytes, shape: Any = Body) -> dict[str, list[str]]:
    """Which fields are refused, and why."""
    return {field: list(messages) for field, messages in refusal(raw, shape).errors.items()}


def test_a_good_body_becomes_its_struct():
    decoded = decode(body(note=None, count=3), Body)
    assert (decoded.email, decoded.count, decoded.note) == ("jane@roe.example", 3, None)
    assert decoded.items[0].price == Money("9.50")


def test_every_bad_field_is_named_and_not_just_the_first():
    raw = body(email=1, count=-1, note=[], items=[{"name": "", "price": "x"}, {"price": 1, "size": 2}], extra=True)
    assert set(errors_of(raw)) == {
        "email",
        "count",
        "note",
        "items.0.name",
        "items.0.price",
        "items.1.name",
        "items.1.size",
        "extra",
    }


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"email": None}, "email", "Expected a string, got null."),
        ({"items": []}, "items", "Expected an array of at least 1 item."),
        ({"items": GOOD["items"] * 4}, "items", "Expected an array of at most 3 items."),
        ({"items": {}}, "items", "Expected an array, got an object."),
        ({"items": [None]}, "items.0", "Expected an object, got null."),
        ({"items": [*GOOD["items"], "x"]}, "items.1", "Expected an object, got a string."),
        ({"items": [{"name": "x", "price": 1, "service_id": "x"}]}, "items.0.service_id", "Invalid UUID."),
        ({"tags": ["ok", ""]}, "tags.1", "Expected a string of at least 1 character."),
        ({"count": 1.5}, "count", "Expected an integer, got a number."),
        ({"count": True}, "count", "Expected an integer, got a boolean."),
        ({"count": "1"}, "count", "Expected an integer, got a string."),
        ({"metadata": None}, "metadata", "Expected an object."),
        ({"discount": -1}, "discount", None),
        ({"ship_to": {"name": "x"}}, "ship_to.price", "This field is required."),
        ({"ship_to": {"name": "x", "price": "1", "zip": 1}}, "ship_to.zip", "There is no such field."),
        ({"unknown": 1}, "unknown", "There is no such field."),
    ],
)
def test_a_bad_field_is_named_by_its_path_with_a_sentence(changes: dict[str, Any], field: str, message: str | None):
    errors = errors_of(body(**changes))
    assert list(errors) == [field]
    assert len(errors[field]) == 1
    assert errors[field][0].endswith(".")
    if message is not None:
        assert errors[field] == [message]


def test_a_field_that_is_missing_is_named():
    assert errors_of(b"{}") == {"email": ["This field is required."], "items": ["This field is required."]}


@pytest.mark.parametrize(
    "raw",
    [
        *(
            b"",
            b"{",
            b"{]",
            b'{"a":}',
            b"nul",
            b"'a'",
            b'{"a":1,}',
            b"{} {}",
            b'{"email": "\xff"}',
            b"\xef\xbb\xbf\xef\xbb\xbf{}",
        ),
        *(b"NaN", b"[Infinity]", b"-Infinity", b'{"a": "\x01"}', b"{\x0b}", b"\xff\xfe{\x00}\x00"),
        b"\x00",
    ],
)
def test_what_is_no_json_is_refused_as_a_whole(raw: bytes):
    refused = refusal(raw)
    assert refused.detail.startswith("The body is not valid JSON")
    assert refused.errors == {}


@pytest.mark.parametrize("raw", [b"[]", b'"text"', b"1", b"1.5", b"null", b"true"])
def test_json_that_is_no_object_is_an_error_of_the_body(raw: bytes):
    assert list(errors_of(raw)) == ["body"]


def test_nesting_without_end_is_refused_and_harms_nobody():
    for raw in (b"[" * 500_000, b'{"metadata":' * 100_000, b'{"metadata":' + b'{"a":' * 900 + b"1" + b"}" * 901):
        assert refusal(raw).detail


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"email": "a\0b"}, "email"),
        ({"items": [{"name": "a\0", "price": 1}]}, "items.0.name"),
        ({"tags": ["x", "\0"]}, "tags.1"),
        ({"metadata": {"deep": ["\0"]}}, "metadata.deep.0"),
        ({"metadata": {"\0": 1}}, "metadata.(name)"),
    ],
)
def test_the_null_character_is_refused_wherever_it_stands(changes: dict[str, Any], field: str):
    assert errors_of(body(**changes)) == {field: ["Text cannot hold the null character."]}


def test_null_characters_are_named_beside_other_faults():
    assert set(errors_of(body(email="\0", count=-1))) == {"email", "count"}


def test_a_text_that_spells_the_escape_is_fine():
    assert decode(body(note="\\u0000"), Body).note == "\\u0000"


def test_null_clears_and_absence_leaves():
    assert decode(b'{"price": null}', Change) == Change(price=None)
    assert decode(b"{}", Change) == Change()
    assert list(errors_of(b'{"name": null}', Change)) == ["name"]


def test_a_body_that_may_be_left_out_may_be_null():
    assert decode(b"null", Body | None) is None
    assert list(errors_of(b'{"email": 1, "items": []}', Body | None)) == ["email", "items"]


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (b'{"email":"a","email":"b","items":[{"name":"x","price":1}]}', {"email"}),
        (b'{"email":"a","email":"a","items":[{"name":"x","price":1}]}', {"email"}),
        (b'{"email":"a","\\u0065mail":"a","items":[{"name":"x","price":1}]}', {"email"}),
        (b'{"email":"a","items":[{"name":"x","price":1},{"name":"x","price":1,"price":2}]}', {"items.1.price"}),
        (
            b'{"email":"a","items":[{"name":"x","price":1}],"metadata":{"a":{"b":1,"b":1},"c":[{"d":1,"d":2}]}}',
            {"metadata.a.b", "metadata.c.0.d"},
        ),
        (
            '{"email":"a","items":[{"name":"x","price":1}],"metadata":{"\u00e9":1,"e\u0301":1}}'.encode(),
            {"metadata.\u00e9"},
        ),
        (b'{"email":"a","items":[{"name":"x","price":1}],"size":1,"size":1}', {"size"}),
    ],
)
def test_a_name_that_is_given_twice_in_one_object_is_refused(raw: bytes, fields: set[str]):
    errors = errors_of(raw)
    assert set(errors) == fields
    assert all("This name is given twice." in messages for messages in errors.values())


def test_a_name_may_stand_in_two_objects():
    raw = b'{"email":"a","items":[{"name":"x","price":1},{"name":"x","price":1}],"metadata":{"email":{"email":1}}}'
    assert len(decode(raw, Body).items) == 2


def test_a_byte_order_mark_is_left_out():
    assert decode(b"\xef\xbb\xbf" + body(), Body).email == "jane@roe.example"


def test_what_is_no_utf_8_is_told_by_its_place_and_in_no_programming_language():
    refused = refusal(b'{"email": "\xff"}')
    assert refused.detail == "The body is not valid JSON: byte 11 is not UTF-8."


def test_no_message_names_a_type_of_a_programming_language():
    wrong = [None, True, 1, 1.5, "x", [], {}, [1], "\U0001f600" * 20]
    for field in Body.__struct_fields__:
        for value in wrong:
            for messages in (_errors_if_any(body(**{field: value}), Body) or {}).values():
                assert not re.search(r"`|\b(str|int|float|bool|dict|list|None|utf-8|codec)\b", "".join(messages))


class Choice(msgspec.Struct, forbid_unknown_fields=True):
    status: TaskStatus | None = None
    number: Annotated[Literal[0, 1, 2], Meta(description="Which.")] = 0
    currency: Currency = Currency.EUR
    each: list[TaskStatus] = []


@pytest.mark.parametrize(
    ("field", "value", "named", "message"),
    [
        ("status", "shut", "status", "Expected one of open, done."),
        ("number", 3, "number", "Expected one of 0, 1, 2."),
        ("each", ["open", "x"], "each.1", "Expected one of open, done."),
        ("currency", "XXX", "currency", "There is no such value; the API's document has them all."),
    ],
)
def test_a_value_that_is_no_option_is_answered_with_the_options(field: str, value: Any, named: str, message: str):
    assert errors_of(json.dumps({field: value}).encode(), Choice) == {named: [message]}


def test_text_is_normalised_wherever_it_stands():
    raw = '{"email":"rene\u0301","items":[{"name":"e\u0301","price":1}],"tags":["o\u0308"],"note":"\\u0065\\u0301"}'
    found = decode(raw.encode(), Body)
    assert (found.email, found.items[0].name, found.tags, found.note) == ("ren\u00e9", "\u00e9", ["\u00f6"], "\u00e9")


def test_a_bound_counts_the_normalised_text():
    assert decode(body(tags=["e\u0301" * 10]), Body).tags == ["\u00e9" * 10]


class Trimmed(msgspec.Struct):
    address: Annotated[str, Meta(min_length=1, extra={TRIMMED: True})] | None = None


@pytest.mark.parametrize("around", ["", " ", "\t\r\n", "\u00a0\u3000\ufeff"])
def test_a_trimmed_text_is_without_the_blanks_around_it(around: str):
    assert decode(json.dumps({"address": f"{around}a b{around}"}).encode(), Trimmed).address == "a b"
    assert list(errors_of(json.dumps({"address": around}).encode(), Trimmed)) == ["address"]


class Long(msgspec.Struct):
    text: Annotated[str, Meta(max_length=64 * 1024, extra={MAX_BYTES: 64 * 1024})]
    lines: list[Annotated[str, Meta(extra={MAX_BYTES: 64 * 1024})]] = []


@pytest.mark.parametrize("letter", ["a", "\u00e9", "\U0001f600", "\u0958"])
def test_a_bound_in_bytes_counts_utf_8(letter: str):
    size = len(normalize("NFC", letter).encode())
    fits = letter * (64 * 1024 // size)
    assert decode(json.dumps({"text": fits, "lines": [fits]}).encode(), Long).text == normalize("NFC", fits)
    raw = json.dumps({"text": fits + letter, "lines": [fits + letter]}).encode()
    assert set(errors_of(raw, Long)) == {"text", "lines.0"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from([*Body.__struct_fields__, *Line.__struct_fields__, "unknown"])


class Deadline(msgspec.Struct):
    at: Annotated[datetime, Meta(tz=True)] | None = None


@pytest.mark.parametrize(
    ("spelled", "read"),
    [
        ("2026-02-08T12:00:00Z", datetime(2026, 2, 8, 12, tzinfo=UTC)),
        ("2026-02-08T12:00:00.5+02:30", datetime(2026, 2, 8, 9, 30, 0, 500_000, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("2027-01-31T23:59:59.9999999Z", datetime(2027, 1, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("2027-12-31T23:59:59.99999999999999999+02:00", datetime(2027, 12, 31, 21, 59, 59, 999_999, tzinfo=UTC)),
        ("9999-12-31T23:59:59.9999999Z", datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("2026-02-08T12:00:00.0000009Z", datetime(2026, 2, 8, 12, tzinfo=UTC)),
        ("2026-02-08t12:00:00z", datetime(2026, 2, 8, 12, tzinfo=UTC)),
        ("2026-02-08T12:00:00.".ljust(MAX_TIME_LENGTH - 1, "0") + "Z", datetime(2026, 2, 8, 12, tzinfo=UTC)),
        ("2026-02-08 12:00:00.1z", datetime(2026, 2, 8, 12, 0, 0, 100_000, tzinfo=UTC)),
        ("2026-02-08T12:00:00-00:00", datetime(2026, 2, 8, 12, tzinfo=UTC)),
        ("2026-02-08T12:00:00+23:59", datetime(2026, 2, 7, 12, 1, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("2017-01-01T00:59:60.5+01:00", datetime(2016, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("9999-12-31T23:59:60Z", datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    ],
)
def test_times_are_read_in_utc(spelled: str, read: datetime):
    found = decode(json.dumps({"at": spelled}).encode(), Deadline).at
    assert (found, found.tzinfo) == (read, UTC)


@pytest.mark.parametrize(
    "spelled",
    [
        *("2026-02-08T12:00:00", "tomorrow", "", 7, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "\u0662"),
        *(
            "2026-02-08T12:00:00+0200",
            "2026-02-08T12:00:00+02",
            "2026-02-08T12:00:00+24:00",
            "2026-02-08T12:00:00+02:60",
        ),
        *("2026-02-08T12:00Z", "2026-02-08", "2026-02-30T12:00:00Z", "2026-02-08T24:00:00Z", "2026-02-08T12:60:00Z"),
        *("2026-12-31T24:00:00+01:00", "2026-12-31T24:00:60Z", "2026-12-31T24:00:00.000001Z", "2026-12-31T29:00:00Z"),
        *("2026-02-08T12:00:61Z", "2026-02-08T12:00:60Z", "2026-02-08T23:59:60Z", "2016-12-31T23:59:60+01:00"),
        "2026-02-08T12:00:00.".ljust(MAX_TIME_LENGTH, "0") + "Z",
        *("2026-02-08T12:00:00.Z", "2026-02-08T12:00:00,5Z", " 2026-02-08T12:00:00Z", "2026-02-08T12:00:00Z\n"),
        *("0000-01-01T00:00:00Z", "\u0662026-02-08T12:00:00Z", "20260208T120000Z", "2026-02-08_12:00:00Z"),
    ],
)
def test_what_is_no_moment_in_utc_is_refused(spelled: object):
    with pytest.raises(InvalidInput) as refused:
        decode(json.dumps({"at": spelled}).encode(), Deadline)
    assert refused.value.errors == {"at": ["Expected a time as RFC 3339 spells it, such as 2026-02-08T12:00:00Z."]}


@settings(max_examples=30)
@given(st.dictionaries(FIELDS, JSON | st.lists(st.dictionaries(FIELDS, JSON)), max_size=6))
def test_any_object_is_decoded_or_refused_with_its_fields_named(value: dict[str, Any]):
    errors = _errors_if_any(json.dumps(value).encode(), Body)
    assert errors is None or (errors and all(errors.values()))


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_raise_anything_but_invalid_input(raw: bytes):
    for shape in (Body, Body | None, Change, Any):
        _errors_if_any(raw, shape)


def _errors_if_any(raw: bytes, shape: Any) -> dict[str, Any] | None:
    """The errors of the fields if the body is refused; None if it is taken. Anything but InvalidInput is a bug."""
    try:
        decode(raw, shape)
    except InvalidInput as refused:
        return refused.errors
    return None


@pytest.mark.parametrize("spelled", ["2", "2.0", "2e0", "20e-1"])
def test_a_whole_number_is_one_however_it_is_spelled(spelled: str):
    assert decode(json.dumps(GOOD)[:-1].encode() + f', "count": {spelled}}}'.encode(), Body).count == 2


@pytest.mark.parametrize("spelled", ["2.5", "1e400", "-1.0"])
def test_a_number_that_is_not_whole_or_out_of_bounds_is_refused(spelled: str):
    assert set(errors_of(json.dumps(GOOD)[:-1].encode() + f', "count": {spelled}}}'.encode())) == {"count"}
