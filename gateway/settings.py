"""What the gateway is told when it starts."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from gateway import spelling
from shared.settings import ProcessSettings, Secret

ServiceUrls = tuple[Annotated[str, Meta(pattern=r"^https?://[^/\s,]+/?$")], ...]
"""Where a service is: several addresses are several replicas."""


def _service(name: str) -> Meta:
    return Meta(
        min_length=1,
        examples=["http://10.0.0.1:8000,http://10.0.0.2:8000"],
        extra={"check": spelling.addresses},
        description=f"The {name} service, as `http://host:port`; several replicas comma-separated, or one name of all.",
    )


class GatewaySettings(ProcessSettings, frozen=True, kw_only=True):
    """Where the services are, how the gateway proves itself to them, and how much a caller may ask."""

    identity_url: Annotated[ServiceUrls, _service("identity")]
    proposals_url: Annotated[ServiceUrls, _service("proposal")]
    engagements_url: Annotated[ServiceUrls, _service("engagement")]
    conversations_url: Annotated[ServiceUrls, _service("conversation")]
    orders_url: Annotated[ServiceUrls, _service("order")]
    identity_key: Annotated[Secret, Meta(description="Signs the internal identity for the identity service.")]
    proposals_key: Annotated[Secret, Meta(description="Signs the internal identity for the proposal service.")]
    engagements_key: Annotated[Secret, Meta(description="Signs the internal identity for the engagement service.")]
    conversations_key: Annotated[Secret, Meta(description="Signs the internal identity for the conversation service.")]
    orders_key: Annotated[Secret, Meta(description="Signs the internal identity for the order service.")]
    metrics_port: Annotated[
        int, Meta(ge=0, le=65535, description="Port of the gateway's own `/metrics`; 0 = none.")
    ] = 0
    rate_limit: Annotated[
        float,
        Meta(
            ge=0,
            le=1e6,
            description="Requests a second per credential and replica; bursts of five times that; 0 = off.",
        ),
    ] = 200.0
    connections_of_an_address: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="Most connections from one address that is no trusted proxy's; 0 = a quarter of the most.",
        ),
    ] = 0
    credential_cache_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=300,
            description="How long a verified credential is believed without asking, at most; identity says 5 s.",
        ),
    ] = 30.0
    public_url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://[^/\s]+/?)?$",
            examples=["https://api.agency.example"],
            extra={"check": spelling.address},
            description="The API's own address in absolute links; what the request says (`Host`) when not set.",
        ),
    ] = ""
    cors_origins: Annotated[
        tuple[str, ...],
        Meta(
            description="Origins whose pages may call, as `https://app.example`, comma-separated; `*` is any.",
            examples=["https://app.example"],
            extra={"check": spelling.origins},
        ),
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(
            description="Networks (CIDR) whose `X-Forwarded-For` names the caller's address, comma-separated.",
            examples=["10.0.0.0/8"],
            extra={"check": spelling.networks},
        ),
    ] = ()
