r"""Patterns that mean the same here as to readers of the OpenAPI document.

The document's regular expressions are ECMAScript's (with its `u` flag), ours are Python's. They differ in what `\s` and
`\d` are, in that `$` in Python lets a line feed pass, and in how characters past U+FFFF are escaped: so none of these
is used here.
"""

from __future__ import annotations

from typing import Final

SPACE: Final = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
"""What either of the two takes for white space; part of a character class."""
BLANKS: Final = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680"
    + "".join(map(chr, range(0x2000, 0x200B)))
    + ("\u2028\u2029\u202f\u205f\u3000\ufeff")
)
"""The characters of SPACE."""
CONTROLS: Final = r"\x00-\x1f\x7f-\x9f"
DIRECTIONS: Final = r"\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
"""What reorders or breaks the text around it."""
_PAST_FFFF: Final = (
    "\U000110bd\U000110cd\U00013430-\U0001343f\U00016fe4\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
INVISIBLE: Final = (
    r"\x00-\x20\x7f-\xa0\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u1680\u17b4\u17b5"
    r"\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0"
    r"\ufff0-\uffff" + _PAST_FFFF
)
"""Separators, controls, format characters, what Unicode says to ignore, and letters without a shape."""
NOT_BLANK: Final = f"[^{INVISIBLE}]"
"""Something is to be seen."""
EMPTY_OR_NOT_BLANK: Final = rf"^(?![\s\S])|{NOT_BLANK}"
_IN_LOCAL_PART: Final = rf'[^{INVISIBLE}()<>\[\],;:\\"@.]'
_QUOTED: Final = rf'(?:[^{INVISIBLE}\\"]| |\\[ -~])'
_IN_LABEL: Final = (
    rf"{INVISIBLE}!-,.\/:-@\[-`\{{-\x7f\u2010-\u2027\u2030-\u205e\u3001-\u3003\u3008-\u3020"
    r"\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)
_LABEL: Final = rf"[^{_IN_LABEL}\-](?:[^{_IN_LABEL}]{{0,61}}[^{_IN_LABEL}\-])?"
EMAIL: Final = (
    rf'^(?=[^\n]{{1,64}}@[^@]*(?!\n)$)(?:{_IN_LOCAL_PART}+(?:\.{_IN_LOCAL_PART}+)*|"{_QUOTED}*")'
    rf"@(?:{_LABEL}\.)+(?![0-9]+(?!\n)$){_LABEL}(?!\n)$"
)
"""`local@domain`: RFC 5321 with internationalised addresses (RFC 6531), without comments and address literals."""
_IN_URL: Final = rf'{INVISIBLE}\\<>"'
URL: Final = rf"^[Hh][Tt][Tt][Pp][Ss]?:\/\/(?![^\/?#]*@)[^{_IN_URL}\/?#][^{_IN_URL}]*(?!\n)$"
"""An http or https address without a user's name in it."""
FILE_NAME: Final = rf"^(?=[^{CONTROLS}{DIRECTIONS}\/\\]*(?!\n)$).*{NOT_BLANK}"
"""A name as people see it: no controls, no change of direction, no path."""
MONEY: Final = r"^[0-9]{1,10}(\.[0-9]{1,2})?(?!\n)$"
ORDER_NUMBER: Final = r"^[A-Z0-9]{8}(?!\n)$"
IDEMPOTENCY_KEY: Final = r'^[\t ]*("[!-~]([ -~]{0,253}[!-~])?"|[!#-~]([ -~]{0,253}[!#-~])?)[\t ]*(?!\n)$'
"""1 to 255 printable characters, quoted or bare; HTTP has spaces around a header's value mean nothing."""
MEANINGS: Final = {
    NOT_BLANK: "is not blank",
    EMPTY_OR_NOT_BLANK: "is empty or not blank",
    EMAIL: "is an e-mail address",
    ORDER_NUMBER: "is 8 of A-Z and 0-9",
    URL: "is an http or https address, without a user's name",
    FILE_NAME: "names a file: without controls, slashes and marks of direction",
}
"""What callers read of a text that does not match."""
