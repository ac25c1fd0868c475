"""What may become of clients and members of staff, without any I/O."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from services.identity.model import clients, users
from services.identity.model.clients import Address, ClientChanges, Fate, NewClient, fate_of
from services.identity.model.errors import ClientIsClosing
from services.identity.model.people import ClientStage
from services.identity.model.users import NewUser, UserChanges
from shared.ids import OrgId, new_id
from shared.web.actor import Role

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = AT + timedelta(hours=1)
CLIENT = clients.made(
    NewClient(
        name_f="Jane",
        name_l="Roe",
        email="jane@roe.example",
        company="Roe Ltd",
        phone="1",
        tax_id="DE1",
        note="likes tea",
        address=Address(city="Berlin"),
        custom_fields=b'{"a":1}',
        is_enabled=True,
        password_hash="hash",
    ),
    org=OrgId(new_id()),
    id=new_id(),
    at=AT,
)
USER = users.made(
    NewUser(name_f="Ada", name_l="Roe", email="ada@agency.example", role=Role.ADMIN, password_hash="hash"),
    org=OrgId(new_id()),
    id=new_id(),
    at=AT,
)


@pytest.mark.parametrize(
    ("counts", "fate"),
    [
        ((0, 0), Fate.DELETED),
        ((0, 1), Fate.KEPT),
        ((2, None), Fate.KEPT),
        ((0, None), Fate.UNDECIDED),
        ((None, None), Fate.UNDECIDED),
    ],
)
def test_a_client_goes_only_when_every_owner_says_that_nothing_hangs_on_it(
    counts: tuple[int | None, ...], fate: Fate
) -> None:
    assert fate_of(counts) is fate


def test_every_step_of_the_way_out_is_a_new_version() -> None:
    closing = CLIENT.closing(LATER)
    assert (closing.version, closing.stage, closing.closing_at) == (2, ClientStage.CLOSING, LATER)
    assert (closing.state.is_closed, closing.state.is_deleted) == (True, False)
    assert closing.closing(LATER + timedelta(1)) is closing
    assert closing.reopened() == replace(CLIENT, version=3)
    deleted = closing.deleted(LATER)
    assert (deleted.version, deleted.state.is_closed, deleted.state.is_deleted) == (3, True, True)


def test_nothing_is_left_of_who_a_deleted_client_was() -> None:
    deleted = repr(CLIENT.closing(LATER).deleted(LATER))
    for word in ("Jane", "Roe", "roe.example", "Roe Ltd", "DE1", "tea", "Berlin", "hash='"):
        assert word not in deleted


def test_what_is_not_sent_stays_and_null_clears() -> None:
    changed = CLIENT.changed(ClientChanges(phone=None, name_f="Janet"), LATER)
    assert changed == replace(CLIENT, phone=None, name_f="Janet", version=2, updated_at=LATER)
    assert ClientChanges().company is UNSET
    with pytest.raises(ClientIsClosing):
        CLIENT.closing(LATER).changed(ClientChanges(phone="2"), LATER)


def test_disabling_and_another_password_end_sessions_and_nothing_else_does() -> None:
    for ending in (replace(CLIENT, is_enabled=False), replace(CLIENT, password_hash=None)):
        assert CLIENT.is_logged_out_by(ending)
    for other in (replace(CLIENT, name_f="Janet"), replace(CLIENT, email="x@y.example"), CLIENT):
        assert not CLIENT.is_logged_out_by(other)
    assert not replace(CLIENT, is_enabled=False).is_logged_out_by(CLIENT)


def test_gateways_care_for_names_emails_roles_and_whether_someone_is_enabled() -> None:
    for other in (replace(USER, role=Role.MEMBER), replace(USER, email="x@y.example"), USER.disabled(LATER)):
        assert not USER.acts_like(other)
    assert CLIENT.acts_like(replace(CLIENT, company=None, note=None, version=9))
    assert not CLIENT.acts_like(replace(CLIENT, name_l="Doe"))


def test_only_an_enabled_admin_administers() -> None:
    assert USER.administers
    assert not USER.disabled(LATER).administers
    assert not USER.changed(UserChanges(role=Role.MEMBER), LATER).administers
    disabled = USER.disabled(LATER)
    assert disabled.disabled(LATER) is disabled
