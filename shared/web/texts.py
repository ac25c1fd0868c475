"""Kinds of text that bodies of more than one service have, with their bounds."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta

from shared.web.patterns import EMAIL, EMPTY_OR_NOT_BLANK, NOT_BLANK
from shared.web.shapes import MAX_BYTES, TRIMMED
from shared.web.shaping import MAX_TEXT_BYTES

MAX_EMAIL_LENGTH: Final = 254
MAX_NAME_LENGTH: Final = 100
MAX_LINE_LENGTH: Final = 255


def long_text(**more: Any) -> Meta:
    """For a text of many lines: at most 64 KiB in UTF-8. `more` is passed on to Meta."""
    description = f"{more.pop('description', '')} At most 64 KiB in UTF-8.".strip()
    return Meta(max_length=MAX_TEXT_BYTES, description=description, extra={MAX_BYTES: MAX_TEXT_BYTES}, **more)


def email(description: str) -> Meta:
    """For an e-mail address; blanks around it are left out."""
    return Meta(
        max_length=MAX_EMAIL_LENGTH,
        pattern=EMAIL,
        description=description,
        examples=["jane@roe.example"],
        extra={TRIMMED: True},
    )


Line = Annotated[str, Meta(max_length=MAX_LINE_LENGTH, description="At most 255 characters.")]
FirstName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_NAME_LENGTH,
        pattern=NOT_BLANK,
        description="1 to 100 characters.",
        examples=["Jane"],
    ),
]
LastName = Annotated[
    str,
    Meta(
        max_length=MAX_NAME_LENGTH,
        pattern=EMPTY_OR_NOT_BLANK,
        description="At most 100 characters; empty for people with one name.",
        examples=["Roe"],
    ),
]
LongText = Annotated[str, long_text()]
