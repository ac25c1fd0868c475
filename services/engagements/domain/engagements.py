"""Opening engagements by hand, changing and closing them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from services.engagements.domain.telling import tell_engagement
from services.engagements.model import (
    Engagement,
    EngagementChanges,
    EngagementStatus,
    ProposalHasEngagement,
    ProposalOfAnother,
)
from services.engagements.store import engagements, replicas
from shared.contracts.engagements import EngagementQuestion, EngagementState
from shared.contracts.identity import ClientClosed, CloseClient
from shared.contracts.proposals import ProposalState
from shared.database import Tx
from shared.errors import ClientIsLeaving, NotFound, RefersToNothing
from shared.ids import new_id
from shared.messaging.closing import ClientUndecided
from shared.web.actor import Actor


class NewEngagement(msgspec.Struct, frozen=True, kw_only=True):
    """What an engagement is made of; without a name it is named after its client."""

    client_id: UUID
    name: str
    proposal_id: UUID | None
    proposal: ProposalState | None = None
    """What its owner says of the proposal that is named, if one is and there is one."""


async def create(tx: Tx, actor: Actor, new: NewEngagement, at: datetime) -> Engagement:
    """Open an engagement. Raises RefersToNothing for a client not known, or closed, and for a proposal not of theirs.

    Raises ProposalHasEngagement for one that is signed.
    """
    if new.proposal_id is not None and new.proposal is None:
        raise RefersToNothing("proposal_id", "proposal")
    try:
        client = await replicas.lock_open_client(tx, actor.org_id, new.client_id)
    except ClientUndecided as error:
        raise ClientIsLeaving("client_id") from error
    if client is None:
        raise RefersToNothing("client_id", "client")
    if new.proposal is not None and not new.proposal.is_of_client:
        raise ProposalOfAnother
    if new.proposal is not None and new.proposal.is_signed:
        raise ProposalHasEngagement
    engagement = Engagement(
        id=new_id(),
        org_id=actor.org_id,
        version=1,
        client=client,
        proposal_id=new.proposal_id,
        name=new.name or client.engagement_name,
        status=EngagementStatus.ACTIVE,
        created_at=at,
        updated_at=at,
        closed_at=None,
    )
    await engagements.insert(tx, engagement)
    await tell_engagement(tx, "opened", engagement)
    return engagement


async def lock(tx: Tx, actor: Actor, engagement: UUID | None) -> Engagement:
    """The engagement, about to be changed. Raises NotFound."""
    found = await engagements.lock(tx, actor.org_id, engagement) if engagement else None
    if found is None:
        raise NotFound("engagement")
    return found


async def change(tx: Tx, locked: Engagement, changes: EngagementChanges, at: datetime) -> Engagement:
    """Change an engagement that this transaction has locked; one that stays as it is is not told of."""
    changed = locked.changed(changes, at)
    if changed is not locked:
        await engagements.save(tx, changed)
        await tell_engagement(tx, "changed", changed)
    return changed


async def answer_engagement(tx: Tx, question: EngagementQuestion) -> EngagementState | None:
    """The engagement as others keep it, or None when there never was one."""
    return await engagements.get_state(tx, question.org_id, question.id)


async def close_client(tx: Tx, asked: CloseClient) -> ClientClosed:
    """Let no new engagement hang on the client, and count those that do.

    Two statements: the count has a snapshot of its own, and sees what a create that the first one waited for has made.
    """
    await replicas.keep_client(tx, asked.client)
    return ClientClosed(count=await engagements.count_of_client(tx, asked.client.org_id, asked.client.id))
