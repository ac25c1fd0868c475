"""What callers send."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar
from uuid import UUID

import msgspec
from litestar.openapi.spec import Schema
from msgspec import UNSET, Meta, UnsetType

from services.conversations.domain.conversations import Changes
from services.conversations.domain.messages import NewMessage
from services.conversations.model import MOST_ATTACHMENTS, Attachment, ConversationStatus
from shared.web.patterns import FILE_NAME, NOT_BLANK, URL
from shared.web.texts import long_text

MAX_SIZE_BYTES = 2**53 - 1
"""The largest whole number that every JSON reader keeps exact."""

Subject = Annotated[str, Meta(max_length=255, examples=["Kickoff call"])]
Url = Annotated[
    str,
    Meta(
        max_length=2048,
        pattern=URL,
        description="An http or https address, without a user's name.",
        examples=["https://files.example/brief.pdf"],
    ),
]


Content = Annotated[
    str,
    long_text(
        min_length=1,
        pattern=NOT_BLANK,
        description="Not blank. May be left out where there is an attachment.",
        examples=["The first draft is ready."],
    ),
]


class ConversationBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    subject: Subject | None = None


class ConversationOnProjectBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    project_id: UUID
    subject: Subject | None = None


class ConversationChangesBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    subject: Subject | UnsetType | None = UNSET
    status: Annotated[ConversationStatus, Meta(description="1 Open, 2 Closed.")] | UnsetType = UNSET

    def changes(self) -> Changes:
        """What the domain changes."""
        return Changes(subject=self.subject, status=self.status)


class AttachmentBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=255,
            pattern=FILE_NAME,
            description="Without controls, slashes and marks of direction.",
            examples=["brief.pdf"],
        ),
    ]
    url: Url
    # `gt=-1` and not `ge=0`, which Litestar leaves out of the OpenAPI document.
    size: Annotated[int, Meta(gt=-1, le=MAX_SIZE_BYTES, description="In bytes.")] | None = None


class MessageBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message; without `content` it has an attachment."""

    rules_between: ClassVar = {
        "any_of": [
            Schema(required=["content"]),
            Schema(required=["attachments"], properties={"attachments": Schema(min_items=1)}),
        ]
    }

    content: Content | UnsetType = UNSET
    is_internal: Annotated[bool, Meta(description="For staff's eyes only; a client may not say so.")] = False
    attachments: Annotated[list[AttachmentBody], Meta(max_length=MOST_ATTACHMENTS)] = []

    @classmethod
    def faults_between(cls, sent: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        if "content" not in sent and not sent.get("attachments"):
            yield "content", "Give content or an attachment."

    def message(self) -> NewMessage:
        """What the domain makes a message of."""
        attachments = tuple(Attachment(name=each.name, url=each.url, size=each.size) for each in self.attachments)
        content = "" if self.content is UNSET else self.content
        return NewMessage(content=content, is_internal=self.is_internal, attachments=attachments)
