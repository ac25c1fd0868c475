"""The neighbours of the conversation service, played by the test; and the calls that most tests begin with."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import msgspec
import nats
from nats.aio.msg import Msg

from shared.contracts.engagements import ProjectQuestion, ProjectState
from shared.database import Database
from shared.ids import new_id
from shared.messaging import topology
from shared.web.actor import Actor
from tests.support.commands import Orchestrator, arrived
from tests.support.servers import Broker, until
from tests.support.services import Service

NAME = "conversations"


def project_of(org: UUID, **changes: Any) -> ProjectState:
    fields: dict[str, Any] = {
        "org_id": org,
        "id": new_id(),
        "version": 1,
        "engagement_id": new_id(),
        "client_id": new_id(),
        "name": "SEO",
    }
    return ProjectState(**fields | changes)


async def tells(orchestrator: Orchestrator, database: Database, what: str, project: ProjectState) -> None:
    """Let the service hear of a project, and wait until it has kept that."""
    subject = topology.event_subject(project.org_id, "project", what)
    await orchestrator.tell(subject, f"project.{what}.v1", project)

    async def is_kept() -> bool:
        async with database.transaction(project.org_id) as tx:
            sql = "select true from projects where id = $1 and version >= $2"
            return await tx.value(sql, project.id, project.version)

    await until(is_kept)


class Neighbours:
    """The projects that the engagement service has, and what it was asked."""

    def __init__(self) -> None:
        self.projects: dict[UUID, ProjectState] = {}
        self.asked: list[UUID] = []

    def project(self, org: UUID, **changes: Any) -> ProjectState:
        """A project that the engagement service has, of which nobody has told."""
        project = project_of(org, **changes)
        self.projects[project.id] = project
        return project

    async def answer(self, message: Msg) -> None:
        question = msgspec.json.decode(message.data, type=ProjectQuestion)
        self.asked.append(question.id)
        found = self.projects.get(question.id)
        await message.respond(msgspec.json.encode(found if found and found.org_id == question.org_id else None))


@asynccontextmanager
async def neighbouring(broker: Broker):
    """Neighbours that answer questions, until the block is left."""
    connection = await nats.connect(broker.operator)
    neighbours = Neighbours()
    await connection.subscribe(topology.question_subject("engagements", "project"), cb=neighbours.answer)
    await arrived(connection)
    try:
        yield neighbours
    finally:
        await connection.close()


def path_of(conversation: dict[str, Any]) -> str:
    return f"/api/projects/{conversation['project_id']}/conversations/{conversation['id']}"


async def opens(service: Service, actor: Actor, project: ProjectState, subject: str | None = "Kickoff") -> str:
    """The path of a conversation that was opened."""
    answer = await service.call(actor, "POST", f"/api/projects/{project.id}/conversations", json={"subject": subject})
    assert answer.status_code == 201, answer.text
    return path_of(answer.json())


async def posts(service: Service, actor: Actor, path: str, content: str = "Hello", **more: Any) -> dict[str, Any]:
    """A message that was posted."""
    answer = await service.call(actor, "POST", f"{path}/messages", json={"content": content, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def reads(service: Service, actor: Actor, path: str) -> dict[str, Any]:
    """What is there."""
    answer = await service.call(actor, "GET", path)
    assert answer.status_code == 200, answer.text
    return answer.json()
