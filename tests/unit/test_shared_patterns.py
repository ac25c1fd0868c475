"""Patterns say the same in Python as to readers of the OpenAPI document, who take them for ECMAScript's."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import jsonschema_rs
import pytest

from shared.web.patterns import EMAIL, IDEMPOTENCY_KEY, MONEY, NOT_BLANK, URL

SPACES = "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
PATTERNS = {
    "not blank": (NOT_BLANK, ("a", " a", "é", "\u200b", "0"), ("", " ", SPACES)),
    "e-mail": (
        EMAIL,
        ("a@b.c", "a.b+c@d-e.f.example", "é@ü.example"),
        ("", "a", "a@b", "@b.c", "a@b.", "a@b.c\n", "a@b@c.d", *(f"a{space}@b.c" for space in SPACES), "a@b.\x85"),
    ),
    "address": (
        URL,
        ("http://a", "HTTPS://a.example/x?y#z"),
        ("", "ftp://a", "http://", "http:///x", "http://a\n", "http://a b", "http://a\x1f", " http://a"),
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
