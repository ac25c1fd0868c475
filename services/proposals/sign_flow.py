"""The sign flow: one signature → the client (if new), an engagement with its projects, and an order.

The whole process on one screen: the steps, what each says, and how it is undone. `shared.messaging.saga` steps
through it, `shared.messaging.orchestrator` drives it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from services.proposals.model.proposals import Plan
from shared.contracts.engagements import CancelEngagement, OpenEngagement, ProjectToOpen
from shared.contracts.identity import ClientEnsured, ClientState, EnsureClient
from shared.contracts.orders import BilledTo, CancelOrder, PlaceOrder
from shared.contracts.reply import Reply
from shared.failpoints import without
from shared.messaging.saga import Command, Flow, Step

NAME_LENGTH = 255

Replies = Mapping[str, Reply]


def ensure_client(plan: Plan, _: Replies) -> Command:
    """Identity answers with the client who has this e-mail; another flow may have made them first.

    Whose proposal belongs to a client already is asked for that one, who is answered or refused. The command names
    them by `client_id`, so that an identity that knows no `is_bound` finds them as well.
    """
    proposal = plan.proposal
    return Command(
        "ensure-client",
        EnsureClient(
            org_id=proposal.org_id,
            client_id=proposal.client_id or plan.ids.client,
            event_id=plan.ids.event(0),
            email=proposal.client_email,
            name_f=proposal.client_name_f,
            name_l=proposal.client_name_l,
            company=proposal.client_company,
            at=plan.at,
            is_bound=proposal.client_id is not None,
        ),
    )


def open_engagement(plan: Plan, replies: Replies) -> Command:
    proposal = plan.proposal
    projects = [
        ProjectToOpen(
            id=plan.ids.project(position),
            event_id=plan.ids.event(3 + position),
            name=item.name,
            description=item.description,
            service_id=item.service_id,
            service_name=item.service_name,
        )
        for position, item in enumerate(proposal.items)
    ]
    return Command(
        "open",
        OpenEngagement(
            org_id=proposal.org_id,
            saga_id=plan.ids.saga,
            proposal_id=proposal.id,
            engagement_id=plan.ids.engagement,
            event_id=plan.ids.event(1),
            name=f"{proposal.client_name} - Engagement"[:NAME_LENGTH],
            client=client_of(plan, replies),
            projects=projects,
            at=plan.at,
        ),
    )


def place_order(plan: Plan, replies: Replies) -> Command:
    proposal = plan.proposal
    first, client = proposal.items[0], client_of(plan, replies)
    return Command(
        "place",
        PlaceOrder(
            org_id=proposal.org_id,
            saga_id=plan.ids.saga,
            proposal_id=proposal.id,
            engagement_id=plan.ids.engagement,
            order_id=plan.ids.order,
            event_id=plan.ids.event(2),
            client=client,
            price=proposal.total,
            currency=proposal.currency,
            service=first.name,
            service_id=first.service_id,
            metadata=_order_metadata(plan),
            at=plan.at,
            billed_to=_billed_to(client),
        ),
    )


def cancel_engagement(plan: Plan) -> Command:
    key = f"{plan.ids.saga}.engagement"
    return Command("cancel", CancelEngagement(org_id=plan.proposal.org_id, saga_id=plan.ids.saga, key=key, at=plan.at))


def cancel_order(plan: Plan) -> Command:
    key = f"{plan.ids.saga}.order"
    return Command("cancel", CancelOrder(org_id=plan.proposal.org_id, saga_id=plan.ids.saga, key=key, at=plan.at))


def is_client_known(plan: Plan) -> bool:
    return plan.client is not None


SIGN_FLOW: Flow[Plan] = Flow(
    "sign",
    (
        # Never undone: a client made by a flow that is undone stays.
        Step(name="client", service="identity", does=ensure_client, skip=is_client_known),
        Step(
            name="engagement",
            service="engagements",
            does=open_engagement,
            undo=cancel_engagement,
            after=("client",),
        ),
        Step(name="order", service="orders", does=place_order, undo=cancel_order, after=("client",)),
    ),
)


def client_of(plan: Plan, replies: Replies) -> ClientState:
    """The client: known before the flow began, else the one of identity's reply."""
    if plan.client is not None:
        return plan.client
    if "client" not in replies and without("order_of_steps"):
        return ClientState(org_id=plan.proposal.org_id, id=plan.ids.client, version=0, name_f="", name_l="", email="")
    return msgspec.json.decode(replies["client"].result, type=ClientEnsured).client


def _billed_to(client: ClientState) -> BilledTo | None:
    """The client as they are now, if all of it is known."""
    if client.billing is None:
        return None
    return BilledTo(
        name=client.name.strip(),
        email=client.email,
        company=client.company,
        tax_id=client.billing.tax_id,
        address=client.billing.address,
    )


def _order_metadata(plan: Plan) -> msgspec.Raw:
    items = [
        {
            "name": item.name,
            "description": item.description,
            "price": str(item.price),
            "service_id": item.service_id,
        }
        for item in plan.proposal.items
    ]
    metadata = {"proposal_id": plan.proposal.id, "engagement_id": plan.ids.engagement, "proposal_items": items}
    return msgspec.Raw(msgspec.json.encode(metadata))
