"""Statuses and phases: a number in requests, a label in answers; both stand in the OpenAPI document."""

from __future__ import annotations

from enum import IntEnum

from msgspec import Meta


def label_of(member: IntEnum) -> str:
    """What answers call the number."""
    return getattr(member, "label", member.name.replace("_", " ").capitalize())


def spelled_out(numbers: type[IntEnum]) -> str:
    """Each number with its label: `1 Active, 2 Paused, 3 Closed`."""
    return ", ".join(f"{member.value} {label_of(member)}" for member in numbers)


def labels(numbers: type[IntEnum]) -> Meta:
    """For the field of an answer that holds a label: which ones there are."""
    return Meta(extra_json_schema={"extra": {"enum": [label_of(member) for member in numbers]}})
