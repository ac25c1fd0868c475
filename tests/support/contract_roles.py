"""The contract's calls, walked by who may make them."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.contract import Stage

ROLES = ("admin", "member", "client", "stranger")
"""Administrator and member of the agency, a client, and another client of the same agency."""


async def walk_roles(stage: Stage, table: Mapping[str, str]) -> None:
    """`call: "admin member client stranger"`: the status that each is told; `-` is not asked."""
    found = {}
    for told, statuses in table.items():
        call, _, body = told.partition(" ← ")
        for who, status in zip(ROLES, statuses.split(), strict=True):
            if status == "-":
                continue
            answer = await stage.call(who, call, {} if body == "{}" else None)
            if answer.status_code != int(status):
                found[f"{who}: {call}"] = (answer.status_code, answer.text[:150])
    assert found == {}
