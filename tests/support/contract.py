"""The contract's tables, walked: who may call, what a body holds, how a list is sorted and narrowed, what answers show.

The tables themselves are in `tests/process/test_contract_*.py`, spelled as the contract spells them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import httpx

from shared.ids import new_id
from tests.support.builders import proposal_body
from tests.support.installation import Installation
from tests.support.names import name_key

PROBLEM = {"type", "title", "status", "detail", "instance"}


def names(spelled: str) -> set[str]:
    """`"id, org_id, name"` as a set."""
    return {name.strip() for name in spelled.split(",") if name.strip()}


@dataclass
class Stage:
    """An organisation with one thing of each kind, all of one client's, and a credential for each role."""

    installation: Installation
    tokens: dict[str, str]
    ids: dict[str, str] = field(default_factory=dict)

    async def call(self, who: str, call: str, body: Any = None, **headers: str) -> httpx.Response:
        """`"PUT /api/clients/{client_id}"`, with the stage's ids in it; underscores in headers' names are hyphens."""
        method, path = call.split(" ", 1)
        options: dict[str, Any] = {} if body is None else {"json": body}
        spelled = {name.replace("_", "-"): value for name, value in headers.items()}
        told = path.format_map(self.ids)
        return await self.installation.call_as(self.tokens[who], method, told, headers=spelled, **options)

    async def got(self, who: str, call: str, body: Any = None, status: int = 200) -> Any:
        """The answer's JSON, once it has that status and, if it refuses, the one shape of a refusal."""
        answer = await self.call(who, call, body)
        assert answer.status_code == status, f"{who}: {call}: {answer.status_code} {answer.text}"
        if status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert set(answer.json()) >= PROBLEM
            assert answer.json()["status"] == status
        return answer.json() if answer.content else None

    async def made(self, call: str, body: Any = None, status: int = 201) -> dict[str, Any]:
        return await self.got("admin", call, body, status)

    async def errors(self, call: str, body: Any, status: int = 400) -> set[str]:
        """The fields that a refusal names."""
        return set((await self.got("admin", call, body, status)).get("errors", {}))


async def staged(installation: Installation) -> Stage:
    """A stage in the demo's organisation, of its own client."""
    demo = installation.ready["demo"]
    stage = Stage(installation, {"admin": demo["admin_token"]})
    for who in ("client", "stranger"):
        person = {"name_f": "Jane", "name_l": "Roe", "email": f"{new_id()}@stage.example"}
        stage.ids[who] = (await stage.made("POST /api/clients", person))["id"]
        stage.ids[f"{who}_email"] = person["email"]
        token = {"name": who, "role": "client", "client_id": stage.ids[who]}
        stage.tokens[who] = (await stage.made("POST /api/tokens", token))["token"]
    stage.tokens["member"] = (await stage.made("POST /api/tokens", {"name": "member", "role": "member"}))["token"]
    stage.ids["client_id"] = stage.ids["client"]
    await _things(stage)
    return stage


async def _things(stage: Stage) -> None:
    ids = stage.ids
    service = await stage.made("POST /api/services", {"name": "Website", "price": "2500.00"})
    ids["service_id"] = service["id"]
    ids["proposal_id"] = await sent(stage)
    signed = await stage.got("client", "POST /api/proposals/{proposal_id}/sign")
    ids["engagement_id"], ids["project_id"] = signed["engagement"]["id"], signed["projects"][0]["id"]
    ids["order_id"] = signed["order"]["id"]
    conversation = await stage.made("POST /api/projects/{project_id}/conversations", {"subject": "Colours"})
    ids["conversation_id"] = conversation["id"]
    ids["talk"] = f"/api/projects/{ids['project_id']}/conversations/{ids['conversation_id']}"
    ids["message_id"] = (await stage.made("POST {talk}/messages", {"content": "Blue?"}))["id"]
    task = {"name": "Logo", "for_client": True}
    ids["task_id"] = (await stage.made("POST /api/orders/{order_id}/tasks", task))["id"]
    person = {"name_f": "Max", "name_l": "Muster", "email": f"{new_id()}@stage.example", "role": "member"}
    ids["user_id"] = (await stage.made("POST /api/users", person))["id"]


async def sent(stage: Stage, **changes: Any) -> str:
    """The id of a proposal that was sent to the stage's client."""
    item = {"name": "Site", "description": "All", "price": "2500.00", "service_id": stage.ids["service_id"]}
    body = proposal_body(client_email=stage.ids["client_email"], items=[item]) | changes
    proposal = (await stage.made("POST /api/proposals", body))["id"]
    await stage.got("admin", f"POST /api/proposals/{proposal}/send")
    return proposal


@dataclass(frozen=True)
class Body:
    """What a create and a change take: `whole` is a good value of every field, in the contract's order."""

    create: str
    whole: Mapping[str, Any]
    required: str
    nullable: str = ""
    change: str = ""
    """The call of a change, with `{id}` for what was created; empty when there is none."""
    cannot_change: str = ""
    bad: Sequence[tuple[str, Any]] = ()
    """Values that are refused, each by the dotted path under which it is told."""
    hidden: str = ""
    """Fields that no answer shows."""
    with_: Mapping[str, Any] = field(default_factory=dict)
    """What has to be said beside the required fields."""
    changes_with: Mapping[str, str] = field(default_factory=dict)
    """Fields that change only together with another, by its name; alone they are a 422 that names the other."""

    @property
    def needed(self) -> set[str]:
        return names(self.required)

    def fresh(self) -> dict[str, Any]:
        """A whole body; what must be unique is."""
        return {name: value() if callable(value) else value for name, value in self.whole.items()}

    def least(self) -> dict[str, Any]:
        return {name: value for name, value in self.fresh().items() if name in self.needed} | dict(self.with_)


async def walk_body(stage: Stage, body: Body) -> dict[str, Any]:
    """Every field there and not there, null, unknown and bad, in a create and in a change. Returns what was made."""
    whole = body.fresh()
    made = await stage.made(body.create, whole)
    shown = {name: value for name, value in whole.items() if name not in names(body.hidden)}
    assert _seen(made, shown) == shown
    least = await stage.made(body.create, body.least())
    for name in body.needed:
        without = {key: value for key, value in body.least().items() if key != name}
        assert name in await stage.errors(body.create, without), f"{body.create} without {name}"
    assert await stage.errors(body.create, body.least() | {"surprise": 1}) == {"surprise"}
    nullable = names(body.nullable)
    for name in set(whole) - nullable:
        assert name in await stage.errors(body.create, body.least() | {name: None}), f"{body.create} null {name}"
    for path, value in body.bad:
        wrong = body.least() | {path.partition(".")[0]: value}
        assert path in await stage.errors(body.create, wrong), f"{body.create} {path} {value!r}"
    if body.change:
        await _walk_change(stage, body, least)
    return made


async def _walk_change(stage: Stage, body: Body, least: dict[str, Any]) -> None:
    call, nullable = body.change.replace("{id}", least["id"]), names(body.nullable)
    fields = {name: value for name, value in body.fresh().items() if name not in names(body.cannot_change)}
    before = least
    for name, value in fields.items():
        change = {name: value}
        if (beside := body.changes_with.get(name)) is not None:
            assert await stage.errors(call, change, 422) == {beside}, f"{call} {name} alone"
            change[beside] = fields[beside]
        after = await stage.got("admin", call, change)
        if name not in names(body.hidden):
            assert _seen(after, {name: value}) == {name: value}
        others = set(fields) - {name}
        assert {key: after.get(key) for key in others} == {key: before.get(key) for key in others}, f"{call} {name}"
        before = after
    for name in names(body.cannot_change):
        assert await stage.errors(call, {name: body.fresh()[name]}) == {name}
    assert await stage.errors(call, {"surprise": 1}) == {"surprise"}
    for name in fields:
        if name in nullable:
            assert (await stage.got("admin", call, {name: None})).get(name) is None
        else:
            assert await stage.errors(call, {name: None}) == {name}, f"{call} null {name}"
    for path, value in body.bad:
        if path.partition(".")[0] in fields:
            assert path in await stage.errors(call, {path.partition(".")[0]: value}), f"{call} {path} {value!r}"


def _seen(answer: dict[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """Of an answer, what was sent, as it was sent: a status has its number beside it, staff are shown by name."""
    seen = {}
    for name, value in sent.items():
        shown = answer.get(f"{name}_id", answer.get(name)) if name in ("status", "phase") else answer.get(name)
        if name in ("employees", "employee_ids"):
            shown = [person["id"] for person in answer["employees"]]
        if name == "items":
            shown = [{key: item[key] for key in one} for item, one in zip(answer["items"], value, strict=True)]
        seen[name] = shown
    return seen


@dataclass(frozen=True)
class List:
    """One list: `sort` and `filters` as the contract names them; `show` is what of an item a filter looks at."""

    path: str
    sort: str
    default: str = "created_at:desc"
    filters: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    """By name: a value to look for, and the dotted place in an item that then has it."""


async def walk_list(stage: Stage, told: List, document: dict[str, Any]) -> None:
    """Every sort both ways, each filter, and that there are no others; pages; the envelope."""
    parameters = document["paths"][told.path]["get"]["parameters"]
    expected = {"page", "limit", "after", "sort", *told.filters}
    assert {one["name"] for one in parameters if one.get("in") == "query"} == expected
    path = told.path.format_map(stage.ids)
    for name in names(told.sort):
        for way in ("asc", "desc"):
            await _sorted(stage, path, name, way)
    first = (await stage.got("admin", f"GET {path}"))["data"]
    assert first == (await stage.got("admin", f"GET {path}?sort={told.default}"))["data"]
    others = {"org_id", "surprise", "org_id:asc", f"{next(iter(names(told.sort)))}:up"} - names(told.sort)
    for wrong in others:
        assert await stage.errors(f"GET {path}?sort={wrong}", None) == {"sort"}
    for name, (value, place) in told.filters.items():
        found = (await stage.got("admin", f"GET {path}?{name}={value}&limit=100"))["data"]
        assert found, f"{path}?{name}={value} finds nothing"
        assert {str(_at(item, place)).lower() for item in found} == {str(value).lower()}, f"{path}?{name}={value}"
    for wrong in ("page=0", "limit=0", "limit=101", "page=x", "surprise=1"):
        assert await stage.errors(f"GET {path}?{wrong}", None) == {wrong.partition("=")[0]}
    await _pages(stage, path)


async def _sorted(stage: Stage, path: str, name: str, way: str) -> None:
    items = (await stage.got("admin", f"GET {path}?sort={name}:{way}&limit=100"))["data"]
    assert len(items) > 1, f"{path} has too few to be sorted"
    keys = [(_key(item, name), UUID(item["id"])) for item in items]
    nulls = [id for key, id in keys if key is None]
    there = [(key, id) for key, id in keys if key is not None]
    assert keys == [*there, *((None, id) for id in nulls)], f"{path} by {name}:{way}: nulls last"
    expected = sorted(there, key=lambda one: one[1])
    expected.sort(key=lambda one: one[0], reverse=way == "desc")
    assert (there, nulls) == (expected, sorted(nulls)), f"{path} by {name}:{way}"


def _key(item: dict[str, Any], name: str) -> Any:
    value = item.get(f"{name}_id", item[name]) if name in ("status", "phase") else item[name]
    kinds = {"price": float, "total": float, "email": str.casefold, "client_email": str.casefold}
    kinds |= dict.fromkeys(("name", "name_f", "name_l", "subject"), name_key)
    return kinds[name](value) if value is not None and name in kinds else value


def _at(item: Any, place: str) -> Any:
    for step in place.split("."):
        item = item[step]
    return item


async def _whole(stage: Stage, path: str) -> list[dict[str, Any]]:
    """All of a list: other tests of the installation may have made more than a page can have."""
    whole = (page := await stage.got("admin", f"GET {path}?limit=100"))["data"]
    while link := page["links"]["next"]:
        page = await stage.got("admin", f"GET {link.removeprefix(stage.installation.ready['gateway_url'])}")
        whole += page["data"]
    return whole


async def _pages(stage: Stage, path: str) -> None:
    """All pages of one item each, by their links, are the whole list; the envelope says where one is."""
    url = stage.installation.ready["gateway_url"]
    total = len(whole := await _whole(stage, path))
    page = await stage.got("admin", f"GET {path}?limit=1&sort=created_at:asc")
    assert page["meta"] == {
        "current_page": 1,
        "from": 1,
        "to": 1,
        "last_page": total,
        "per_page": 1,
        "total": total,
        "path": f"{url}{path}",
    }
    assert page["links"]["prev"] is None
    for name, number in (("first", 1), ("last", total), ("next", 2)):
        where, _, query = page["links"][name].partition("?")
        told = parse_qs(query)
        assert (told.pop("after", None) is not None) == (name == "next")
        assert (where, told) == (f"{url}{path}", {"limit": ["1"], "sort": ["created_at:asc"], "page": [str(number)]})
    seen = page["data"]
    while link := page["links"]["next"]:
        page = await stage.got("admin", f"GET {link.removeprefix(url)}")
        seen += page["data"]
        assert (page["meta"]["from"], page["meta"]["to"]) == (len(seen), len(seen))
    assert {item["id"] for item in seen} == {item["id"] for item in whole}
    assert len(seen) == total
    past = await stage.got("admin", f"GET {path}?page={total + 7}&limit=1")
    assert (past["data"], past["meta"]["from"], past["meta"]["to"]) == ([], 0, 0)
