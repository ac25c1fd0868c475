"""Parameters of a query before they are read."""

from __future__ import annotations

import pytest

from shared.web.parameters import not_text

WRONG = ["Expected text in UTF-8."]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        (b"", []),
        (b"name=caf%C3%A9&sort=-name", []),
        ("name=café".encode(), []),
        (b"name=%ff", ["name"]),
        (b"name=\xff", ["name"]),
        (b"name=\xff&sort=%41", ["name"]),
        (b"name=%ed%a0%80&page=1&sort=%c3", ["name", "sort"]),
        (b"n%80=1", ["n\ufffd"]),
        (b"n\x80=1", ["n\ufffd"]),
        (b"\xff=%41", ["\ufffd"]),
        (b"%ff", ["\ufffd"]),
    ],
)
def test_what_is_not_utf_8_is_named(query: bytes, named: list[str]):
    assert not_text(query) == dict.fromkeys(named, WRONG)
