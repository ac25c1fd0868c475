"""Settings of the proposal service."""

from __future__ import annotations

from shared.settings import ServiceSettings


class ProposalSettings(ServiceSettings, frozen=True, kw_only=True):
    """What the proposal service needs."""
