"""The identity service's rules, without any I/O."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from services.identity import views
from services.identity.model.credentials import (
    Session,
    check_token,
    hash_of,
    is_secret,
    new_secret,
    read_session,
    role_of_token,
    sign_session,
)
from services.identity.model.ensuring import DELETED, DISABLED, STAFF, reply_to_ensure
from services.identity.model.errors import TooManyFailures
from services.identity.model.people import Person, check_founding
from services.identity.model.throttle import Throttled, wait_seconds
from shared.contracts.identity import ClientEnsured, ClientState
from shared.errors import InvalidInput
from shared.ids import OrgId, new_id
from shared.web.actor import Role

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
CLIENT = ClientState(org_id=new_id(), id=new_id(), version=1, name_f="Jane", name_l="Roe", email="jane@roe.example")


def failures(count: int, *, seconds_ago: float) -> list[datetime]:
    return [AT - timedelta(seconds=seconds_ago)] * count


@pytest.mark.parametrize(
    ("kind", "failed_at", "wait"),
    [
        (Throttled.ACCOUNT, [], 0),
        (Throttled.ACCOUNT, failures(9, seconds_ago=1), 0),
        (Throttled.ACCOUNT, failures(10, seconds_ago=1), 59),
        (Throttled.ACCOUNT, failures(10, seconds_ago=60), 0),
        (Throttled.ACCOUNT, failures(5, seconds_ago=50) + failures(5, seconds_ago=1), 10),
        (Throttled.ACCOUNT, failures(5, seconds_ago=50) + failures(10, seconds_ago=1), 59),
        (Throttled.ADDRESS, failures(49, seconds_ago=1), 0),
        (Throttled.ADDRESS, failures(50, seconds_ago=30), 30),
    ],
)
def test_one_waits_until_the_oldest_failure_that_counts_is_a_minute_old(
    kind: Throttled, failed_at: list[datetime], wait: float
) -> None:
    assert wait_seconds(kind, failed_at, AT) == wait


def test_the_wait_is_told_in_whole_seconds_never_none() -> None:
    assert TooManyFailures(0.2).headers == {"retry-after": "1"}
    assert TooManyFailures(12.1).headers == {"retry-after": "13"}


def test_secrets_are_long_unlike_each_other_and_told_by_their_prefix() -> None:
    secret = new_secret()
    assert is_secret(secret)
    assert len(secret) >= len("serx_") + 43
    assert secret != new_secret()
    assert len(hash_of(secret)) == 32


def test_a_session_is_read_with_any_of_the_keys_and_no_other() -> None:
    session = Session(org_id=OrgId(new_id()), id=new_id(), expires_at=AT)
    old, new = "o" * 32, "n" * 32
    token = sign_session(session, old)
    assert read_session(token, (new, old)) == (session.org_id, session.id)
    assert read_session(token, (new,)) is None
    assert read_session("rubbish", (new, old)) is None


@pytest.mark.parametrize(
    ("token", "maker", "role"),
    [
        (Role.ADMIN, Role.ADMIN, Role.ADMIN),
        (Role.MEMBER, Role.ADMIN, Role.MEMBER),
        (Role.ADMIN, Role.MEMBER, Role.MEMBER),
        (Role.MEMBER, Role.MEMBER, Role.MEMBER),
    ],
)
def test_a_token_has_its_own_role_but_never_more_than_its_maker(token: Role, maker: Role, role: Role) -> None:
    assert role_of_token(token, maker) is role


def test_a_token_that_ends_now_has_ended() -> None:
    with pytest.raises(InvalidInput) as raised:
        check_token(role=Role.ADMIN, client_id=None, expires_at=AT, at=AT)
    assert set(raised.value.errors) == {"expires_at"}
    check_token(role=Role.CLIENT, client_id=new_id(), expires_at=AT + timedelta(seconds=1), at=AT)


@pytest.mark.parametrize(
    ("client", "cause"),
    [
        (None, STAFF),
        (msgspec.structs.replace(CLIENT, is_enabled=False), DISABLED),
        (msgspec.structs.replace(CLIENT, is_closed=True, is_deleted=True, is_enabled=False), DELETED),
    ],
)
def test_ensuring_is_refused_for_cause(client: ClientState | None, cause: str) -> None:
    reply = reply_to_ensure(client)
    assert (reply.outcome, reply.cause) == ("refused", cause)


def test_ensuring_answers_with_the_client_as_it_is() -> None:
    reply = reply_to_ensure(CLIENT)
    assert reply.outcome == "done"
    assert msgspec.json.decode(reply.result, type=ClientEnsured).client == CLIENT


def test_a_founding_that_cannot_be_names_everything() -> None:
    with pytest.raises(InvalidInput) as raised:
        check_founding(org_name=" ", email="ada", name_f="Ada", name_l="", password="short")
    assert set(raised.value.errors) == {"name", "admin_email", "admin_name", "password"}


def test_whole_hours_are_spelled_as_such() -> None:
    person = Person(
        org_id=OrgId(new_id()),
        org_name="Agency",
        id=new_id(),
        role=Role.ADMIN,
        name_f="Ada",
        name_l="Roe",
        email="ada@agency.example",
    )
    assert msgspec.to_builtins(views.login("t", 24.0, person))["expires_in_hours"] == 24
    assert isinstance(views.login("t", 24.0, person).expires_in_hours, int)
    assert views.login("t", 0.5, person).expires_in_hours == 0.5
