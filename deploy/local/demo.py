"""The demo organisation: made once, with an admin and a client, and found again at every later start."""

from __future__ import annotations

import asyncio

import aiohttp
import msgspec

from deploy.failure import Failure
from deploy.local.api import Api, Token
from deploy.local.credentials import Credentials
from deploy.local.environment import Addresses, python
from deploy.local.folder import DataFolder, write_private
from deploy.local.known_demo import Demo
from deploy.local.walkthrough import Walk, walk

NAME = "Demo Agency"
ADMIN_EMAIL = "admin@demo.example"
_CREATE_SECONDS = 30


class Created(msgspec.Struct, frozen=True):
    org_id: str
    admin_token: str
    admin_user_id: str


async def create(folder: DataFolder, addresses: Addresses, credentials: Credentials) -> Demo:
    """Make the demo's organisation and its admin. Raises Failure."""
    created = await found_organisation(addresses, name=NAME, email=ADMIN_EMAIL, password=credentials.demo_admin)
    demo = Demo(created.org_id, created.admin_token, created.admin_user_id, ADMIN_EMAIL, credentials.demo_admin)
    write_private(folder.demo, demo)
    return demo


async def found_organisation(addresses: Addresses, *, name: str, email: str, password: str) -> Created:
    """Make an organisation and its admin, by the command that an operator would use.

    Raises Failure with what the command said.
    """
    process = await asyncio.create_subprocess_exec(
        *python("-m", "deploy.cli", "org", "create", "--name", name, "--admin-email", email, "--json"),
        env=addresses.environment("identity") | {"SERX_ADMIN_PASSWORD": password},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), _CREATE_SECONDS)
    except TimeoutError as error:
        raise Failure(f"The organisation {name} was not made within {_CREATE_SECONDS} s.") from error
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        sentence = f"The organisation {name} could not be made."
        raise Failure(sentence, errors.decode(errors="replace").splitlines()[-8:])
    return msgspec.json.decode(output, type=Created)


async def walk_once(folder: DataFolder, addresses: Addresses, demo: Demo) -> tuple[Demo, Walk]:
    """Walk one proposal; the first walk also gives the demo its client.

    Raises ApiRefused.
    """
    async with aiohttp.ClientSession() as session:
        api = Api(session, addresses.http("gateway"))
        walked = await walk(api, admin_token=demo.admin_token, client_token=demo.client_token)
        if demo.client_token is None:
            wish = {"name": "Demo client", "role": "client", "client_id": walked.signed.engagement.client_id}
            token = await api.post("token", "/api/tokens", demo.admin_token, wish, Token)
            demo = msgspec.structs.replace(demo, client_token=token.token)
            write_private(folder.demo, demo)
    return demo, walked
