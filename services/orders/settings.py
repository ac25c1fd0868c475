"""Settings of the order service."""

from __future__ import annotations

from shared.settings import ServiceSettings


class OrderSettings(ServiceSettings, frozen=True, kw_only=True):
    """What the order service needs."""
