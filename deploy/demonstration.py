"""The command `serx demo`: a proposal, walked from draft to signature through a gateway that runs elsewhere."""

from __future__ import annotations

import asyncio
from secrets import token_urlsafe

import aiohttp

from deploy import org
from deploy.environment import setting
from deploy.failure import Failure
from deploy.local import walkthrough
from deploy.local.api import Api, ApiRefused
from deploy.local.demo import ADMIN_EMAIL, NAME
from deploy.local.screen import Screen

_URL, _PUBLIC_URL, _TOKEN = "SERX_GATEWAY_URL", "SERX_PUBLIC_URL", "SERX_TOKEN"


def demonstrate(*, url: str | None = None) -> None:
    """Walk a proposal from draft to signature, and show what came out.

    SERX_TOKEN is the API token of an administrator. Without one a demo organisation is founded, as `serx org create`
    does it, which needs the same SERX_DATABASE_DSN; its token is shown.

    Parameters
    ----------
    url
        The gateway's address; that of SERX_GATEWAY_URL, or else http://127.0.0.1:8000.
    """
    gateway = (url or setting(_URL) or "http://127.0.0.1:8000").rstrip("/")
    token = setting(_TOKEN) or _of_a_new_organisation()
    try:
        walked = asyncio.run(_walk(gateway, token))
    except ApiRefused as refusal:
        raise Failure(f"The walk-through failed at {refusal.call}: {refusal.title}", [refusal.detail]) from refusal
    screen = Screen()
    screen.show(walkthrough.table(walked))
    for line in walkthrough.links(walked, setting(_PUBLIC_URL) or gateway, token):
        screen.say(line)


async def _walk(gateway: str, token: str) -> walkthrough.Walk:
    async with aiohttp.ClientSession() as session:
        return await walkthrough.walk(Api(session, gateway), admin_token=token, client_token=None)


def _of_a_new_organisation() -> str:
    """Nobody is told the password: the token is enough for a demonstration."""
    return org.found(NAME, ADMIN_EMAIL, "Demo Admin", token_urlsafe(24)).secret
