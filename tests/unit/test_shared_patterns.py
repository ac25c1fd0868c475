"""Patterns say the same in Python as to readers of the OpenAPI document, who take them for ECMAScript's."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import jsonschema_rs
import pytest

from shared.web.patterns import (
    BLANKS,
    CONTROLS,
    DIRECTIONS,
    EMAIL,
    EMPTY_OR_NOT_BLANK,
    FILE_NAME,
    IDEMPOTENCY_KEY,
    INVISIBLE,
    MONEY,
    NOT_BLANK,
    SPACE,
    URL,
)

SPACES = "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
BLANK = (
    *("\u200b", "\u2060", "\u2800", "\u3164", "\u115f", "\u1160", "\uffa0", "\u00ad", "\u034f", "\u061c", "\u180e"),
    *("\ufe0f", "\ufe00", "\U000e0100", "\U000e01ef", "\U000e0001", "\U0001d173", "\U0001bca0", "\U00013430"),
    *("\0", "\x07", "\x7f", "\x85", "\x9f", "\u202e", "\u2066", "\u206f", "\ufff9", "\ufffc", "\uffff", "\ufdd0"),
    "\u17b4 \u180b\u3164\t",
)
"""Texts of which nothing is to be seen."""
ADDRESSES = json.loads((Path(__file__).parent / "email_addresses.json").read_text(encoding="utf-8"))
PATTERNS = {
    "not blank": (
        NOT_BLANK,
        ("a", " a", "é", "0", "\u200ba", "मी", "\U0001f600", "👩\u200d💻", "\U00020000", "-", "ᄀ", "\ue000"),
        ("", " ", SPACES, *BLANK),
    ),
    "empty or not blank": (EMPTY_OR_NOT_BLANK, ("", "a", "\n a"), (" ", "\n", "\u2028", SPACES, *BLANK)),
    "file name": (
        FILE_NAME,
        ("brief.pdf", "ä ö.txt", "..", "\u05d0.pdf", " a", "a:b", "\U0001f600.png"),
        (
            "",
            " ",
            "../a",
            "a\\b",
            "/a",
            "a\nb",
            "a\r\nb",
            "a\n",
            "\x00",
            "a\x1b",
            "a\u202egpj.exe",
            "a\u2066",
            "\u200f",
            *BLANK,
        ),
    ),
    "e-mail": (
        EMAIL,
        (
            *(
                "a@b.c",
                "a.b+c@d-e.f.example",
                "é@ü.example",
                "o'neil@roe.example",
                "用户@例子.广告",
                "квіточка@пошта.укр",
            ),
            *("a@xn--bcher-kva.example", '"a b"@c.d', '"a@b"@c.d', '""@c.d', "A@B.C", "दोस्त@डाक.भारत", "θσερ@εχ.γρ"),
            *(f"{'x' * 64}@b.c", f"a@{'x' * 63}.c", '"' + "x" * 62 + '"@b.c', "-@b.c", "1@2.c3", "a@b.c.d.e.f.g"),
            *ADDRESSES["deliverable"],
        ),
        (
            *("", "a", "a@b", "@b.c", "a@b.", "a@b.c\n", "a@b@c.d", "a@b.\x85", "a@.c", "a@b..c", "a@-b.c", "a@b-.c"),
            *(
                "<a@b.c>",
                "mailto:a@b.c",
                "a@b.c,",
                "a@b.c?subject=x",
                "a@b.c;d@e.f",
                "a@1.2.3.4",
                "a@[1.2.3.4]",
                "a b@c.d",
            ),
            *(
                ".a@b.c",
                "a.@b.c",
                "a..b@c.d",
                '"a@b.c',
                '"a"b@c.d',
                'a"b"@c.d',
                '""',
                "a@b。c",
                "a@b.c/",
                "a@ｂ．c",
                "a＠b.c",
            ),
            *(
                f"{'x' * 65}@b.c",
                f"a@{'x' * 64}.c",
                '"' + "x" * 63 + '"@b.c',
                "a@b.c\u200b",
                "a\u00ad@b.c",
                "a\u202e@b.c",
            ),
            *(f"a{space}@b.c" for space in SPACES),
            *(f"a{blank}@b.c" for blank in BLANK),
            *(f"a@b{blank}.c" for blank in BLANK),
            *ADDRESSES["invalid"],
        ),
    ),
    "address": (
        URL,
        ("http://a", "HTTPS://a.example/x?y#z", "https://a/b@c", "http://[::1]:80/", "https://ü.example/ä?q=a@b"),
        (
            *("", "ftp://a", "http://", "http:///x", "http://a\n", "http://a b", "http://a\x1f", " http://a"),
            *("javascript:alert(1)", "data:,x", "http:a", "//a", "http://u:p@a", "https://u@a/", "http://a:b@c?d"),
            *(
                'http://a/"><script>',
                "http://a/<b>",
                "http://a\\b",
                "http://a/\u202eb",
                "http://a/\u200b",
                "http://a/\r\nb",
            ),
        ),
    ),
    "money": (MONEY, ("0", "9999999999.99", "1.5"), ("", "1.", ".5", "1.555", "-1", "1e3", "1\n", "١", "12345678901")),
    "key": (
        IDEMPOTENCY_KEY,
        ("a", '"a"', " a\t", '"a b"', "a b", "~" * 255, f'"{"~" * 255}"', '"""'),
        ("", " ", '"', '""', '"a', 'a"', "é", "a\n", "~" * 256, f'"{"~" * 256}"'),
    ),
}
CASES = [
    (name, text, fits)
    for name, (_, good, bad) in PATTERNS.items()
    for fits in (True, False)
    for text in (bad, good)[fits]
]
IN_NODE = """
const told = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(told.map(([pattern, text]) => new RegExp(pattern, "u").test(text))));
"""


@pytest.mark.parametrize(("name", "text", "fits"), CASES)
def test_a_pattern_means_the_same_to_python_and_to_json_schema(name: str, text: str, *, fits: bool):
    pattern = PATTERNS[name][0]
    assert bool(re.search(pattern, text)) == fits
    assert jsonschema_rs.is_valid({"type": "string", "pattern": pattern}, text) == fits


def test_a_pattern_means_the_same_to_javascript():
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node here")
    told = json.dumps([(PATTERNS[name][0], text) for name, text, _ in CASES])
    answer = subprocess.run([node, "-e", IN_NODE], input=told, capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout) == [fits for _, _, fits in CASES]


def characters(pattern_class: str) -> set[str]:
    return set(re.findall(f"[{pattern_class}]", "".join(map(chr, range(sys.maxunicode + 1)))))


def test_no_separator_control_or_format_character_is_visible():
    """Of the Unicode that this Python knows; those in the pattern besides are ignored by default, or have no shape."""
    unseen = {"Zs", "Zl", "Zp", "Cc", "Cf"}
    wanted = {chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in unseen}
    assert wanted <= characters(INVISIBLE)


def test_no_letter_digit_or_symbol_is_invisible_but_the_fillers():
    fillers = {"\u115f", "\u1160", "\u3164", "\uffa0", "\u2800", "\ufffc", "\ufffd", "\U0001d159"}
    seen = {one for one in characters(INVISIBLE) if unicodedata.category(one)[0] in "LNPS"}
    assert seen <= fillers


def test_blanks_are_the_characters_of_the_class():
    assert set(BLANKS) == characters(SPACE)


def test_what_turns_text_around_is_a_format_character_or_a_separator():
    assert {unicodedata.category(one) for one in characters(DIRECTIONS)} == {"Cf", "Zl", "Zp"}
    assert {unicodedata.category(one) for one in characters(CONTROLS)} == {"Cc"}


def test_a_long_address_is_refused_as_fast_as_a_short_one_is_taken():
    for text in ("a" * 254, "a." * 127, '"' + "\\a" * 126, "a@" + "b." * 126, "a@" + "b-" * 126, "a@" + "-" * 250):
        assert re.search(EMAIL, text) is None
