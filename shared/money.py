"""Money: exact decimals with two places. No float ever touches the arithmetic."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_SPELLING: Final = re.compile(r"^[0-9]{1,10}(\.[0-9]{1,2})?$")
_EXPECTED: Final = "Expected an amount from 0 to 9999999999.99: a number or a string, at most two decimals, no exponent"
CENT: Final = Decimal("0.01")
LIMIT: Final = Decimal("9999999999.99")


class Money(Decimal):
    """An amount as requests spell it: 0 to 9999999999.99, at most two decimals."""


def parse_money(value: object) -> Money:
    """The amount that a JSON number or string spells.

    Raises ValueError with a sentence when it is anything else: a sign, an exponent, a third decimal, too many digits.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(_EXPECTED)  # noqa: TRY004  # what msgspec turns into the field's message
    if not _SPELLING.fullmatch(str(value)):
        raise ValueError(_EXPECTED)
    return Money(Decimal(value).quantize(CENT))


def spell_money(amount: Decimal) -> str:
    """`Decimal("8500")` → `"8500.00"`, as every answer has it."""
    return str(amount.quantize(CENT))
