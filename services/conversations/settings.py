"""Settings of the conversation service."""

from __future__ import annotations

from shared.settings import ServiceSettings


class ConversationSettings(ServiceSettings, frozen=True, kw_only=True):
    """What the conversation service needs."""
