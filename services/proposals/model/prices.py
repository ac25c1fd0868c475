"""How an amount reads to people."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from shared.currency import WHOLE
from shared.money import CENT

SYMBOLS: Final = {
    "USD": "$",
    "EUR": "€",
    "GBP": "£",
    "JPY": "¥",
    "INR": "₹",
    "KRW": "₩",
    "ILS": "₪",
    "VND": "₫",
    "PHP": "₱",
    "UAH": "₴",
    "NGN": "₦",
    "TRY": "₺",
    "AUD": "A$",
    "BRL": "R$",
    "CAD": "CA$",
    "CNY": "CN¥",
    "HKD": "HK$",
    "MXN": "MX$",
    "NZD": "NZ$",
    "SGD": "S$",
    "TWD": "NT$",
}
"""Symbols that name one currency and no other; the rest go by their code."""


def spell_price(amount: Decimal, currency: str) -> str:
    """`2500, "USD"` → `"$2,500.00"`; a currency without a symbol of its own goes by its code: `"CHF 2,500.00"`.

    A currency without minor units has no decimals: `"¥2,500"`.
    """
    spelled = amount.quantize(Decimal(1) if currency in WHOLE and amount == amount.to_integral_value() else CENT)
    return f"{SYMBOLS.get(currency, f'{currency} ')}{spelled:,}"
