"""Names in the order in which people look for them."""

from __future__ import annotations

import unicodedata

IN_ORDER = [
    *(
        "7 Seas",
        "ADA",
        "Ada",
        "ada",
        "adam",
        "Ádam",
        "Ádám",
        "Æon",
        "Anna B",
        "Annab",
        "Åsa",
        "Eva",
        "Éva",
        "éva",
        "Evan",
    ),
    *("ısı", "İstanbul", "Łódź", "Øre", "Strasse", "Straße", "zed", "Zoe", "ΣΊΣΥΦΟΣ", "Σίσυφος", "가나", "각"),
]
"""By letters without marks and case, then with marks, then as they are written."""
_AS_LETTERS = str.maketrans({"æ": "ae", "ø": "o", "ł": "l", "ı": "i"})


def name_key(name: str) -> tuple[str, str, str]:
    """What Python sorts names by to have them as above."""
    plain = "".join(each for each in unicodedata.normalize("NFKD", name) if not unicodedata.combining(each))
    return plain.casefold().translate(_AS_LETTERS).strip(), unicodedata.normalize("NFC", name).casefold(), name
