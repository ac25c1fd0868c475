"""In by NATS: message type → use case."""

from __future__ import annotations

from services.conversations.store import replicas
from shared.contracts.engagements import ProjectState
from shared.database import Tx
from shared.messaging import topology
from shared.messaging.consumer import Delivery, Handler, Handlers


async def keep_project(tx: Tx, project: ProjectState, _: Delivery) -> None:
    await replicas.keep_project(tx, project)


HANDLERS: Handlers = {
    "project.opened.v1": Handler(ProjectState, keep_project),
    "project.changed.v1": Handler(ProjectState, keep_project),
    "project.cancelled.v1": Handler(ProjectState, keep_project),
}
FILTERS = {topology.EVENTS: ("evt.*.project.*",)}
