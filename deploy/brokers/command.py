"""The commands `serx brokers …`: the servers of a NATS cluster, by its system account."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final

import nats.errors
from cyclopts import App, Parameter

from deploy.brokers.cluster import ApiRefused, Cluster, NoSystemAccount, Server, SystemAccount, system_account
from deploy.brokers.faults import of_cluster
from deploy.environment import setting
from deploy.failure import Failure
from deploy.operators import showing
from deploy.operators.options import AsJson

SYSTEM: Final = "SERX_SYSTEM_NATS_URL"

app = App(name="brokers")


@app.default
def list_brokers(*, as_json: AsJson = False) -> None:
    """Show the servers of the cluster, and where each stream has its copies. Ends with status 1 if something is wrong.

    SERX_SYSTEM_NATS_URL names the servers and the user of the system account, as `serx secrets` writes it among the
    administration's.
    """
    cluster = asyncio.run(_look())
    wrong = list(of_cluster(cluster))
    if as_json:
        showing.json({"servers": cluster.servers, "streams": cluster.streams, "faults": wrong})
    else:
        _show(cluster)
        for sentence in wrong:
            showing.say(sentence)
    if wrong:
        sys.exit(1)


@app.command
def remove(
    name: Annotated[str, Parameter(help="The server's name, or its id, as `serx brokers` shows it.")], /
) -> None:
    """Take a server that is gone for good out of the cluster, so that it does not count for the majority any more.

    Each stream that had a copy there gets one at another server, if there is one. A server that comes back under
    the same name, with an empty disk, need not be removed. SERX_SYSTEM_NATS_URL is as for `serx brokers`.
    """
    asyncio.run(_remove(name))
    print(f"{name} is none of the brokers any more.")


@app.command
def step_down() -> None:
    """Have the servers choose another leader of the cluster, before its server is stopped.

    SERX_SYSTEM_NATS_URL is as for `serx brokers`.
    """
    asyncio.run(_step_down())
    print("The brokers choose another leader.")


async def _look() -> Cluster:
    async with _account() as account:
        return await account.look()


async def _remove(name: str) -> None:
    async with _account() as account:
        cluster = await account.look()
        server = next((each for each in cluster.servers if name in (each.name, each.id)), None)
        if server is None:
            names = ", ".join(each.name for each in cluster.servers)
            raise Failure(f"There is no broker {name!r}; there are {names}.")
        if server.is_up:
            raise Failure(f"{name} answers: stop it first. A server that runs would be shut out of its own cluster.")
        await account.remove(server)


async def _step_down() -> None:
    async with _account() as account:
        await account.look()  # another account's user is told so, and not that the servers have no leader
        await account.step_down()


@asynccontextmanager
async def _account() -> AsyncIterator[SystemAccount]:
    """Raises Failure for everything that keeps the work from being done."""
    url = setting(SYSTEM)
    if not url:
        raise Failure(f"Where the brokers are, is not known: set {SYSTEM}, with the user of their system account.")
    try:
        async with system_account(url) as account:
            yield account
    except NoSystemAccount as error:
        raise Failure(f"{SYSTEM} names no user of the system account of a cluster of brokers.") from error
    except ApiRefused as error:
        raise Failure(f"The brokers did not do it ({error}).") from error
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise Failure(f"The brokers cannot be reached, or do not let us in ({error!r}).") from error


def _show(cluster: Cluster) -> None:
    servers = [(each.name, *_words(each), each.version, each.id) for each in cluster.servers]
    showing.table("Brokers", ("Name", "State", "JetStream", "Leads", "Version", "Id"), servers)
    streams = [
        (each.name, each.leader or "none", ", ".join(copy.server for copy in each.copies)) for each in cluster.streams
    ]
    showing.table("Streams", ("Name", "Leader", "Copies"), streams, empty="There are no streams.")


def _words(server: Server) -> tuple[str, str, str]:
    if not server.is_up:
        return "away", "", ""
    return "up", "yes" if server.has_jetstream else "no", "the cluster" if server.is_leader else ""
