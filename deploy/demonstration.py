"""The command `serx demo`: a proposal, walked from draft to signature through a gateway that runs elsewhere."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from pathlib import Path
from secrets import token_urlsafe
from typing import Annotated

import aiohttp

from deploy import org
from deploy.environment import checked, setting, settings, token
from deploy.failure import Failure
from deploy.local import existing, walkthrough
from deploy.local.api import Api, ApiRefused
from deploy.local.demo import ADMIN_EMAIL, NAME
from deploy.local.folder import DataFolder
from deploy.local.ready import Ready
from deploy.local.screen import Screen
from deploy.operators.site import DEFAULT_FOLDER
from deploy.status.asking import get
from deploy.whole_numbers import whole_number

_AGAIN_SECONDS = 0.2
_URL, _PUBLIC_URL, _TOKEN = "SERX_GATEWAY_URL", "SERX_PUBLIC_URL", "SERX_TOKEN"


def demonstrate(
    *, url: str | None = None, data_dir: Path | None = None, wait_seconds: Annotated[int, whole_number(0, 3600)] = 20
) -> None:
    """Walk a proposal from draft to signature, and show what came out.

    SERX_TOKEN is the API token of an administrator. Without one, that of the demo in the data folder of a running
    `serx up` is used. Where there is none either, a demo organisation is founded, as `serx org create` does it, which
    needs the same SERX_DATABASE_DSN or SERX_IDENTITY_DATABASE_DSN; its token is shown. SERX_PUBLIC_URL is the address
    in the links that are shown; the gateway's when not set.

    Parameters
    ----------
    url
        The gateway's address; that of SERX_GATEWAY_URL, or of the data folder, or else http://127.0.0.1:8000.
    data_dir
        Data folder of a running `serx up`; .serx, unless the environment or --url names a gateway.
    wait_seconds
        How long to wait for a gateway that is just being started.
    """
    named = checked("--url", url) if url else next(iter(settings(_URL)), None)
    public, given = setting(_PUBLIC_URL), token(_TOKEN)
    local = None if data_dir is None and (named or given) else _running(data_dir)
    gateway = (named or (local and local.gateway_url) or "http://127.0.0.1:8000").rstrip("/")
    admin_token = given or (local and local.demo and local.demo.admin_token) or _of_a_new_organisation()
    try:
        walked = asyncio.run(_walk(gateway, admin_token, wait_seconds))
    except ApiRefused as refusal:
        raise Failure(f"The walk-through failed at {refusal.call}: {refusal.title}", [refusal.detail]) from refusal
    screen = Screen()
    screen.show(walkthrough.table(walked))
    for line in walkthrough.links(walked, public or gateway, admin_token):
        screen.say(line)


def _running(data_dir: Path | None) -> Ready | None:
    """What `serx up` on the folder says of itself. Raises Failure for a folder that was named and says nothing."""
    if data_dir is None and not existing.is_there(DataFolder(DEFAULT_FOLDER.absolute()).ready):
        return None
    return existing.serving(data_dir or DEFAULT_FOLDER)[1]


async def _walk(gateway: str, admin_token: str, wait_seconds: int) -> walkthrough.Walk:
    async with aiohttp.ClientSession() as session:
        await _until_ready(session, f"{gateway}/health/ready", wait_seconds)
        return await walkthrough.walk(Api(session, gateway), admin_token=admin_token, client_token=None)


async def _until_ready(session: aiohttp.ClientSession, url: str, wait_seconds: int) -> None:
    """Wait for the gateway; the walk says what is wrong with one that is not ready in time."""
    deadline = time.monotonic() + wait_seconds
    while (await get(session, url))[0] != HTTPStatus.OK and time.monotonic() < deadline:  # noqa: ASYNC110 - another process; nobody sets an event
        await asyncio.sleep(_AGAIN_SECONDS)


def _of_a_new_organisation() -> str:
    """Nobody is told the password: the token is enough for a demonstration."""
    return org.found(NAME, ADMIN_EMAIL, "Demo Admin", token_urlsafe(24)).secret
