"""The sign flow's participants, played by the test: they hear commands and answer as they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.contracts.engagements import EngagementOpened
from shared.contracts.identity import ClientEnsured, ClientState
from shared.contracts.orders import OrderPlaced
from shared.contracts.reply import CANCELLED, Reply
from tests.support.commands import arrived
from tests.support.servers import Broker

Answer = Callable[[dict[str, Any]], Reply | None]


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def done(result: msgspec.Struct) -> Reply:
    return Reply(outcome="done", result=raw(result))


def refuses(cause: str) -> Answer:
    return lambda _: Reply(outcome="refused", cause=cause)


def is_silent(_: dict[str, Any]) -> None:
    return None


def ensures(command: dict[str, Any]) -> Reply:
    fields = {name: command[name] for name in ("org_id", "email", "name_f", "name_l")}
    return done(ClientEnsured(client=ClientState(**fields, id=command["client_id"], version=1)))


def opens(command: dict[str, Any]) -> Reply:
    projects = [raw({"id": project["id"], "name": project["name"]}) for project in command["projects"]]
    return done(EngagementOpened(engagement=raw({"id": command["engagement_id"]}), projects=projects))


def places(command: dict[str, Any]) -> Reply:
    return done(OrderPlaced(order=raw({"id": command["order_id"], "price": command["price"]})))


def cancels(_: dict[str, Any]) -> Reply:
    return CANCELLED


class Neighbours:
    """What each command is answered, by `<service>.<command>`; and what was heard, in order."""

    def __init__(self, connection: Client) -> None:
        self._connection = connection
        self.heard: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.subjects: list[str] = []
        self.answers: dict[str, Answer] = {
            "identity.ensure-client": ensures,
            "engagements.open": opens,
            "orders.place": places,
            "engagements.cancel": cancels,
            "orders.cancel": cancels,
        }
        self._news = asyncio.Condition()

    def commands(self, name: str) -> list[dict[str, Any]]:
        return [body for heard, body, _ in self.heard if heard == name]

    def message_ids(self, name: str) -> list[str]:
        return [headers["Nats-Msg-Id"] for heard, _, headers in self.heard if heard == name]

    async def hears(self, name: str, times: int = 1) -> None:
        """Wait until the command was heard so often."""
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: len(self.commands(name)) >= times)

    async def hear(self, message: Msg) -> None:
        name = message.subject.partition(".")[2]
        body, headers = msgspec.json.decode(message.data), dict(message.headers or {})
        reply = self.answers[name](body)
        if reply is not None:
            await self.answer(headers, reply)
        async with self._news:
            self.heard.append((name, body, headers))
            self.subjects.append(message.subject)
            self._news.notify_all()

    async def answer(self, headers: dict[str, str], reply: Reply) -> None:
        await self._connection.publish(headers["serx-reply-to"], msgspec.json.encode(reply))


@asynccontextmanager
async def played(broker: Broker, *, are_there: bool = True):
    """Neighbours that hear every command, until the block is left; only what a stream has, unless they `are_there`."""
    connection = await nats.connect(broker.operator)
    neighbours = Neighbours(connection)
    for subject in ("now.>", "cmd.>") if are_there else ("cmd.>",):
        await connection.subscribe(subject, cb=neighbours.hear)
    await arrived(connection)
    try:
        yield neighbours
    finally:
        await connection.close()
