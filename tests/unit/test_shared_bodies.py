"""Request bodies: JSON into a struct, with every bad field named by its dotted path."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from shared.errors import InvalidInput
from shared.money import Money
from shared.web.bodies import decode

Name = Annotated[str, Meta(min_length=1, max_length=10)]


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
    metadata: dict[str, Any] = {}
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
        ({"email": None}, "email", "Expected `str`, got `null`."),
        ({"items": []}, "items", "Expected `array` of length >= 1."),
        ({"items": GOOD["items"] * 4}, "items", "Expected `array` of length <= 3."),
        ({"items": {}}, "items", "Expected `array`, got `object`."),
        ({"items": [None]}, "items.0", "Expected `object`, got `null`."),
        ({"items": [*GOOD["items"], "x"]}, "items.1", "Expected `object`, got `str`."),
        ({"items": [{"name": "x", "price": 1, "service_id": "x"}]}, "items.0.service_id", "Invalid UUID."),
        ({"tags": ["ok", ""]}, "tags.1", "Expected `str` of length >= 1."),
        ({"count": 1.5}, "count", "Expected `int`, got `float`."),
        ({"count": True}, "count", "Expected `int`, got `bool`."),
        ({"count": "1"}, "count", "Expected `int`, got `str`."),
        ({"metadata": None}, "metadata", "Expected `object`, got `null`."),
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
        *(b"", b"{", b"{]", b'{"a":}', b"nul", b"'a'", b'{"a":1,}', b"{} {}", b'{"email": "\xff"}', b"\xef\xbb\xbf{}"),
        b'{"email": "\\ud800"}',
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


def test_numbers_in_free_dicts_become_ordinary_numbers():
    metadata = decode(
        b'{"email":"","items":[{"name":"x","price":1}],"metadata":{"a":1.5,"b":[1e3,2],"c":{"d":0.1}}}', Body
    )
    assert metadata.metadata == {"a": 1.5, "b": [1000.0, 2], "c": {"d": 0.1}}
    assert [type(each) for each in metadata.metadata["b"]] == [float, int]


def test_null_clears_and_absence_leaves():
    assert decode(b'{"price": null}', Change) == Change(price=None)
    assert decode(b"{}", Change) == Change()
    assert list(errors_of(b'{"name": null}', Change)) == ["name"]


def test_a_body_that_may_be_left_out_may_be_null():
    assert decode(b"null", Body | None) is None
    assert list(errors_of(b'{"email": 1, "items": []}', Body | None)) == ["email", "items"]


def test_of_a_field_that_is_given_twice_the_last_counts():
    assert decode(b'{"email":"a","email":"b","items":[{"name":"x","price":1}]}', Body).email == "b"


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
    ],
)
def test_times_are_read_in_utc(spelled: str, read: datetime):
    found = decode(json.dumps({"at": spelled}).encode(), Deadline).at
    assert (found, found.tzinfo) == (read, UTC)


@pytest.mark.parametrize(
    "spelled", ["2026-02-08T12:00:00", "tomorrow", "", 7, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
)
def test_what_is_no_moment_in_utc_is_refused(spelled: object):
    with pytest.raises(InvalidInput) as refused:
        decode(json.dumps({"at": spelled}).encode(), Deadline)
    assert list(refused.value.errors) == ["at"]


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


def test_a_number_in_a_free_object_stays_a_fraction():
    raw = json.dumps(GOOD)[:-1].encode() + b', "metadata": {"ratio": 2.0}}'
    assert repr(decode(raw, Body).metadata) == "{'ratio': 2.0}"
