"""What the tests of engagements and projects share: their service, and the neighbours who own the rest."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import msgspec
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from shared.contracts.identity import ClientState
from shared.contracts.proposals import ProposalState, TemplateState
from shared.ids import new_id
from shared.messaging.topology import answers_prefix, question_subject
from shared.web.actor import Actor
from tests.support.commands import arrived, client_state
from tests.support.servers import Broker
from tests.support.services import Service

NAME = "engagements"
CLIENT, TEMPLATE = question_subject("identity", "client"), question_subject("proposals", "template")
PROPOSAL = question_subject("proposals", "proposal")


class Owners:
    """Identity and the proposal service, who are asked for what they own; the test also asks as they may."""

    def __init__(self, connection: Client) -> None:
        self._connection = connection
        self._known: dict[tuple[str, str, str], msgspec.Struct] = {}
        self._subscriptions: list[Subscription] = []
        self.asked: list[tuple[str, UUID]] = []
        self._may_answer = asyncio.Event()
        self._may_answer.set()

    def client(self, org: UUID, **changes: Any) -> ClientState:
        """A client whom identity knows, and this service does not yet."""
        state = client_state(org, **changes)
        self._known[CLIENT, str(org), str(state.id)] = state
        return state

    def template(self, org: UUID, **changes: Any) -> TemplateState:
        """A template that the proposal service knows, and this service does not yet."""
        fields: dict[str, Any] = {
            "org_id": org,
            "id": new_id(),
            "version": 1,
            "name": "Search",
            "price": Decimal(9),
            "currency": "USD",
        }
        state = TemplateState(**fields | changes)
        self._known[TEMPLATE, str(org), str(state.id)] = state
        return state

    def proposal(self, org: UUID, **answers: bool) -> ProposalState:
        """A proposal that the proposal service knows."""
        state = ProposalState(org_id=org, id=new_id(), **answers)
        self._known[PROPOSAL, str(org), str(state.id)] = state
        return state

    def times_asked(self, id: UUID) -> int:
        return len([each for _, each in self.asked if each == id])

    async def ask(self, question: str, body: msgspec.Struct) -> Any:
        """What the service answers to `ask.engagements.<question>`."""
        subject = question_subject(NAME, question)
        answer = await self._connection.request(subject, msgspec.json.encode(body), timeout=10)
        return msgspec.json.decode(answer.data)

    async def come(self) -> None:
        asked = (CLIENT, TEMPLATE, PROPOSAL)
        self._subscriptions = [await self._connection.subscribe(each, cb=self._answer) for each in asked]
        await arrived(self._connection)

    async def go(self) -> None:
        for subscription in self._subscriptions:
            await subscription.unsubscribe()
        await arrived(self._connection)

    @asynccontextmanager
    async def away(self):
        """They answer nothing until the block is left."""
        await self.go()
        try:
            yield
        finally:
            await self.come()

    @asynccontextmanager
    async def thinking(self):
        """They hear questions, and answer none until the block is left."""
        self._may_answer.clear()
        try:
            yield
        finally:
            self._may_answer.set()

    async def _answer(self, message: Msg) -> None:
        asked = msgspec.json.decode(message.data)
        self.asked.append((message.subject, UUID(asked["id"])))
        await self._may_answer.wait()
        await message.respond(msgspec.json.encode(self._known.get((message.subject, asked["org_id"], asked["id"]))))


@asynccontextmanager
async def owning(broker: Broker):
    """Owners on the broker, until the block is left."""
    # The service may answer only into the inboxes of its neighbours.
    connection = await nats.connect(broker.operator, inbox_prefix=answers_prefix("identity"))
    owners = Owners(connection)
    await owners.come()
    try:
        yield owners
    finally:
        await connection.close()


class Desk:
    """One member of staff at work with the service."""

    def __init__(self, service: Service, owners: Owners, staff: Actor) -> None:
        self._service = service
        self.owners = owners
        self.staff = staff

    @property
    def org(self) -> UUID:
        return self.staff.org_id

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Call `/api/<path>`; underscores in the names of headers are hyphens."""
        spelled = {name.replace("_", "-"): value for name, value in headers.items()}
        options = {} if body is None else {"json": body}
        return await self._service.call(self.staff, method, f"/api/{path}", headers=spelled, **options)

    async def got(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        """The answer's JSON, once it has that status."""
        answer = await self.call(method, path, body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def refused(self, method: str, path: str, body: Any = None, *, status: int) -> dict[str, Any]:
        """The problem, once the call was refused with that status."""
        problem = await self.got(method, path, body, status=status)
        assert problem["status"] == status
        return problem

    async def engagement(self, **changes: Any) -> dict[str, Any]:
        """A new engagement, with a client of its own unless one is given."""
        body = changes if "client_id" in changes else {"client_id": str(self.owners.client(self.org).id), **changes}
        return await self.got("POST", "engagements", body, status=201)

    async def project(self, **changes: Any) -> dict[str, Any]:
        """A new project, in an engagement of its own unless one is given."""
        if "engagement_id" not in changes:
            changes["engagement_id"] = (await self.engagement())["id"]
        return await self.got("POST", "projects", {"name": "Website", **changes}, status=201)

    async def ids(self, path: str) -> list[str]:
        """The ids that a list shows, all on its first page."""
        return [item["id"] for item in (await self.got("GET", path))["data"]]
