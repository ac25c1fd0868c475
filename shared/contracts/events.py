"""The events of the stream, each with what it carries and who tells it: what docs/asyncapi.json is made of."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from shared.contracts.conversations import ConversationState, MessageState
from shared.contracts.engagements import EngagementState, ProjectState
from shared.contracts.identity import ClientState, CredentialRevoked, UserState
from shared.contracts.orders import OrderState
from shared.contracts.proposals import ProposalSigned, TemplateState


class EventKind(NamedTuple):
    """One kind of event: the service that tells it, the body, and what happened."""

    owner: str
    body: type[msgspec.Struct]
    summary: str
    version: int = 1


CATALOGUE: Final[Mapping[str, EventKind]] = MappingProxyType(
    {
        "client.changed": EventKind("identity", ClientState, "A client was made, changed, disabled or deleted."),
        "user.changed": EventKind("identity", UserState, "A member of staff was made, changed or disabled."),
        "credential.revoked": EventKind(
            "identity", CredentialRevoked, "A session or an API token is worth nothing now."
        ),
        "template.changed": EventKind("proposals", TemplateState, "A service template was made, changed or deleted."),
        "proposal.signed": EventKind("proposals", ProposalSigned, "A signature is complete, with all that it made."),
        "engagement.opened": EventKind("engagements", EngagementState, "An engagement was opened."),
        "engagement.changed": EventKind("engagements", EngagementState, "An engagement was renamed, paused or closed."),
        "engagement.cancelled": EventKind("engagements", EngagementState, "An engagement was undone with its flow."),
        "project.opened": EventKind("engagements", ProjectState, "A project was opened."),
        "project.changed": EventKind("engagements", ProjectState, "A project was changed or moved on."),
        "project.deleted": EventKind("engagements", ProjectState, "A project was deleted."),
        "project.cancelled": EventKind("engagements", ProjectState, "A project was undone with its flow."),
        "conversation.opened": EventKind("conversations", ConversationState, "A conversation was opened."),
        "conversation.changed": EventKind("conversations", ConversationState, "A conversation was renamed or closed."),
        "message.posted": EventKind("conversations", MessageState, "A message was posted."),
        "message.deleted": EventKind("conversations", MessageState, "A message was deleted."),
        "order.placed": EventKind("orders", OrderState, "An order was placed."),
        "order.changed": EventKind("orders", OrderState, "An order was changed."),
        "order.deleted": EventKind("orders", OrderState, "An order was deleted."),
        "order.cancelled": EventKind("orders", OrderState, "An order was undone with its flow."),
    }
)
"""By type, without its version: `proposal.signed` is `ce-type: proposal.signed.v1`."""


def spelled(type: str) -> EventKind:
    """The kind of event of a full type such as `proposal.signed.v1`. Raises KeyError for one that nobody tells."""
    return _BY_TYPE[type]


_BY_TYPE: Final = {f"{name}.v{kind.version}": kind for name, kind in CATALOGUE.items()}
