"""Settings of the engagement service."""

from __future__ import annotations

from shared.settings import ServiceSettings


class EngagementSettings(ServiceSettings, frozen=True, kw_only=True):
    """What the engagement service needs."""
