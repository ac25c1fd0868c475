"""In by NATS: message type → use case."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from services.conversations.store import replicas
from shared.contracts.engagements import ProjectState
from shared.contracts.identity import ClientState, UserState
from shared.database import Tx
from shared.messaging import topology
from shared.messaging.consumer import Delivery, Handler, Handlers


async def keep_project(tx: Tx, project: ProjectState, _: Delivery) -> None:
    await replicas.keep_project(tx, project)


async def keep_projects(tx: Tx, org: UUID, projects: Sequence[ProjectState]) -> None:
    await replicas.keep_projects(tx, org, projects)


async def keep_sender(tx: Tx, sender: ClientState | UserState, _: Delivery) -> None:
    await replicas.keep_sender(tx, sender)


PROJECT = Handler(ProjectState, keep_project, is_single=True, keep_all=keep_projects)
HANDLERS: Handlers = {
    "project.opened.v1": PROJECT,
    "project.changed.v1": PROJECT,
    "project.deleted.v1": PROJECT,
    "project.cancelled.v1": PROJECT,
    "client.changed.v1": Handler(ClientState, keep_sender),
    "user.changed.v1": Handler(UserState, keep_sender),
}
FILTERS = topology.TRAFFIC["conversations"].consumes
