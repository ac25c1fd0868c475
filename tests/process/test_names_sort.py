"""Every list that is sorted by a name: in the order in which people look for names, page by page, ties by id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shared.ids import new_id
from tests.support.builders import proposal_body
from tests.support.contract import Stage
from tests.support.names import IN_ORDER

Body = Callable[[Stage, str], dict[str, Any]]


def person(**more: Any) -> dict[str, Any]:
    return {"name_f": "Jane", "name_l": "Roe", "email": f"{new_id()}@names.example"} | more


LISTS: list[tuple[str, str, Body]] = [
    ("/api/users", "name_f", lambda _, name: person(role="member", name_f=name)),
    ("/api/users", "name_l", lambda _, name: person(role="member", name_l=name)),
    ("/api/clients", "name_f", lambda _, name: person(name_f=name)),
    ("/api/clients", "name_l", lambda _, name: person(name_l=name)),
    ("/api/tokens", "name", lambda _, name: {"name": name, "role": "member"}),
    ("/api/services", "name", lambda _, name: {"name": name}),
    ("/api/engagements", "name", lambda stage, name: {"client_id": stage.ids["client_id"], "name": name}),
    ("/api/projects", "name", lambda stage, name: {"engagement_id": stage.ids["engagement_id"], "name": name}),
    ("/api/projects/{project_id}/conversations", "subject", lambda _, name: {"subject": name}),
    ("/api/conversations", "subject", lambda stage, name: {"subject": name, "project_id": stage.ids["project_id"]}),
]


async def followed(stage: Stage, path: str, sort: str, *, limit: int) -> list[dict[str, Any]]:
    """The whole list, by its first page and every `links.next`."""
    page = await stage.got("admin", f"GET {path}?sort={sort}&limit={limit}")
    rows = list(page["data"])
    while (link := page["links"]["next"]) is not None:
        page = await stage.got("admin", f"GET /api{link.partition('/api')[2]}")
        rows += page["data"]
    return rows


@pytest.mark.parametrize(("path", "field", "body"), LISTS, ids=[f"{path} {field}" for path, field, _ in LISTS])
async def test_names_come_as_people_look_for_them(stage: Stage, path: str, field: str, body: Body):
    longest = "Å" * (100 if field.startswith("name_") or path == "/api/tokens" else 255)
    names = [*IN_ORDER, "Ádam", longest, longest]
    made = {(await stage.made(f"POST {path}", body(stage, name)))["id"]: name for name in reversed(names)}
    place = {name: number for number, name in enumerate([IN_ORDER[0], longest, *IN_ORDER[1:]])}
    for direction in ("asc", "desc"):
        rows = await followed(stage, path, f"{field}:{direction}", limit=4)
        mine = [row for row in rows if row["id"] in made]
        assert len(mine) == len(made)
        sign = 1 if direction == "asc" else -1
        assert mine == sorted(mine, key=lambda row: (sign * place[row[field]], row["id"]))


async def test_a_conversation_without_a_subject_comes_last_either_way(stage: Stage):
    path = "/api/projects/{project_id}/conversations"
    nameless = (await stage.made(f"POST {path}", {}))["id"]
    await stage.made(f"POST {path}", {"subject": "Zoe"})
    for direction in ("asc", "desc"):
        rows = await followed(stage, path, f"subject:{direction}", limit=3)
        subjects = [row["subject"] for row in rows]
        assert nameless in [row["id"] for row in rows if row["subject"] is None]
        assert subjects[subjects.index(None) :] == [None] * subjects.count(None)


async def test_proposals_sort_by_the_address_whatever_its_case(stage: Stage):
    addresses = ["adam@sorted.example", "Bo@sorted.example", "éva@sorted.example"]
    made = [(await stage.made("POST /api/proposals", proposal_body(client_email=each)))["id"] for each in addresses]
    for direction, expected in (("asc", made), ("desc", made[::-1])):
        rows = await followed(stage, "/api/proposals", f"client_email:{direction}", limit=5)
        assert [row["id"] for row in rows if row["id"] in made] == expected
