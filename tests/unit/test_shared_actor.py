"""Who is asking: the gateway's signed identity, and what a service does not take for one."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import msgspec
import pytest

from gateway.credentials import SIGNED_FOR
from shared import clock
from shared.errors import Forbidden
from shared.ids import new_id
from shared.web.actor import (
    CLOCK_SKEW,
    LIFETIME,
    UntrustedIdentity,
    expiry_of,
    require_admin,
    require_staff,
    sign_gateway,
    sign_identity,
    verify_gateway,
    verify_identity,
)
from shared.web.trust import REMEMBERED, Trust
from tests.support import actors

KEY, OLD_KEY, FOREIGN_KEY = ("key".ljust(32, filler) for filler in "abc")
ADMIN = actors.admin()
GATEWAY: dict[str, Any] = {"audience": "orders", "keys": [KEY]}


def signed(audience: str = "orders", key: str = KEY, at: datetime | None = None) -> str:
    return sign_identity(ADMIN, audience=audience, key=key, at=at or clock.now())


def verified(token: str, *keys: str):
    return verify_identity(token, audience="orders", keys=keys or (KEY,), at=clock.now())


def forged(algorithm: str = "HS256", key: str = KEY, **claims: Any) -> str:
    """A token with the claims of a good one, but for these; None leaves one out."""
    good = msgspec.to_builtins(ADMIN) | {"aud": "orders", "iss": "gateway", "exp": clock.now() + LIFETIME}
    return jwt.encode({k: v for k, v in (good | claims).items() if v is not None}, key, algorithm=algorithm)


def test_the_service_that_it_is_meant_for_sees_who_is_asking():
    assert verified(signed()) == ADMIN


def test_another_service_does_not_take_it():
    with pytest.raises(UntrustedIdentity, match="InvalidAudience"):
        verified(signed(audience="engagements"))


def test_it_expires_within_half_a_minute():
    assert timedelta(seconds=30) >= LIFETIME
    with pytest.raises(UntrustedIdentity, match="expired"):
        verified(signed(at=clock.now() - LIFETIME - timedelta(seconds=1)))


def test_a_key_that_the_service_does_not_hold_signs_nothing():
    with pytest.raises(UntrustedIdentity, match="signature"):
        verified(signed(key=FOREIGN_KEY))


def test_keys_are_rotated_by_accepting_both():
    assert verified(signed(key=OLD_KEY), KEY, OLD_KEY) == verified(signed(key=KEY), OLD_KEY, KEY) == ADMIN


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": None},
        {"iss": None},
        {"iss": "somebody"},
        {"aud": None},
        {"org_id": None},
        {"org_id": "x"},
        {"id": None},
        {"role": "owner"},
        {"role": None},
        {"nbf": datetime(2100, 1, 1, tzinfo=UTC)},
    ],
)
def test_a_token_with_other_claims_is_not_taken(claims: dict[str, Any]):
    with pytest.raises(UntrustedIdentity):
        verified(forged(**claims))


@pytest.mark.parametrize("ahead_seconds", [-19, -5, 0, 5, 19])
def test_clocks_may_differ_by_less_than_twenty_seconds(ahead_seconds: float):
    """An identity is used again for 10 s after it was signed."""
    for age in (timedelta(0), SIGNED_FOR):
        at = clock.now() + timedelta(seconds=ahead_seconds) - age
        assert verified(signed(at=at)) == ADMIN
        verify_gateway(sign_gateway(audience="orders", key=KEY, at=at), **GATEWAY, at=clock.now())


SECOND = timedelta(seconds=1)
YEARS = timedelta(days=3650)


@pytest.mark.parametrize(
    ("signed_ago", "lives", "reason"),
    [
        (0 * SECOND, YEARS, "too long"),
        (0 * SECOND, LIFETIME + CLOCK_SKEW + 2 * SECOND, "too long"),
        (YEARS, YEARS + LIFETIME, "too long"),
        (-YEARS, LIFETIME, "future"),
        (-CLOCK_SKEW - 2 * SECOND, LIFETIME, "future"),
        (LIFETIME + SECOND, LIFETIME, "expired"),
    ],
)
def test_an_identity_is_good_for_half_a_minute_whoever_has_signed_it(
    signed_ago: timedelta, lives: timedelta, reason: str
):
    signed_at = clock.now() - signed_ago
    token = forged(iat=signed_at, exp=signed_at + lives)
    with pytest.raises(UntrustedIdentity, match=reason):
        verified(token)
    with pytest.raises(UntrustedIdentity, match=reason):
        verify_gateway(forged(sub="gateway", iat=signed_at, exp=signed_at + lives), **GATEWAY, at=clock.now())


def test_an_identity_that_does_not_say_when_it_was_signed_is_bounded_by_its_end():
    assert verified(forged(exp=clock.now() + LIFETIME)) == ADMIN
    with pytest.raises(UntrustedIdentity, match="future"):
        verified(forged(exp=clock.now() + LIFETIME + CLOCK_SKEW + 2 * SECOND))


@pytest.mark.parametrize("ahead", [0 * SECOND, SECOND, CLOCK_SKEW - SECOND])
def test_a_gateway_whose_clock_is_a_little_ahead_is_believed(ahead: timedelta):
    assert verified(signed(at=clock.now() + ahead)) == ADMIN


@pytest.mark.parametrize("exp", ["x", [], {}, True, float("nan"), 10**400, -1, 0])
def test_times_that_are_none_are_not_taken(exp: Any):
    with pytest.raises(UntrustedIdentity):
        verified(forged(exp=exp))
    if not isinstance(exp, int) or exp > 1:
        with pytest.raises(UntrustedIdentity):
            verified(forged(iat=exp))


def test_the_algorithm_none_is_not_taken():
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
    body = signed().split(".")[1]
    for token in (f"{header}.{body}.", f"{header}.{body}.{signed().split('.')[2]}"):
        with pytest.raises(UntrustedIdentity):
            verified(token)


def test_another_algorithm_is_not_taken():
    with pytest.raises(UntrustedIdentity, match="Algorithm"):
        verified(forged(algorithm="HS384", key=KEY * 2), KEY * 2)


@pytest.mark.parametrize("token", ["", "x", "a.b", "a.b.c", "....", "é.é.é", "serx_token", "Bearer x"])
def test_rubbish_is_not_taken(token: str):
    with pytest.raises(UntrustedIdentity):
        verified(token)


def test_a_token_with_another_body_is_not_taken():
    header, _, signature = signed().split(".")
    other = forged(role="member").split(".")[1]
    with pytest.raises(UntrustedIdentity, match="signature"):
        verified(f"{header}.{other}.{signature}")


def test_the_gateways_own_identity_is_nobodys_and_a_persons_is_not_the_gateways():
    own = sign_gateway(audience="orders", key=KEY, at=clock.now())
    verify_gateway(own, audience="orders", keys=[OLD_KEY, KEY], at=clock.now())
    with pytest.raises(UntrustedIdentity):
        verified(own)
    with pytest.raises(UntrustedIdentity):
        verify_gateway(signed(), audience="orders", keys=[KEY], at=clock.now())
    with pytest.raises(UntrustedIdentity):
        verify_gateway(own, audience="identity", keys=[KEY], at=clock.now())
    with pytest.raises(UntrustedIdentity):
        verify_gateway(own, audience="orders", keys=[FOREIGN_KEY], at=clock.now())


def test_a_remembered_identity_is_forgotten_when_it_expires():
    trust, token = Trust("orders", [KEY]), signed()
    assert trust.actor_of(token, at=clock.now()) == trust.actor_of(token, at=clock.now()) == ADMIN
    with pytest.raises(UntrustedIdentity, match="expired"):
        trust.actor_of(token, at=expiry_of(token))


def test_an_identity_is_verified_before_it_is_remembered():
    trust = Trust("orders", [KEY])
    for token in (signed(key=FOREIGN_KEY), signed(audience="identity")):
        for _ in range(2):
            with pytest.raises(UntrustedIdentity):
                trust.actor_of(token, at=clock.now())


def test_no_more_identities_are_remembered_than_fit():
    trust, at = Trust("orders", [KEY]), clock.now()
    for number in range(REMEMBERED + 10):
        trust.actor_of(forged(name=str(number)), at=at)
    assert len(trust._known) == REMEMBERED


def test_roles_may_do_what_they_may():
    client = actors.client(new_id())
    member = msgspec.structs.replace(ADMIN, role="member")
    require_admin(ADMIN)
    require_staff(ADMIN)
    require_staff(member)
    for rule, actor in ((require_staff, client), (require_admin, client), (require_admin, member)):
        with pytest.raises(Forbidden):
            rule(actor)


def test_only_a_client_has_a_client_id():
    client = actors.client(new_id())
    assert (client.client_id, client.is_staff) == (client.id, False)
    assert (ADMIN.client_id, ADMIN.is_staff) == (None, True)
