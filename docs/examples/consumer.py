"""Hears of signed proposals and writes an invoice for each, once. Needs Python 3.11 and `pip install nats-py[nkeys]`.

Run it with the URL that `serx listeners add billing --hears proposal.signed` prints, or that
`serx secrets DIR --listener billing=proposal.signed` made: `consumer.py URL invoices.db`
"""

import asyncio
import json
import sqlite3
import sys
from urllib.parse import urlsplit

import nats


async def listen(url: str, database: sqlite3.Connection, name: str = "listener-billing") -> None:
    places = [urlsplit(each) for each in url.split(",")]  # nats://SEED@HOST:PORT of each server
    broker = await nats.connect(
        [f"nats://{place.hostname}:{place.port}" for place in places],
        nkeys_seed_str=places[0].netloc.partition("@")[0],
        inbox_prefix=f"_INBOX_{name}",
        max_reconnect_attempts=-1,  # the broker may be away for as long as it likes
        error_cb=complain,
    )
    events = await broker.jetstream().pull_subscribe_bind(name, "EVENTS")
    while True:
        try:
            messages = await events.fetch(50, timeout=5)
        except nats.errors.TimeoutError:
            continue  # nothing happened, or the broker was away and forgot that it was asked
        for message in messages:
            with database:  # the id and the work in one transaction, the ack after its commit
                if database.execute("insert or ignore into seen values (?)", [message.headers["ce-id"]]).rowcount:
                    handle(message.headers["ce-type"], json.loads(message.data), database)
            await message.ack()


async def complain(error: Exception) -> None:
    print(f"broker: {error!r}", file=sys.stderr, flush=True)


def handle(kind: str, event: dict, database: sqlite3.Connection) -> None:
    """A listener hears what it was made for, perhaps more than it acts on: the type says what an event carries."""
    if kind == "proposal.signed.v1":
        database.execute("insert into invoices values (?, ?)", [event["id"], event["total"]])
        print(f"invoiced {event['total']} for the proposal {event['id']}", flush=True)


invoices = sqlite3.connect(sys.argv[2])
invoices.execute("create table if not exists seen (id primary key)")
invoices.execute("create table if not exists invoices (proposal, total)")
asyncio.run(listen(sys.argv[1], invoices))
