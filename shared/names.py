"""How people are called."""

from __future__ import annotations


def full_name(name_f: str, name_l: str) -> str:
    """`"Jane", "Roe"` → `"Jane Roe"`; people with one name have no second: `"Jane", ""` → `"Jane"`."""
    return f"{name_f} {name_l}" if name_l else name_f
