"""One address in several organisations: nobody is shut out, no account tells of another, and the caller chooses."""

from __future__ import annotations

import asyncio

import pytest

from services.identity.domain.login import MOST_SESSIONS
from services.identity.domain.passwords import COMPUTED_TOGETHER, hash_password
from shared.contracts.identity import CredentialRevoked
from shared.ids import new_id
from shared.metrics import PASSWORDS_COMPUTED
from tests.component.identity.people import PASSWORD, Agency, House, add_client

OTHER = "another long pass phrase"


def address() -> str:
    return f"{new_id()}@agency.example"


async def login(house: House, email: str, password: str, **more: object):
    body = {"email": email, "password": password, **more}
    headers = {"serx-client-address": str(new_id())}
    return await house.gateway.plain("POST", "/api/auth/login", json=body, headers=headers)


async def hired(house: House, email: str, password: str = PASSWORD, name: str = "Agency") -> Agency:
    """A new agency that has somebody with this address and password, by way of the API."""
    agency = await house.found(email=address(), name=name)
    person = {"name_f": "Kim", "name_l": "Roe", "email": email, "role": "member", "password": password}
    await house.made(agency.admin, "/api/users", person)
    return agency


def computed() -> float:
    return next(sample.value for metric in PASSWORDS_COMPUTED.collect() for sample in metric.samples)


async def cost(house: House, email: str, password: str = "wrong", **more: object) -> float:
    """How many hashes a login computes."""
    before = computed()
    await login(house, email, password, **more)
    return computed() - before


async def test_a_login_computes_the_same_however_many_organisations_know_the_address(house: House) -> None:
    email = address()
    costs = [await cost(house, email)]
    agencies = []
    for number in range(6):
        agencies.append(await hired(house, email, f"{number} {PASSWORD}"))
        costs.append(await cost(house, email))
        costs.append(await cost(house, email, f"{number} {PASSWORD}"))
    costs.append(await cost(house, email, org_id=str(agencies[-1].org_id)))
    assert costs == [COMPUTED_TOGETHER] * 14


async def test_an_account_that_is_moved_onto_an_address_tells_nothing_of_others_there(house: House) -> None:
    known, unknown = address(), address()
    await hired(house, known)
    for email in (known, unknown):
        agency = await hired(house, address(), OTHER)
        user = (await house.call(agency.admin, "GET", "/api/users?sort=created_at:desc")).json()["data"][0]
        moved = await house.call(agency.admin, "PUT", f"/api/users/{user['id']}", json={"email": email})
        assert moved.status_code == 200
        assert await cost(house, email) == COMPUTED_TOGETHER
    assert (await login(house, known, OTHER)).status_code == 200


async def test_accounts_of_before_this_rule_are_found_and_join_it_when_they_log_in(house: House) -> None:
    email, agencies = address(), []
    for number in range(5):
        agencies.append(await house.found())
        hashed = hash_password(f"{number} {PASSWORD}")
        await add_client(house.database, agencies[-1].org_id, email=email, password_hash=hashed)
    assert await cost(house, email) == 6
    for number, agency in enumerate(agencies):
        answer = await login(house, email, f"{number} {PASSWORD}")
        assert answer.json()["user"]["org_id"] == str(agency.org_id)
        assert (await login(house, email, f"{number} {PASSWORD}")).status_code == 200
    assert await cost(house, email) == COMPUTED_TOGETHER


async def test_the_sixth_account_of_an_address_logs_in(house: House) -> None:
    email = address()
    for number in range(5):
        await hired(house, email, f"{number} {PASSWORD}")
    mine = await house.found()
    await add_client(house.database, mine.org_id, email=email, password_hash=hash_password(OTHER))
    answer = await login(house, email, OTHER)
    assert (answer.status_code, answer.json()["user"]["org_id"]) == (200, str(mine.org_id))


async def test_a_pair_that_is_right_in_several_organisations_is_409_with_the_choice(house: House) -> None:
    email = address()
    agencies = [await hired(house, email, name=name) for name in ("Zeta", "Alpha")]
    elsewhere = await hired(house, email, OTHER, name="Other")
    asked = await login(house, email, PASSWORD)
    assert (asked.status_code, asked.headers["content-type"]) == (409, "application/problem+json")
    zeta, alpha = agencies
    assert asked.json()["organisations"] == [
        {"id": str(alpha.org_id), "name": "Alpha"},
        {"id": str(zeta.org_id), "name": "Zeta"},
    ]
    for agency in agencies:
        answer = await login(house, email, PASSWORD, org_id=str(agency.org_id))
        assert (answer.status_code, answer.json()["user"]["org_id"]) == (200, str(agency.org_id))
    for wrong in (elsewhere.org_id, new_id()):
        assert (await login(house, email, PASSWORD, org_id=str(wrong))).status_code == 401
    for malformed in (None, "x", 1):
        refused = await login(house, email, PASSWORD, org_id=malformed)
        assert (refused.status_code, set(refused.json()["errors"])) == (400, {"org_id"})


async def test_a_disabled_account_is_no_choice_but_is_403_where_it_is_chosen(house: House) -> None:
    email = address()
    gone, here = await hired(house, email, name="Gone"), await hired(house, email, name="Here")
    user = (await house.call(gone.admin, "GET", "/api/users?sort=created_at:desc")).json()["data"][0]
    await house.call(gone.admin, "DELETE", f"/api/users/{user['id']}")
    assert (await login(house, email, PASSWORD)).json()["user"]["org_id"] == str(here.org_id)
    assert (await login(house, email, PASSWORD, org_id=str(gone.org_id))).status_code == 403


@pytest.mark.parametrize("at_once", [1, 5])
async def test_somebodys_oldest_session_ends_when_they_have_too_many(house: House, at_once: int) -> None:
    email = address()
    agency = await hired(house, email)
    sessions: list[str] = []
    async with house.hearing(agency, "credential.revoked") as heard:
        while len(sessions) < MOST_SESSIONS + 5:
            answers = await asyncio.gather(*(login(house, email, PASSWORD) for _ in range(at_once)))
            sessions += [answer.json()["token"] for answer in answers]
        ended = {str((await heard(CredentialRevoked)).credential_id) for _ in range(5)}
    verified = [(await house.gateway.verify(session)).status_code for session in sessions]
    assert sorted(verified) == [200] * MOST_SESSIONS + [401] * 5
    if at_once == 1:
        assert verified == [401] * 5 + [200] * MOST_SESSIONS
    assert len(ended) == 5


async def test_a_password_that_is_set_again_as_it_was_changes_nothing(house: House) -> None:
    email = address()
    agency = await hired(house, email)
    session = (await login(house, email, PASSWORD)).json()["token"]
    user = (await house.call(agency.admin, "GET", "/api/users?sort=created_at:desc")).json()["data"][0]
    path = f"/api/users/{user['id']}"
    assert (await house.call(agency.admin, "PUT", path, json={"password": PASSWORD})).json() == user
    assert (await house.gateway.verify(session)).status_code == 200
    assert (await house.call(agency.admin, "PUT", path, json={"password": OTHER})).status_code == 200
    assert (await house.gateway.verify(session)).status_code == 401
    assert (await login(house, email, PASSWORD)).status_code == 401
    assert (await login(house, email, OTHER)).status_code == 200
