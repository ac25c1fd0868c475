"""What the storm signs for: two agencies, with clients who have the same e-mails, and some who may not sign."""

from __future__ import annotations

from typing import Protocol

import aiohttp
import msgspec

from deploy.local.api import Api
from deploy.local.demo import Created
from deploy.proof.signers import Agency

KNOWN_CLIENTS = 4
_ACTIVE, _DISABLED = 1, 0


class _Made(msgspec.Struct, frozen=True):
    id: str


class Installation(Protocol):
    """What is signed on: the addresses of its gateways, and a way to make organisations."""

    @property
    def gateways(self) -> tuple[str, str]: ...
    async def found_organisation(self, name: str, email: str) -> Created: ...


async def agencies(stack: Installation) -> list[Agency]:
    """Found them. Raises Failure, ApiRefused."""
    async with aiohttp.ClientSession() as session:
        api = Api(session, stack.gateways[0])
        return [await _agency(stack, api, name) for name in ("north", "south")]


async def _agency(stack: Installation, api: Api, name: str) -> Agency:
    admin = f"admin@{name}.example"
    founded = await stack.found_organisation(name, admin)
    clients = [f"client-{number}@storm.example" for number in range(KNOWN_CLIENTS)]
    disabled = "disabled@storm.example"
    for email, status in (*((email, _ACTIVE) for email in clients), (disabled, _DISABLED)):
        body = {"name_f": "Storm", "name_l": "Client", "email": email, "status": status}
        await api.post("client", "/api/clients", founded.admin_token, body, _Made)
    return Agency(founded.org_id, founded.admin_token, tuple(clients), (admin, disabled))
