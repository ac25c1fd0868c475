"""The sign flow as it must not be: it opens and places before identity has said who the client is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from msgspec.structs import replace

from services.proposals.model.proposals import Plan
from services.proposals.sign_flow import SIGN_FLOW
from shared.contracts.identity import ClientEnsured, ClientState
from shared.contracts.reply import Reply
from shared.messaging.saga import Command, Flow

Does = Callable[[Plan, Mapping[str, Reply]], Command]


def _hasty(does: Does) -> Does:
    def says(plan: Plan, replies: Mapping[str, Reply]) -> Command:
        return does(plan, {"client": _presumed(plan), **replies})

    return says


def _presumed(plan: Plan) -> Reply:
    proposal = plan.proposal
    client = ClientState(
        org_id=proposal.org_id,
        id=plan.ids.client,
        version=1,
        name_f=proposal.client_name_f,
        name_l=proposal.client_name_l,
        email=proposal.client_email,
    )
    return Reply(outcome="done", result=msgspec.Raw(msgspec.json.encode(ClientEnsured(client=client))))


HASTY_FLOW: Flow[Plan] = Flow(
    "sign", tuple(replace(step, after=(), does=_hasty(step.does)) for step in SIGN_FLOW.steps)
)
