"""Who may come in without an actor. Guards run before the body is looked at."""

from __future__ import annotations

from litestar.handlers import BaseRouteHandler

from shared import clock
from shared.web.actor import IDENTITY_HEADER, UntrustedIdentity, verify_gateway
from shared.web.guards import Connection


def only_the_gateway_itself(connection: Connection, _: BaseRouteHandler) -> None:
    """Raises UntrustedIdentity unless the gateway asks on its own behalf."""
    token = connection.headers.get(IDENTITY_HEADER)
    if token is None:
        raise UntrustedIdentity("missing")
    verify_gateway(token, audience="identity", keys=connection.app.state["internal_keys"], at=clock.now())
