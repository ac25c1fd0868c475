"""Logging in, who am I, logging out."""

from __future__ import annotations

import asyncio
import time

import pytest

from shared.database import Database
from tests.component.identity.conftest import Start
from tests.component.identity.people import PASSWORD, Gateway, add_client, found, set_enabled


async def test_staff_log_in_and_get_a_session_and_their_user_object(database: Database, identity: Gateway) -> None:
    agency = await found(database)
    answer = await identity.login("Ada@Agency.example", PASSWORD)
    assert answer.status_code == 200
    body = answer.json()
    assert {key: body[key] for key in ("token_type", "expires_in_hours")} == {
        "token_type": "bearer",
        "expires_in_hours": 24,
    }
    assert body["user"] == {
        "id": str(agency.founding.user_id),
        "email": "ada@agency.example",
        "name_f": "Ada",
        "name_l": "Roe",
        "name": "Ada Roe",
        "company": None,
        "phone": None,
        "org_id": str(agency.org_id),
        "org_name": "Agency",
        "role": "admin",
    }
    verified = (await identity.verify(body["token"])).json()
    assert verified["actor"]["id"] == body["user"]["id"]
    assert verified["expires_at"].endswith("Z")


async def test_a_client_logs_in_and_sees_their_company(database: Database, identity: Gateway) -> None:
    agency = await found(database)
    client = await add_client(database, agency.org_id)
    user = (await identity.login("jane@customer.example", PASSWORD)).json()["user"]
    assert (user["id"], user["role"], user["company"]) == (str(client), "client", "Customer Ltd")


@pytest.mark.parametrize(("email", "password"), [("ada@agency.example", "wrong"), ("nobody@agency.example", PASSWORD)])
async def test_a_wrong_pair_is_401_whichever_half_is_wrong(
    database: Database, identity: Gateway, email: str, password: str
) -> None:
    await found(database)
    answer = await identity.login(email, password)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["detail"] == "The e-mail or the password is wrong."


async def test_an_unknown_email_takes_as_long_as_a_wrong_password(database: Database, identity: Gateway) -> None:
    await found(database)

    async def seconds(email: str) -> float:
        # Of this process and its threads, where the hashing happens: other load on the machine does not count.
        begun = time.process_time()
        await identity.login(email, "wrong")
        return time.process_time() - begun

    pairs = [(await seconds("ada@agency.example"), await seconds("nobody@agency.example")) for _ in range(9)]
    known, unknown = (min(times) for times in zip(*pairs, strict=True))
    assert 0.67 < known / unknown < 1.5


@pytest.mark.parametrize("table", ["users", "organisations"])
async def test_a_disabled_account_is_403_only_with_the_right_password(
    database: Database, identity: Gateway, table: str
) -> None:
    agency = await found(database)
    await set_enabled(database, table, agency.org_id, is_enabled=False)
    assert (await identity.login("ada@agency.example", "wrong")).status_code == 401
    assert (await identity.login("ada@agency.example", PASSWORD)).status_code == 403


async def test_a_client_about_to_be_deleted_is_403(database: Database, identity: Gateway) -> None:
    agency = await found(database)
    await add_client(database, agency.org_id, stage="closing")
    assert (await identity.login("jane@customer.example", PASSWORD)).status_code == 403


async def test_a_client_without_a_password_cannot_log_in(database: Database, identity: Gateway) -> None:
    agency = await found(database)
    await add_client(database, agency.org_id, password_hash=None)
    assert (await identity.login("jane@customer.example", PASSWORD)).status_code == 401


async def test_a_disabled_account_does_not_hide_an_enabled_one_with_the_same_email(
    database: Database, identity: Gateway
) -> None:
    gone = await found(database, name="Gone")
    await set_enabled(database, "organisations", gone.org_id, is_enabled=False)
    here = await found(database, name="Here")
    answer = await identity.login("ada@agency.example", PASSWORD)
    assert answer.json()["user"]["org_id"] == str(here.org_id)


async def test_the_eleventh_failure_of_a_minute_is_429_even_with_the_right_password(
    database: Database, identity: Gateway
) -> None:
    await found(database)
    statuses = [
        (await identity.login("ada@agency.example", "wrong", address=f"192.0.2.{n}")).status_code for n in range(10)
    ]
    assert statuses == [401] * 10
    answer = await identity.login("ADA@agency.example", PASSWORD, address="192.0.2.99")
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60


async def test_concurrent_failures_on_two_replicas_are_counted_exactly(database: Database, start: Start) -> None:
    await found(database)
    replicas = [await start(), await start()]
    answers = await asyncio.gather(*(replicas[n % 2].login("ada@agency.example", "wrong") for n in range(24)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [401] * 10 + [429] * 14
    assert all(answer.headers["retry-after"] for answer in answers if answer.status_code == 429)


async def test_an_address_may_fail_fifty_times_a_minute_over_all_accounts(
    database: Database, identity: Gateway
) -> None:
    await found(database)
    for n in range(50):
        assert (await identity.login(f"nobody{n}@agency.example", "wrong")).status_code == 401
    assert (await identity.login("ada@agency.example", PASSWORD)).status_code == 429
    assert (await identity.login("ada@agency.example", PASSWORD, address="198.51.100.7")).status_code == 200


async def test_many_logins_that_succeed_at_once_are_not_throttled(database: Database, identity: Gateway) -> None:
    await found(database)
    answers = await asyncio.gather(*(identity.login("ada@agency.example", PASSWORD) for _ in range(15)))
    assert {answer.status_code for answer in answers} == {200}


async def test_failures_older_than_a_minute_no_longer_count(database: Database, identity: Gateway) -> None:
    await found(database)
    for _ in range(10):
        await identity.login("ada@agency.example", "wrong")
    async with database.transaction_across_organisations() as tx:
        await tx.run(
            "update login_attempts set failed_at = array(select f - interval '61 seconds' from unnest(failed_at) f)"
        )
    assert (await identity.login("ada@agency.example", PASSWORD)).status_code == 200


async def test_a_bad_login_body_names_every_field(identity: Gateway) -> None:
    answer = await identity.plain("POST", "/api/auth/login", json={"email": 1, "remember": True})
    assert answer.status_code == 400
    assert set(answer.json()["errors"]) == {"email", "password", "remember"}
    assert answer.headers["content-type"] == "application/problem+json"


async def test_logging_out_ends_the_session_and_tells_it(database: Database, identity: Gateway) -> None:
    agency = await found(database)
    token = (await identity.login("ada@agency.example", PASSWORD)).json()["token"]
    assert (await identity.call(agency.admin, "POST", "/api/auth/logout", bearer=token)).status_code == 204
    assert (await identity.verify(token)).status_code == 401
    assert (await identity.call(agency.admin, "POST", "/api/auth/logout", bearer=token)).status_code == 204


async def test_logging_out_leaves_an_api_token_and_other_sessions_alone(database: Database, identity: Gateway) -> None:
    agency = await found(database)
    other = (await identity.login("ada@agency.example", PASSWORD)).json()["token"]
    for bearer in (agency.founding.secret, "", "rubbish"):
        answer = await identity.call(agency.admin, "POST", "/api/auth/logout", bearer=bearer)
        assert answer.status_code == 204
    assert (await identity.verify(agency.founding.secret)).status_code == 200
    assert (await identity.verify(other)).status_code == 200


async def test_nobody_ends_the_session_of_another(database: Database, identity: Gateway) -> None:
    agency = await found(database)
    client = await add_client(database, agency.org_id)
    token = (await identity.login("ada@agency.example", PASSWORD)).json()["token"]
    await identity.call(agency.client(client), "POST", "/api/auth/logout", bearer=token)
    assert (await identity.verify(token)).status_code == 200


async def test_me_is_the_user_object_in_the_role_of_the_credential(database: Database, identity: Gateway) -> None:
    agency = await found(database)
    client = await add_client(database, agency.org_id)
    staff = (await identity.call(agency.admin, "GET", "/api/auth/me")).json()
    assert (staff["name"], staff["org_name"], staff["role"]) == ("Ada Roe", "Agency", "admin")
    customer = (await identity.call(agency.client(client), "GET", "/api/auth/me")).json()
    assert (customer["id"], customer["role"], customer["company"]) == (str(client), "client", "Customer Ltd")


async def test_without_the_gateways_identity_nothing_is_answered(identity: Gateway) -> None:
    for method, path in (("GET", "/api/auth/me"), ("POST", "/api/auth/logout"), ("GET", "/api/tokens")):
        assert (await identity.plain(method, path)).status_code == 401
