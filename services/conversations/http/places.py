"""Where a call happens: its project, which the engagement service is asked for when it is not known here, and more."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Request

from services.conversations.domain.conversations import Place
from services.conversations.model import Project
from services.conversations.store import conversations, replicas
from shared.contracts.engagements import ProjectQuestion, ProjectState
from shared.database import Database
from shared.errors import NotFound
from shared.ids import parse_id
from shared.messaging.questions import ask
from shared.web.actor import Actor
from shared.web.inputs import IdInPath


async def project_place(request: Request[Any, Any, Any], project_id: IdInPath) -> UUID:
    """The project of the path. Raises NotFound unless the caller may see it, BrokerAway when its owner is."""
    return await require_project(request, parse_id(project_id))


async def conversation_place(request: Request[Any, Any, Any], project_id: IdInPath, conversation_id: IdInPath) -> Place:
    """The conversation of the path, in the project of the path.

    Raises NotFound unless the caller may see both, BrokerAway when the project's owner is.
    """
    project, conversation = await project_place(request, project_id), parse_id(conversation_id)
    if conversation is None or await project_of(request, conversation) != project:
        raise NotFound("conversation")
    return Place(project=project, conversation=conversation)


async def project_is_there(request: Request[Any, Any, Any]) -> None:
    """Raises NotFound unless the caller may see the project of the path."""
    await project_place(request, request.path_params["project_id"])


async def conversation_is_there(request: Request[Any, Any, Any]) -> None:
    """Raises NotFound unless the caller may see the conversation of the path in the project of the path."""
    await conversation_place(request, request.path_params["project_id"], request.path_params["conversation_id"])


async def require_project(request: Request[Any, Any, Any], project: UUID | None) -> UUID:
    """The project, if the caller may see it. Raises NotFound, BrokerAway."""
    actor: Actor = request.state["actor"]
    found = await _known(request, actor, project) if project else None
    if found is None or not found.is_for(actor.client_id):
        raise NotFound("project")
    return found.id


async def project_of(request: Request[Any, Any, Any], conversation: UUID) -> UUID | None:
    """The project of the conversation, if the caller may see it."""
    actor: Actor = request.state["actor"]
    database: Database = request.app.state.database
    async with database.transaction(actor.org_id) as tx:
        return await conversations.project_of(tx, actor.org_id, conversation, only_of=actor.client_id)


async def _known(request: Request[Any, Any, Any], actor: Actor, project: UUID) -> Project | None:
    """What is known of the project; on a miss its owner is asked, outside of any transaction, and the answer stored.

    For a client, another client's project is a miss like one that is not there: the time does not tell them apart.
    """
    database: Database = request.app.state.database
    async with database.transaction(actor.org_id) as tx:
        found = await replicas.get_project(tx, actor.org_id, project)
    if found is not None and (actor.is_staff or found.is_for(actor.client_id)):
        return found
    question = ProjectQuestion(org_id=actor.org_id, id=project)
    told = await ask(request.app.state.bus, "engagements", "project", question, ProjectState)
    if told is None or actor.client_id not in (None, told.client_id):
        return None
    async with database.transaction(actor.org_id) as tx:
        await replicas.keep_project(tx, told)
        return await replicas.get_project(tx, actor.org_id, project)
