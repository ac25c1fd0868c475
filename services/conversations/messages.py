"""In by NATS: message type → use case."""

from __future__ import annotations

from services.conversations.store import replicas
from shared.contracts.engagements import ProjectState
from shared.contracts.identity import ClientState, UserState
from shared.database import Tx
from shared.messaging import topology
from shared.messaging.consumer import Delivery, Handler, Handlers


async def keep_project(tx: Tx, project: ProjectState, _: Delivery) -> None:
    await replicas.keep_project(tx, project)


async def keep_sender(tx: Tx, sender: ClientState | UserState, _: Delivery) -> None:
    await replicas.keep_sender(tx, sender)


HANDLERS: Handlers = {
    "project.opened.v1": Handler(ProjectState, keep_project, is_single=True),
    "project.changed.v1": Handler(ProjectState, keep_project, is_single=True),
    "project.deleted.v1": Handler(ProjectState, keep_project, is_single=True),
    "project.cancelled.v1": Handler(ProjectState, keep_project, is_single=True),
    "client.changed.v1": Handler(ClientState, keep_sender),
    "user.changed.v1": Handler(UserState, keep_sender),
}
FILTERS = {topology.EVENTS: ("evt.*.project.*", "evt.*.client.*", "evt.*.user.*")}
