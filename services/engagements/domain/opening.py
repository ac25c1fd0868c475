"""What the sign flow asks of this service: open an engagement with its projects, once; undo it."""

from __future__ import annotations

import msgspec

from services.engagements import views
from services.engagements.domain.telling import engagement_event, project_event, state_of_engagement, state_of_project
from services.engagements.model import (
    Client,
    Engagement,
    EngagementRef,
    EngagementStatus,
    Phase,
    Project,
    ProjectStatus,
    Template,
)
from services.engagements.store import opening
from shared.contracts.engagements import (
    CancelEngagement,
    EngagementOpened,
    EngagementState,
    OpenEngagement,
    ProjectState,
    ProjectToOpen,
)
from shared.contracts.reply import CANCELLED, Reply
from shared.database import Tx
from shared.failpoints import without
from shared.messaging import inbox, outbox
from shared.messaging.consumer import Delivery
from shared.messaging.outbox import Event

CLIENT_IS_GONE = "The client was deleted."


async def open_engagement(tx: Tx, command: OpenEngagement, delivery: Delivery) -> bytes:
    """Open the engagement with its projects; refused when the client is gone. Returns the reply, the same each time."""
    engagement = _engagement(command)
    projects = [_project(command, engagement, item) for item in command.projects]
    result = EngagementOpened(
        engagement=_raw(views.engagement_view(engagement, projects)),
        projects=[_raw(views.project_view(project)) for project in projects],
    )
    return await opening.open_once(
        tx,
        delivery,
        command.saga_id,
        engagement,
        command.client.version,
        projects,
        opened=msgspec.json.encode(Reply(outcome="done", result=_raw(result))),
        refused=msgspec.json.encode(Reply(outcome="refused", cause=CLIENT_IS_GONE)),
        events=_events(command, engagement, projects),
    )


async def cancel_engagement(tx: Tx, command: CancelEngagement, delivery: Delivery) -> bytes:
    """Undo what the saga opened, or bar it from ever opening. The answer is always `cancelled`."""
    reply = msgspec.json.encode(CANCELLED)
    if not without("second_snapshot"):
        await inbox.bar(tx, (command.key, delivery.key), delivery, reply)
    for gone in await opening.cancel_engagements(tx, command.org_id, command.saga_id, command.at):
        state = EngagementState(
            org_id=gone.org_id,
            id=gone.id,
            version=gone.version,
            client_id=gone.client_id,
            proposal_id=gone.proposal_id,
            name=gone.name,
            status=gone.status,
            is_cancelled=True,
        )
        await outbox.put(tx, engagement_event("cancelled", state))
    for gone in await opening.cancel_projects(tx, command.org_id, command.saga_id, command.at):
        state = ProjectState(
            org_id=gone.org_id,
            id=gone.id,
            version=gone.version,
            engagement_id=gone.engagement_id,
            client_id=gone.client_id,
            name=gone.name,
            is_deleted=True,
        )
        await outbox.put(tx, project_event("cancelled", state))
    if without("second_snapshot"):
        await inbox.bar(tx, (command.key, delivery.key), delivery, reply)
    return reply


def _engagement(command: OpenEngagement) -> Engagement:
    client = command.client
    return Engagement(
        id=command.engagement_id,
        org_id=command.org_id,
        version=1,
        client=Client(id=client.id, name_f=client.name_f, name_l=client.name_l, email=client.email),
        proposal_id=command.proposal_id,
        name=command.name,
        status=EngagementStatus.ACTIVE,
        created_at=command.at,
        updated_at=command.at,
        closed_at=None,
    )


def _project(command: OpenEngagement, engagement: Engagement, item: ProjectToOpen) -> Project:
    return Project(
        id=item.id,
        org_id=command.org_id,
        version=1,
        engagement=EngagementRef(
            id=engagement.id, name=engagement.name, client_id=engagement.client.id, status=engagement.status
        ),
        name=item.name,
        description=item.description,
        status=ProjectStatus.ACTIVE,
        phase=Phase.KICKOFF,
        service=Template(id=item.service_id, name=item.service_name or "") if item.service_id else None,
        created_at=command.at,
        updated_at=command.at,
        completed_at=None,
    )


def _events(command: OpenEngagement, engagement: Engagement, projects: list[Project]) -> list[Event]:
    told = [engagement_event("opened", state_of_engagement(engagement), command.event_id)]
    for item, project in zip(command.projects, projects, strict=True):
        told.append(project_event("opened", state_of_project(project), item.event_id))
    return told


def _raw(value: msgspec.Struct) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
