"""Identifiers: UUIDv7, and the one spelling in which they are known."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ids import new_id, parse_id


def test_new_ids_are_uuids_of_version_7_and_all_different():
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert {id.version for id in ids} == {7}


def test_ids_ascend_with_time_even_within_a_millisecond():
    ids = [new_id() for _ in range(10_000)]
    assert ids == sorted(ids)


@given(st.uuids())
def test_an_id_is_read_in_its_canonical_spelling(id: UUID):
    assert parse_id(str(id)) == parse_id(str(id).upper()) == id


@given(st.uuids())
def test_an_id_in_any_other_spelling_is_none_of_ours(id: UUID):
    for text in (id.hex, f"{{{id}}}", id.urn, f" {id}", f"{id} ", str(id)[:-1]):
        assert parse_id(text) is None


@pytest.mark.parametrize("text", ["", "rubbish", "\0", "x" * 36, "-" * 36, "12345678123456781234567812345678----"])
def test_rubbish_is_no_id(text: str):
    assert parse_id(text) is None


@given(st.text(max_size=40))
def test_no_text_is_too_strange_to_be_asked(text: str):
    assert parse_id(text) is None or len(text) == 36
