"""Callers at the same time who hit the same unique key: one wins, the others are told why, PostgreSQL logs no error.

The keys are read from `docs/data.md`, which is held to the migrated databases, so that a new one cannot be forgotten.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from shared.ids import new_id
from tests.support.builders import proposal_body
from tests.support.complaints import complaints, marks
from tests.support.installation import Installation

AT_ONCE = 8
KEYS = re.compile(r"^- `unique (\w+) \(([^)]*)\)", re.MULTILINE)
DATA = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
MADE_HERE = {
    "api_tokens_secret": "the hash of a secret that is drawn",
    "inbox_pkey": "the key of a message; claimed by `on conflict`",
    "parked_messages_pkey": "the key of a message; by `on conflict`",
    "streams_seen_pkey": "the name of a stream of the broker",
    "login_secret_pkey": "one row, which a migration writes",
    "organisations_pkey": "an id that is drawn, for an operator",
    "signatures_pkey": "the id of a saga, which is drawn",
}
"""Keys of which no caller chooses a value."""


class Agency:
    """An organisation of its own, and what all of these tests need."""

    def __init__(self, installation: Installation, token: str) -> None:
        self.installation = installation
        self.token = token

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        options = {} if body is None else {"json": body}
        return await self.installation.call_as(self.token, method, path, headers=headers, **options)

    async def made(self, path: str, body: Any) -> dict[str, Any]:
        answer = await self.call("POST", path, body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def client(self) -> dict[str, Any]:
        return await self.made("/api/clients", person())

    async def sent(self) -> str:
        """The path of a proposal that was sent."""
        path = f"/api/proposals/{(await self.made('/api/proposals', proposal()))['id']}"
        assert (await self.call("POST", f"{path}/send")).status_code == 200
        return path


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def agency(installation: Installation) -> Agency:
    return Agency(installation, await installation.another_organisation())


def person(**fields: Any) -> dict[str, Any]:
    return {"name_f": "Jane", "name_l": "Roe", "email": f"{new_id()}@race.example"} | fields


def proposal() -> dict[str, Any]:
    return proposal_body(client_email=f"{new_id()}@race.example")


async def at_once(*calls: Awaitable[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in await asyncio.gather(*calls))


async def one_email(agency: Agency) -> None:
    """New clients and staff, and those who change theirs."""
    there = [await agency.client() for _ in range(AT_ONCE)]
    email = f"{new_id()}@race.example"
    new = [agency.call("POST", "/api/clients", person(email=email.upper())) for _ in range(AT_ONCE)]
    staff = [agency.call("POST", "/api/users", person(email=email, role="member")) for _ in range(AT_ONCE)]
    moved = [agency.call("PUT", f"/api/clients/{each['id']}", {"email": email}) for each in there]
    found = await at_once(*moved, *new, *staff)
    assert (found[200] + found[201], found[409]) == (1, 3 * AT_ONCE - 1), found


async def one_number(agency: Agency) -> None:
    body = {"user_id": (await agency.client())["id"], "service": "x"}
    there = [await agency.made("/api/orders", body) for _ in range(AT_ONCE)]
    number = {"number": there[0]["number"][::-1]}
    moved = [agency.call("PUT", f"/api/orders/{each['id']}", number) for each in there]
    new = [agency.call("POST", "/api/orders", body | number) for _ in range(AT_ONCE)]
    found = await at_once(*moved, *new)
    assert (found[200] + found[201], found[409]) == (1, 2 * AT_ONCE - 1), found


async def one_key(agency: Agency) -> None:
    body, key = person(), {"idempotency-key": str(new_id())}
    found = await at_once(*(agency.call("POST", "/api/clients", body, **key) for _ in range(AT_ONCE)))
    assert set(found) <= {201, 409}
    assert found[201]
    assert (await agency.call("POST", "/api/clients", body, **key)).headers["idempotent-replayed"] == "true"


async def one_signature(agency: Agency) -> None:
    path = await agency.sent()
    found = await at_once(*(agency.call("POST", f"{path}/sign") for _ in range(AT_ONCE)))
    assert found == {200: 1, 409: AT_ONCE - 1}


async def one_signature_by_key(agency: Agency) -> None:
    path, key = await agency.sent(), {"idempotency-key": str(new_id())}
    found = await at_once(*(agency.call("POST", f"{path}/sign", **key) for _ in range(AT_ONCE)))
    assert set(found) <= {200, 409}
    assert found[200]


async def one_proposals_items(agency: Agency) -> None:
    draft = await agency.made("/api/proposals", proposal())
    items = {"items": [{"name": f"Item {number}", "description": "x", "price": 1} for number in range(20)]}
    found = await at_once(*(agency.call("PUT", f"/api/proposals/{draft['id']}", items) for _ in range(AT_ONCE)))
    assert found == {200: AT_ONCE}


async def one_login(agency: Agency) -> None:
    """Failures are counted by account and by address."""
    pair = {"email": f"{new_id()}@race.example", "password": "not the right one"}
    login = agency.installation.call_as
    found = await at_once(*(login(None, "POST", "/api/auth/login", json=pair) for _ in range(AT_ONCE)))
    assert found == {401: AT_ONCE}


async def one_tally(agency: Agency) -> None:
    """The first rows of an organisation, all of one status."""
    new = Agency(agency.installation, await agency.installation.another_organisation())
    found = await at_once(*(new.call("POST", "/api/clients", person()) for _ in range(AT_ONCE)))
    assert found == {201: AT_ONCE}
    assert (await new.call("GET", "/api/clients")).json()["meta"]["total"] == AT_ONCE


Race = Callable[[Agency], Awaitable[None]]
RACES: dict[str, Race] = {
    "clients_email": one_email,
    "users_email": one_email,
    "order_number": one_number,
    "idempotency_keys_pkey": one_key,
    "one_open_saga_a_proposal": one_signature,
    "one_engagement_a_signature": one_signature_by_key,
    "one_order_a_signature": one_signature_by_key,
    "proposal_items_pkey": one_proposals_items,
    "login_attempts_pkey": one_login,
    "tallies_pkey": one_tally,
}

ROUNDS: dict[Race, int] = {one_email: 3, one_number: 3, one_key: 3, one_signature_by_key: 3}
"""Of those that are raced for more than once."""


def test_every_unique_key_but_ids_is_raced_for_or_nobodys_to_choose():
    keys = {name for name, columns in KEYS.findall(DATA) if columns not in ("id", "org_id, id")}
    assert keys == RACES.keys() | MADE_HERE.keys()


@pytest.mark.parametrize("race", dict.fromkeys(RACES.values()), ids=lambda race: race.__name__)
async def test_of_callers_at_the_same_time_one_wins_and_the_database_logs_no_error(
    installation: Installation, agency: Agency, race: Race
):
    before = marks(installation.folder)
    for _ in range(ROUNDS.get(race, 1)):
        await race(agency)
    assert complaints(installation.folder, before) == []
