"""Names in the order in which people look for them."""

from __future__ import annotations

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
