r"""Patterns that mean the same here as to whoever reads the OpenAPI document.

The document's regular expressions are ECMAScript's, ours are Python's. They differ in what `\s` and `\d` are, and in
that `$` in Python lets a line feed pass: so none of them is used here as it is.
"""

from __future__ import annotations

from typing import Final

SPACE: Final = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
"""What either of the two takes for white space; part of a character class."""
NOT_BLANK: Final = f"[^{SPACE}]"
"""Something is to be seen."""
EMAIL: Final = rf"^[^@{SPACE}]+@[^@{SPACE}]+\.[^@{SPACE}]+(?!\n)$"
URL: Final = rf"^[Hh][Tt][Tt][Pp][Ss]?://[^{SPACE}/?#][^{SPACE}]*(?!\n)$"
"""An http or https address."""
MONEY: Final = r"^[0-9]{1,10}(\.[0-9]{1,2})?(?!\n)$"
IDEMPOTENCY_KEY: Final = r'^[\t ]*("[!-~]([ -~]{0,253}[!-~])?"|[!#-~]([ -~]{0,253}[!#-~])?)[\t ]*(?!\n)$'
"""1 to 255 printable characters, quoted or bare; HTTP has spaces around a header's value mean nothing."""
MEANINGS: Final = {
    NOT_BLANK: "is not blank",
    EMAIL: "is an e-mail address",
    URL: "is an http or https address",
}
"""What a caller is told of a text that does not match."""
