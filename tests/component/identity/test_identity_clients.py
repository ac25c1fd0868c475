"""The sign flow's command `ensure-client`, and the question who a client is."""

from __future__ import annotations

import asyncio
from uuid import UUID

import msgspec
import pytest
from nats.aio.client import Client

from shared import clock
from shared.contracts.identity import Billing, ClientEnsured, ClientQuestion, ClientState, EnsureClient
from shared.contracts.reply import Reply
from shared.database import Database
from shared.ids import new_id
from shared.messaging.envelope import Envelope
from tests.component.identity.people import Agency, Gateway, add_client, found
from tests.support.commands import arrived
from tests.support.servers import until


def wanted(agency: Agency, *, email: str = "jane@roe.example", client_id: UUID | None = None) -> EnsureClient:
    return EnsureClient(
        org_id=agency.org_id,
        client_id=client_id or new_id(),
        event_id=new_id(),
        email=email,
        name_f="Jane",
        name_l="Roe",
        company="Roe Ltd",
        at=clock.now(),
    )


async def deliver(nats: Client, *commands: EnsureClient, key: str = "") -> list[Reply]:
    """What the service replies to the commands, sent at once."""
    inbox = f"rep.identity.test.{new_id()}.ensure-client"
    heard = await nats.subscribe(inbox)
    for command in commands:
        envelope = Envelope(
            id=str(new_id()),
            type="identity.ensure-client.v1",
            source="proposals",
            time="2026-01-01T00:00:00Z",
            key=key or str(new_id()),
            reply_to=inbox,
        )
        await nats.jetstream().publish(
            "cmd.identity.ensure-client", msgspec.json.encode(command), headers=envelope.headers()
        )
    replies = [msgspec.json.decode((await heard.next_msg(timeout=5)).data, type=Reply) for _ in commands]
    await heard.unsubscribe()
    return replies


def client_in(reply: Reply) -> ClientState:
    assert reply.outcome == "done", reply
    return msgspec.json.decode(reply.result, type=ClientEnsured).client


async def count(database: Database, agency: Agency) -> int:
    async with database.transaction(agency.org_id) as tx:
        return await tx.value("select count(*) from clients where org_id = $1", agency.org_id)


async def test_a_new_client_gets_the_given_id_and_is_told_to_all(
    database: Database, identity: Gateway, nats: Client
) -> None:
    agency = await found(database)
    heard = await nats.subscribe(f"evt.{agency.org_id}.client.changed")
    await arrived(nats)
    command = wanted(agency)
    [reply] = await deliver(nats, command)
    expected = ClientState(
        org_id=agency.org_id,
        id=command.client_id,
        version=1,
        name_f="Jane",
        name_l="Roe",
        email="jane@roe.example",
        company="Roe Ltd",
        billing=Billing(),
    )
    assert client_in(reply) == expected
    message = await heard.next_msg(timeout=5)
    assert message.headers is not None
    assert (message.headers["ce-id"], message.headers["ce-type"]) == (str(command.event_id), "client.changed.v1")
    assert msgspec.json.decode(message.data, type=ClientState) == expected


async def test_a_known_client_is_returned_as_it_is_whatever_the_casing(
    database: Database, identity: Gateway, nats: Client
) -> None:
    agency = await found(database)
    client = await add_client(database, agency.org_id, email="Jane@Roe.example")
    [reply] = await deliver(nats, wanted(agency, email="JANE@roe.EXAMPLE"))
    state = client_in(reply)
    assert (state.id, state.email, state.company) == (client, "Jane@Roe.example", "Customer Ltd")
    assert await _said(database) == 0


async def test_a_duplicate_gets_the_same_reply_and_says_nothing_more(
    database: Database, identity: Gateway, nats: Client
) -> None:
    agency = await found(database)
    command = wanted(agency)
    first, second = await deliver(nats, command, command, key="saga.ensure-client")
    assert client_in(first) == client_in(second)
    assert await count(database, agency) == 1
    assert await _said(database) == 1


async def test_a_duplicate_finds_its_client_under_another_email(
    database: Database, identity: Gateway, nats: Client
) -> None:
    agency = await found(database)
    command = wanted(agency)
    await deliver(nats, command)
    async with database.transaction(agency.org_id) as tx:
        await tx.run("update clients set email = 'moved@roe.example', version = 2")
    [reply] = await deliver(nats, command)
    assert (client_in(reply).id, client_in(reply).email) == (command.client_id, "moved@roe.example")
    assert await count(database, agency) == 1


async def test_many_flows_at_once_make_one_client(database: Database, identity: Gateway, nats: Client) -> None:
    agency = await found(database)
    replies = await deliver(nats, *(wanted(agency) for _ in range(20)))
    assert len({client_in(reply).id for reply in replies}) == 1
    assert await count(database, agency) == 1
    assert await _said(database) == 1


async def test_organisations_have_clients_of_their_own_with_one_email(
    database: Database, identity: Gateway, nats: Client
) -> None:
    one, other = await found(database), await found(database, email="eve@other.example")
    replies = await deliver(nats, wanted(one), wanted(other))
    assert len({client_in(reply).id for reply in replies}) == 2


async def test_a_client_who_may_not_sign_is_refused(database: Database, identity: Gateway, nats: Client) -> None:
    agency = await found(database)
    await add_client(database, agency.org_id, email="jane@roe.example", is_enabled=False)
    [reply] = await deliver(nats, wanted(agency, email="Jane@roe.example"))
    assert (reply.outcome, reply.cause) == ("refused", "The e-mail belongs to a client who is disabled.")


@pytest.mark.parametrize("is_bound", [True, False])
@pytest.mark.parametrize("stage", ["open", "deleted"])
async def test_a_client_who_is_only_closing_is_waited_for(
    database: Database, identity: Gateway, nats: Client, stage: str, *, is_bound: bool
) -> None:
    agency = await found(database)
    client = await add_client(database, agency.org_id, email="jane@roe.example", stage="closing")
    command = wanted(agency, client_id=client if is_bound else None)
    asking = asyncio.create_task(deliver(nats, msgspec.structs.replace(command, is_bound=is_bound)))
    await put_off(nats)
    assert not asking.done()
    async with database.transaction(agency.org_id) as tx:
        change = "stage = $2, closing_at = null, email = case $2 when 'open' then email else 'x@deleted.invalid' end"
        await tx.run(f"update clients set {change} where id = $1", client, stage)
    [reply] = await asking
    if stage == "open":
        assert client_in(reply).id == client
    elif is_bound:
        assert (reply.outcome, reply.cause) == ("refused", "The client was deleted.")
    else:
        assert client_in(reply).id == command.client_id


async def test_a_bound_client_is_answered_by_id_or_refused(database: Database, identity: Gateway, nats: Client) -> None:
    """Whatever address they have now, and whoever has theirs; nobody is made."""
    agency = await found(database)
    moved = await add_client(database, agency.org_id, email="moved@roe.example")
    disabled = await add_client(database, agency.org_id, email="off@roe.example", is_enabled=False)
    await add_client(database, agency.org_id, email="jane@roe.example")
    commands = [
        msgspec.structs.replace(wanted(agency, client_id=client), is_bound=True)
        for client in (moved, disabled, new_id())
    ]
    done, *refused = [(await deliver(nats, command))[0] for command in commands]
    assert client_in(done).id == moved
    assert [reply.cause for reply in refused] == [
        "The e-mail belongs to a client who is disabled.",
        "The client was deleted.",
    ]
    async with database.transaction(agency.org_id) as tx:
        assert await tx.value("select count(*) from clients") == 3


async def put_off(nats: Client) -> None:
    """Wait until the service has had the only command of the stream, and given it back."""

    async def is_given_back() -> bool:
        return bool((await nats.jetstream().consumer_info("COMMANDS", "identity")).num_redelivered)

    await until(is_given_back)


@pytest.mark.parametrize("is_enabled", [True, False])
async def test_the_email_of_staff_is_refused(
    database: Database, identity: Gateway, nats: Client, *, is_enabled: bool
) -> None:
    agency = await found(database)
    async with database.transaction(agency.org_id) as tx:
        await tx.run("update users set is_enabled = $1", is_enabled)
    [reply] = await deliver(nats, wanted(agency, email="ADA@agency.example"))
    assert (reply.outcome, reply.cause) == ("refused", "The e-mail belongs to a member of staff.")
    assert await count(database, agency) == 0


async def test_a_deleted_client_frees_the_email_but_is_not_raised_from_the_dead(
    database: Database, identity: Gateway, nats: Client
) -> None:
    agency = await found(database)
    command = wanted(agency)
    await deliver(nats, command)
    async with database.transaction(agency.org_id) as tx:
        await tx.run("update clients set stage = 'deleted', version = 2")
    [late] = await deliver(nats, command)
    assert (late.outcome, late.cause) == ("refused", "The client was deleted.")
    [fresh] = await deliver(nats, wanted(agency))
    assert client_in(fresh).id != command.client_id


async def test_who_a_client_is_can_be_asked(database: Database, identity: Gateway, nats: Client) -> None:
    agency = await found(database)
    other = await found(database, email="eve@other.example")
    client = await add_client(database, agency.org_id)

    async def ask(org: UUID, client: UUID) -> ClientState | None:
        question = msgspec.json.encode(ClientQuestion(org_id=org, id=client))
        answer = await nats.request("ask.identity.client", question, timeout=5)
        return msgspec.json.decode(answer.data, type=ClientState | None)

    told = await ask(agency.org_id, client)
    assert told is not None
    assert (told.id, told.name, told.version, told.is_enabled) == (client, "Jane Doe", 1, True)
    assert await ask(agency.org_id, new_id()) is None
    assert await ask(other.org_id, client) is None


async def test_a_question_that_cannot_be_read_harms_nobody(database: Database, identity: Gateway, nats: Client) -> None:
    agency = await found(database)
    await nats.publish("ask.identity.client", b"{broken")
    question = msgspec.json.encode(ClientQuestion(org_id=agency.org_id, id=new_id()))
    assert (await nats.request("ask.identity.client", question, timeout=5)).data == b"null"


async def test_a_command_that_cannot_be_read_is_parked_and_says_so(
    database: Database, identity: Gateway, nats: Client
) -> None:
    agency = await found(database)
    inbox = f"rep.identity.test.{new_id()}.unreadable"
    heard = await nats.subscribe(inbox)
    envelope = Envelope(
        id="1", type="identity.ensure-client.v9", source="proposals", time="2026-01-01T00:00:00Z", reply_to=inbox
    )
    await nats.jetstream().publish("cmd.identity.ensure-client", b"{}", headers=envelope.headers())
    reply = msgspec.json.decode((await heard.next_msg(timeout=5)).data, type=Reply)
    assert reply.outcome == "parked"
    [after] = await deliver(nats, wanted(agency))
    assert client_in(after).version == 1


async def _said(database: Database) -> int:
    """How many events of clients were written, once every event is published."""

    async def all_published() -> bool:
        async with database.transaction_across_organisations() as tx:
            return not await tx.value("select count(*) from outbox where published_at is null")

    await until(all_published)
    async with database.transaction_across_organisations() as tx:
        return await tx.value("select count(*) from outbox where type like 'client.%'")
