"""Request bodies: objects that are kept as they came, and rules between fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from shared.errors import InvalidInput
from shared.web.bodies import decode
from shared.web.free_objects import Stored
from shared.web.reading import DEEPEST
from shared.web.shapes import JsonObject


class Free(msgspec.Struct, forbid_unknown_fields=True):
    form: JsonObject | msgspec.UnsetType = msgspec.UNSET
    count: int = 0

    @classmethod
    def faults_between(cls, sent: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        if "form" not in sent and not sent.get("count"):
            yield "form", "Give form or count."


def refusal(raw: bytes) -> InvalidInput:
    with pytest.raises(InvalidInput) as refused:
        decode(raw, Free)
    return refused.value


@pytest.mark.parametrize(
    "text",
    [
        b'{"z":1.50,"a":[1e400,-0.0,{"b":0.1000000000000000055511151231257827}],"m":123456789012345678901234567890}',
        b'{"a":-0,"b":-0.0,"c":1.10,"d":12345678901234567.89,"e":1e-400,"f":1E+400,"g":[1e0],"h":0.1e-0999}',
        b'{"long":' + b"1" * 1000 + b',"fine":0.' + b"1" * 998 + b"}",
        b"{}",
        b'{"deep":{"list":[null,true,"\xc3\xa9"]}}',
    ],
)
def test_an_object_that_is_kept_as_text_keeps_its_order_and_its_numbers(text: bytes):
    assert decode(b'{"form": ' + text + b"}", Free).form == text


@pytest.mark.parametrize("sent", [b"null", b"[]", b'"x"', b"1", b"1.5"])
def test_what_is_no_object_is_not_kept_as_one(sent: bytes):
    assert refusal(b'{"form":' + sent + b"}").errors == {"form": ["Expected an object."]}


@pytest.mark.parametrize(
    "number", [b"1" * 1001, b"-0." + b"1" * 998, b"1e1000", b"1e-1000", b"1E+1000000", b"1" * 5000, b"1e0001000"]
)
def test_a_number_that_cannot_be_stored_is_refused(number: bytes):
    for text in (b'{"a":' + number + b"}", b'{"a":[{"b":' + number + b"}]}"):
        assert list(refusal(b'{"form": ' + text + b"}").errors) == ["form"]


def test_an_object_of_more_than_64_kib_is_refused():
    fits = b'{"a":"' + b"x" * (64 * 1024 - 8) + b'"}'
    assert decode(b'{"form": ' + fits + b"}", Free).form == fits
    assert refusal(b'{"form": ' + fits[:-2] + b'y"}}').errors == {"form": ["Expected at most 64 KiB of JSON."]}


def sized(bytes_: int, name: str = "a") -> bytes:
    """An object with one member, of so many bytes."""
    return b'{"%s":"' % name.encode() + b"x" * (bytes_ - len(name) - 7) + b'"}'


def faults_of(new: bytes, stored: Stored) -> Mapping[str, Sequence[str]]:
    try:
        decode(b'{"form":' + new + b"}", Free, stored={"form": stored})
    except InvalidInput as refused:
        return refused.errors
    return {}


def accepts(new: bytes, stored: Stored) -> bool:
    found = faults_of(new, stored)
    assert found in ({}, {"form": ["Expected at most 64 KiB of JSON."]})
    return not found


KIB = 1024
LARGE = b'{"items":[' + b",".join(b'{"n":%d,"p":1.50}' % number for number in range(6_000)) + b'],"id":"7"}'


def test_a_larger_object_that_is_stored_is_accepted_as_it_is():
    assert len(LARGE) > 64 * KIB
    turned = b'{"id": "7", "items"' + LARGE[8:].replace(b',"id":"7"', b"").replace(b",", b" , ")
    for same in (LARGE, turned):
        assert accepts(same, Stored(LARGE))
    for other in (LARGE.replace(b"1.50", b"1.5", 1), LARGE[:-1] + b',"more":1}', LARGE.replace(b'"id"', b'"ID"')):
        assert not accepts(other, Stored(LARGE))
    assert not accepts(LARGE, Stored(sized(80 * KIB)))
    assert accepts(sized(64 * KIB), Stored(LARGE))
    assert not accepts(sized(64 * KIB + 1), Stored(LARGE))


def test_members_that_nobody_can_change_do_not_count():
    stored = Stored(LARGE, locked=("items", "id", "absent"))
    own = sized(64 * KIB, "own")
    assert accepts(LARGE[:-1] + b"," + own[1:], stored)
    for more in (own.replace(b"x", b"xx", 1), own[:-1] + b',"absent":1}'):
        assert not accepts(LARGE[:-1] + b"," + more[1:], stored)
    assert not accepts(LARGE.replace(b"1.50", b"1.51", 1), stored)
    assert accepts(own, stored), "whether a locked member may go is for the model to say"


def test_an_object_that_is_too_large_is_told_beside_other_faults():
    errors = refusal(b'{"form":' + LARGE + b',"count":"x","y":1}').errors
    assert set(errors) == {"form", "count", "y"}


def test_an_escape_in_a_text_changes_no_number_beside_it():
    sent = b'{"a":"\\u200b","b":1e400,"c":1e-400,"d":-0,"e":1.10,"f":12345678901234567.89}'
    assert decode(b'{"form":' + sent + b"}", Free).form == sent.replace(b"\\u200b", "\u200b".encode())


@pytest.mark.parametrize("half", ["\\ud800", "\\udfff", "x\\udc00\\ud800", "\\ud83dx"])
def test_half_a_surrogate_pair_is_refused_by_the_name_of_its_field(half: str):
    assert list(refusal(f'{{"form":{{"a":["{half}"]}}}}'.encode()).errors) == ["form.a.0"]
    assert list(refusal(f'{{"form":{{"{half}":1}}}}'.encode()).errors) == ["form.(name)"]
    nested = refusal(f'{{"form":{{"{half}":{{"b":"{half}"}}}}}}'.encode()).errors
    assert len(nested) == 2
    assert msgspec.json.encode(nested)
    assert decode(b'{"form":{"a":"\\ud83d\\ude00"}}', Free).form == '{"a":"\U0001f600"}'.encode()


def test_text_in_a_free_object_is_normalised():
    sent = '{"form": {"e\u0301": ["\\u0065\\u0301", 1.0]}}'.encode()
    assert decode(sent, Free).form == '{"\u00e9":["\u00e9",1.0]}'.encode()


def test_an_object_that_is_kept_as_text_holds_no_null_character_and_has_an_end():
    assert list(refusal(b'{"form":{"a":["\\u0000"]}}').errors) == ["form.a.0"]


@pytest.mark.parametrize(("opening", "closing"), [(b'{"a":', b"}"), (b"[", b"]"), (b'[{"]":', b"}]")])
def test_a_body_is_nested_a_hundred_deep_at_most(opening: bytes, closing: bytes):
    """Whatever the interpreter could bear; brackets in text are none."""
    levels = opening.count(b"[") + opening.count(b"{")
    most = (DEEPEST - 1) // levels
    brackets = b'"' + b"[{" * DEEPEST + b'\\"[{"'
    assert decode(b'{"form":{"a":' + opening * (most - 1) + brackets + closing * (most - 1) + b"}}", Free).form
    for depth in (most + 1, 5_000, 100_000):
        told = refusal(b'{"form":' + opening * depth + b"1" + closing * depth + b"}")
        assert (told.errors, told.detail) == ({}, "The body is nested too deeply: 100 arrays and objects at most.")


@pytest.mark.parametrize(
    "body",
    [
        b'{"form":{' + b",".join(b'"%d":1' % (number // 2) for number in range(80_000)) + b"}}",
        b'{"form":"' + b'\\"' * 250_000 + b"[" * 200,
        b'{"form":' + b'"\\' * 250_000 + b"[" * 200,
        b"[" * 101 + b'"' * 900_000,
    ],
    ids=["names given twice", "a text without an end", "texts without an end", "nothing but quotes"],
)
def test_a_body_that_is_made_to_be_slow_is_read_once(body: bytes):
    """Work that grew with the square of the size would take minutes."""
    with pytest.raises(InvalidInput):
        decode(body, Free)


def test_rules_between_fields_are_told_beside_other_faults():
    assert refusal(b"{}").errors == {"form": ["Give form or count."]}
    assert refusal(b'{"count":0,"x":1}').errors == {"x": ["There is no such field."], "form": ["Give form or count."]}
    assert decode(b'{"count":1}', Free).count == 1
