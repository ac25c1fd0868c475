"""The commands `serx org …`: what only the operator of an installation may do with organisations."""

from __future__ import annotations

import asyncio
import sys
from getpass import getpass
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from deploy.environment import setting
from deploy.failure import Failure
from services.identity.domain.organisations import found_organisation
from services.identity.domain.passwords import hash_password
from services.identity.model.credentials import new_secret
from services.identity.model.people import Founding, check_founding
from shared import clock
from shared.database import Database, DatabaseAway
from shared.errors import InvalidInput
from shared.ids import OrgId, new_id
from shared.names import full_name

_DSN, _IDENTITY_DSN = "SERX_DATABASE_DSN", "SERX_IDENTITY_DATABASE_DSN"
_PASSWORD = "SERX_ADMIN_PASSWORD"  # noqa: S105  # a name, not a password

app = App(name="org", help="Organisations of this installation.")


@app.command
def create(
    *,
    name: str,
    admin_email: str,
    admin_name: str = "First Admin",
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Create an organisation with its first administrator, and show that one's API token, once.

    SERX_DATABASE_DSN, or else SERX_IDENTITY_DATABASE_DSN, says where the identity service's database is, as that
    service's role. The administrator's password is asked for, or taken from SERX_ADMIN_PASSWORD; it has at least 12
    characters.

    Parameters
    ----------
    name
        The organisation's name.
    admin_email
        The administrator's e-mail, to log in with.
    admin_name
        The administrator's name, "First Last".
    as_json
        Print one JSON object: org_id, admin_user_id, admin_token.
    """
    password = setting(_PASSWORD) or _ask_for_password()
    founding = found(name.strip(), admin_email.strip(), admin_name.strip(), password)
    print(_as_json(founding) if as_json else _as_text(founding))


def found(org_name: str, email: str, admin_name: str, password: str) -> Founding:
    """Found an organisation in the database that the environment names. Raises Failure."""
    dsn = setting(_DSN, _IDENTITY_DSN)
    if not dsn:
        raise Failure(f"To create an organisation, set {_DSN} or {_IDENTITY_DSN} to the identity service's database.")
    founding = _founding(org_name, email, admin_name, password)
    asyncio.run(_found(dsn, founding))
    return founding


def _founding(org_name: str, email: str, admin_name: str, password: str) -> Founding:
    name_f, _, name_l = (part.strip() for part in admin_name.partition(" "))
    try:
        check_founding(org_name=org_name, email=email, name_f=name_f, name_l=name_l, password=password)
    except InvalidInput as error:
        raise Failure(" ".join(sentence for sentences in error.errors.values() for sentence in sentences)) from error
    return Founding(
        org_id=OrgId(new_id()),
        org_name=org_name,
        user_id=new_id(),
        name_f=name_f,
        name_l=name_l,
        email=email,
        password_hash=hash_password(password),
        token_id=new_id(),
        secret=new_secret(),
        at=clock.now(),
    )


def _ask_for_password() -> str:
    if not sys.stdin.isatty():
        raise Failure(f"There is no terminal to ask for the administrator's password; set {_PASSWORD}.")
    return getpass("Password of the administrator: ")


async def _found(dsn: str, founding: Founding) -> None:
    database = Database(dsn, pool_size=1, wait_seconds=10, name="serx org create")
    try:
        await database.open()
        async with database.transaction(founding.org_id) as tx:
            await found_organisation(tx, founding)
    except DatabaseAway as error:
        raise Failure(f"The database of the identity service cannot be reached ({error}).") from error
    finally:
        await database.close()


def _as_json(founding: Founding) -> str:
    shown = {"org_id": founding.org_id, "admin_user_id": founding.user_id, "admin_token": founding.secret}
    return msgspec.json.encode(shown).decode()


def _as_text(founding: Founding) -> str:
    return (
        f"Organisation   {founding.org_name} ({founding.org_id})\n"
        f"Administrator  {full_name(founding.name_f, founding.name_l)} <{founding.email}> ({founding.user_id})\n"
        f"API token      {founding.secret}   (shown this once)"
    )
