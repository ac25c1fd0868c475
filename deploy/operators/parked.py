"""The commands `serx parked …`: messages that a service could not handle, looked at, delivered again, dropped."""

from __future__ import annotations

import asyncio
import os
import re
from datetime import timedelta
from typing import Annotated, Final, Literal
from uuid import UUID

from cyclopts import App, Parameter

from deploy.failure import Failure
from deploy.operators import showing, site
from deploy.operators.messages import MessageView, view
from deploy.operators.options import AsJson, By, DataDir, Limit, OlderThan, Org, Reason, Service, before, who, why
from deploy.operators.site import Site
from services.proposals.domain import interventions
from services.proposals.model.interventions import Intervention
from shared import clock
from shared.errors import NotFound
from shared.ids import new_id
from shared.messaging import parking
from shared.messaging.envelope import MESSAGE_ID
from shared.messaging.parking import Parked, Settling
from shared.messaging.topology import SERVICES

app = App(name="parked", help="Messages that a service could not handle: look at them, deliver them again, drop them.")

Which = Literal["parked", "retried", "dropped", "all"]
Key = Annotated[str, Parameter(help="Key of the message, as `serx parked list` shows it.")]
_OF_FLOW = re.compile(r"(?P<saga>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(?P<step>[a-z]+(?:\.cancel)?)")
_ACTIONS: Final[dict[Which, list[Settling]]] = {
    "parked": [],
    "retried": ["retry"],
    "dropped": ["drop"],
    "all": ["retry", "drop"],
}
_MOST = 10_000


@app.command(name="list")
def list_(
    *,
    status: Annotated[Which, Parameter(help="Still parked, or what became of it by an operator.")] = "parked",
    older_than: OlderThan = None,
    org: Org = None,
    service: Service = None,
    limit: Limit = 50,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List parked messages of all services, oldest first; or what operators did to them."""
    found = asyncio.run(listed(site.found(data_dir, os.environ), status, older_than, org, service, limit))
    if as_json:
        showing.json(found)
        return
    columns = ("Key", "Service", "State", "Age", "Type", "Error")
    rows = [(v.key, v.service, v.status, showing.age(v.parked_at), v.type or "", v.error) for v in found]
    showing.table("Messages", columns, rows, empty=f"No message is {status}." if status != "all" else "There is none.")


@app.command
def show(key: Key, /, *, service: Service = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show one message: its headers, its body, its error; and what operators did to it."""
    found = asyncio.run(shown(site.found(data_dir, os.environ), key, service))
    if as_json:
        showing.json(found)
        return
    for each in found:
        showing.say(
            f"Key         {each.key}",
            f"Service     {each.service}",
            f"State       {each.status}",
            f"Subject     {each.subject}",
            f"Parked      {showing.moment(each.parked_at)} UTC, after {each.deliveries} deliveries",
            f"Error       {each.error}",
            *(f"Header      {name}: {value}" for name, value in each.headers.items()),
            f"Body        {each.body}",
        )
        if each.by is not None:
            showing.say(f"{each.status.capitalize():<11} {showing.moment(each.at)} UTC by {each.by}: {each.reason}")
        showing.say("")


@app.command
def retry(key: Key, /, *, reason: Reason, by: By = None, service: Service = None, data_dir: DataDir = None) -> None:
    """Deliver a parked message again; a flow that waits for it is due now. If it fails again, it is parked again.

    An event goes to all who hear it, as it did the first time: each knows what it has seen.
    """
    done = _intervention(by, reason, "retry_parked")
    where = asyncio.run(settled(site.found(data_dir, os.environ), key, service, done))
    showing.say(f"Delivered to {where} again. If it fails again, it comes back: serx parked show {key}")


@app.command
def drop(key: Key, /, *, reason: Reason, by: By = None, service: Service = None, data_dir: DataDir = None) -> None:
    """Take a parked message out for good. What it was is kept, with who, when and why.

    A flow that waits for it goes on waiting: retry or cancel it with `serx sagas`.
    """
    done = _intervention(by, reason, "drop_parked")
    where = asyncio.run(settled(site.found(data_dir, os.environ), key, service, done))
    showing.say(f"Dropped from {where}. It is kept for the record: serx parked show {key}")


async def listed(
    installation: Site,
    status: Which,
    older_than: timedelta | None = None,
    org: UUID | None = None,
    service: str | None = None,
    limit: int = 50,
) -> list[MessageView]:
    """Messages of one service or all, oldest first."""
    found: list[MessageView] = []
    actions = _ACTIONS[status]
    for name in [service] if service else SERVICES:
        async with installation.database(name) as database, database.transaction_across_organisations() as tx:
            if status in ("parked", "all"):
                found += [view(name, each) for each in await parking.parked(tx, before=before(older_than), limit=_MOST)]
            if actions:
                over = await parking.settled(tx, actions, before=before(older_than), limit=_MOST)
                found += [view(name, each) for each in over]
    chosen = [each for each in found if org is None or each.org_id == str(org)]
    return sorted(chosen, key=lambda each: each.parked_at)[:limit]


async def shown(installation: Site, key: str, service: str | None) -> list[MessageView]:
    """The message wherever it is parked or was. Raises Failure when nobody knows it."""
    found: list[MessageView] = []
    for name in [service] if service else SERVICES:
        async with installation.database(name) as database, database.transaction_across_organisations() as tx:
            found += [view(name, each) for each in await parking.settled_of(tx, key)]
            if (parked := await parking.find(tx, key)) is not None:
                found.append(view(name, parked))
    if not found:
        raise Failure(f"No message with the key {key} is parked{f' in {service}' if service else ''}, or ever was.")
    return found


async def settled(installation: Site, key: str, service: str | None, done: Intervention) -> str:
    """Deliver the message again or drop it; returns the service that had parked it. Raises Failure."""
    name, message = await _the_one(installation, key, service)
    await _tell_flow(installation, message, done)
    action: Settling = "retry" if done.action == "retry_parked" else "drop"
    async with installation.database(name) as database, database.transaction_across_organisations() as tx:
        if not await parking.settle(tx, key, action, actor=done.actor, reason=done.reason, at=done.at):
            raise Failure(f"Somebody else has settled {key} meanwhile.")
        if action == "retry":
            # Within the transaction: should it be parked once more, that waits until this row is gone.
            await _deliver(installation, message)
    return name


async def _the_one(installation: Site, key: str, service: str | None) -> tuple[str, Parked]:
    found: list[tuple[str, Parked]] = []
    for name in [service] if service else SERVICES:
        async with installation.database(name) as database, database.transaction_across_organisations() as tx:
            if (message := await parking.find(tx, key)) is not None:
                found.append((name, message))
    if not found:
        raise Failure(f"No message with the key {key} is parked{f' in {service}' if service else ''}.")
    if len(found) > 1:
        raise Failure(f"The message is parked in {' and '.join(n for n, _ in found)}: say which with --service.")
    return found[0]


async def _tell_flow(installation: Site, message: Parked, done: Intervention) -> None:
    """A command of a flow: the flow is due now, and its report says what was done. Raises Failure if it may not be."""
    of_flow = _OF_FLOW.fullmatch(message.key) if message.subject.startswith("cmd.") else None
    if of_flow is None:
        return
    saga, step = UUID(of_flow["saga"]), of_flow["step"]
    async with installation.database("proposals") as database, database.transaction_across_organisations() as tx:
        try:
            if done.action == "retry_parked":
                await interventions.retry_parked(tx, saga, step, done)
            else:
                await interventions.drop_parked(tx, saga, step, done)
        except NotFound:  # a command that no flow of ours has sent
            return


async def _deliver(installation: Site, message: Parked) -> None:
    # A message id of its own: the stream would swallow it under one that it has seen.
    headers = {**message.headers, MESSAGE_ID: f"{message.key[:200]}.retry.{new_id()}"}
    async with installation.stream() as stream:
        await stream.publish(message.subject, message.body, headers=headers)


def _intervention(by: str | None, reason: str, action: Literal["retry_parked", "drop_parked"]) -> Intervention:
    return Intervention(action=action, actor=who(by), reason=why(reason), at=clock.now())
