"""Every command finds its installation by the secrets alone, with a broker of several servers in them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec.structs import replace

from deploy.broker_files import ADMINISTRATION
from deploy.secret_files import make_secrets
from shared.ids import new_id
from shared.messaging.topology import SERVICES
from tests.support import actors
from tests.support.command_line import Ended, called, commands, required, without_settings
from tests.support.commands import Orchestrator, orchestrating, place_order
from tests.support.servers import Broker, until
from tests.support.services import Service

AWAY = "127.0.0.1:1"
ON_FOLDERS = {"up", "run", "secrets", "listeners add"}
FOUND: dict[str, tuple[int, str]] = {
    "org create": (0, "API token"),
    "sagas list": (0, "flow"),
    "sagas show": (1, "There is no flow"),
    "sagas retry": (1, "There is no such flow"),
    "sagas cancel": (1, "There is no such flow"),
    "parked list": (0, "orders.place.v1"),
    "parked show": (0, "one_order_a_signature"),
    "parked retry": (0, "Delivered to orders again"),
    "parked drop": (0, "Dropped from orders"),
    "outbox": (0, "proposals"),
    "replicas rebuild": (0, "orders"),
    "check": (1, "things do not agree"),
    "sagas mend": (0, "cancel"),
    "listeners": (0, "billing listens to order.*"),
    "listeners list": (0, "billing hears order.*"),
    "listeners remove": (1, "There is no listener 'mail'"),
    "streams": (0, "Streams and consumers are as they are to be"),
    "brokers": (1, "names no user of the system account"),
    "brokers remove": (1, "names no user of the system account"),
    "brokers step-down": (1, "names no user of the system account"),
    "status": (1, "NATS 2."),
    "provision": (1, "The databases could not be made"),
    "migrate": (1, "Could not migrate"),
    "demo": (1, AWAY),
}
"""How each ends on the installation below, and something that it says only when it has read what it was to find."""


OF_PARKED = {"parked list", "parked show", "parked retry", "parked drop", "check", "sagas mend"}
MAKING = {"provision", "migrate"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def orchestrator(orders: Service, shared_broker: Broker) -> AsyncIterator[Orchestrator]:
    await until(orders.is_well)
    async with orchestrating(shared_broker) as player:
        yield player


@pytest.fixture(scope="module")
def administration(dsns: dict[str, str], shared_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Secrets as `serx secrets` makes them, of a broker whose first server is away, and what a deployment adds."""
    folder = tmp_path_factory.mktemp("administration")
    away = f"{shared_broker.operator.rpartition('@')[0]}@{AWAY}"
    files = {f"{service}_database_dsn": dsn for service, dsn in dsns.items()}
    files |= {f"{name}_url": f"http://{AWAY}" for name in ("gateway", *SERVICES)}
    files |= {
        "admin_password": "a long password",
        "listeners": "billing=order.*",
        "system_nats_url": f"{away},{shared_broker.operator}",
        "nats_url": f"{away},{shared_broker.operator}",
    }
    for name, text in files.items():
        (folder / name).write_text(text + "\n")
    return folder


@pytest.fixture(scope="module")
def without_a_server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Secrets of databases that are away: what makes or migrates them gets as far as that."""
    folder = tmp_path_factory.mktemp("secrets")
    make_secrets(folder, postgres=AWAY)
    return folder / ADMINISTRATION


async def parked_key(orchestrator: Orchestrator) -> str:
    """A second order of one proposal, which is parked; the first is of no flow, so it can be mended."""
    first = place_order(actors.admin().org_id)
    assert (await orchestrator.ask("orders", "place", first, key=f"{first.saga_id}.order")).outcome == "done"
    second = replace(place_order(first.org_id), proposal_id=first.proposal_id, client=first.client, saga_id=new_id())
    key = f"{second.saga_id}.order"
    assert (await orchestrator.ask("orders", "place", second, key=key)).outcome == "parked"
    return key


def test_every_command_is_tried():
    assert set(FOUND) == {each for each in commands() if not each.startswith("prove ")} - ON_FOLDERS


@pytest.mark.parametrize("command", FOUND)
async def test_a_command_needs_nothing_but_the_secrets(
    command: str,
    administration: Path,
    without_a_server: Path,
    orchestrator: Orchestrator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
):
    given = arguments(command)
    if command in OF_PARKED:
        key = await parked_key(orchestrator)
        given = [key if each == "billing" and command.startswith("parked") else each for each in given]
    without_settings(monkeypatch)
    monkeypatch.setenv("SERX_SECRETS_DIR", str(without_a_server if command in MAKING else administration))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    ended: Ended = await asyncio.to_thread(called, monkeypatch, capsys, *command.split(), *given)
    code, says = FOUND[command]
    assert (ended.code, says in ended.output + ended.errors) == (code, True), ended


def arguments(command: str) -> list[str]:
    own = {
        "org create": ["--name", "Agency", "--admin-email", f"{new_id()}@agency.example"],
        "listeners remove": ["mail"],
        "check": ["--again", "0s"],
    }
    return own.get(command, required(commands()[command]))
