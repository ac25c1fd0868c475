"""What each process is told, what the world is told of them, and which ports they have."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import msgspec
import pytest

from deploy.failure import Failure
from deploy.local import credentials, ready
from deploy.local.demo import Demo
from deploy.local.environment import Addresses
from deploy.local.folder import DataFolder
from deploy.local.ports import reserved
from deploy.migrations import migration_dsns, waiting_dsns
from deploy.provisioning import login_dsn
from shared.messaging.topology import PROCESSES, SERVICES

PORTS = {
    name: 20000 + number
    for number, name in enumerate((*PROCESSES, "postgres", "nats", "nats_monitor", "gateway_metrics"))
}
DEMO = Demo("org", "admin-token", "user", "admin@demo.example", "password", "client-token")


@pytest.fixture
def addresses(tmp_path: Path) -> Addresses:
    folder = DataFolder(tmp_path)
    return Addresses(folder, PORTS, credentials.ensure(folder))


def test_ready_json_has_the_promised_shape(addresses: Addresses) -> None:
    pids = {name: number for number, name in enumerate((*PROCESSES, "postgres", "nats"), 100)}
    told = json.loads(msgspec.json.encode(ready.describe(addresses, pids, DEMO)))
    assert set(told) == {"gateway_url", "pid", "services", "demo"}
    assert told["gateway_url"] == told["services"]["gateway"]["url"] == f"http://127.0.0.1:{PORTS['gateway']}"
    assert told["pid"] == os.getpid()
    assert set(told["services"]) == {*PROCESSES, "postgres", "nats"}
    assert all(set(running) == {"pid", "url"} for running in told["services"].values())
    assert told["services"]["postgres"]["url"].startswith("postgresql://postgres:")
    assert told["services"]["nats"]["url"].startswith("nats://serx:")
    assert set(told["demo"]) == {"org_id", "admin_token", "client_token", "admin_email", "admin_password"}


@pytest.mark.parametrize("demo", [None, msgspec.structs.replace(DEMO, client_token=None)])
def test_a_demo_that_is_not_whole_is_not_told(addresses: Addresses, demo: Demo | None) -> None:
    assert ready.describe(addresses, dict.fromkeys(PORTS, 1), demo).demo is None


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_told_its_own_secrets_only(addresses: Addresses, service: str) -> None:
    told = addresses.environment(service)
    for other in SERVICES:
        foreign = addresses.environment(other)
        if other != service:
            assert not {foreign["SERX_DATABASE_DSN"], foreign["SERX_INTERNAL_KEYS"]} & set(told.values())
    assert ("SERX_SESSION_KEYS" in told) == (service == "identity")


def test_the_gateway_signs_with_the_key_that_the_service_accepts(addresses: Addresses) -> None:
    told = addresses.environment("gateway")
    for service in SERVICES:
        assert told[f"SERX_{service.upper()}_KEY"] == addresses.environment(service)["SERX_INTERNAL_KEYS"]
    assert "SERX_DATABASE_DSN" not in told


def test_what_the_operator_has_set_is_passed_on(addresses: Addresses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERX_RATE_LIMIT", "0")
    monkeypatch.setenv("SERX_LOG_LEVEL", "debug")
    told = addresses.environment("gateway")
    assert (told["SERX_RATE_LIMIT"], told["SERX_LOG_LEVEL"], told["SERX_LOG_FORMAT"]) == ("0", "debug", "json")


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Failure, match=f"Port {port} is taken"), reserved(DataFolder(tmp_path), port):
            pass


def test_ports_are_the_same_at_the_next_start(tmp_path: Path) -> None:
    with reserved(DataFolder(tmp_path), 0) as first:
        pass
    with reserved(DataFolder(tmp_path), 0) as second:
        pass
    private = set(first) - {"gateway"}
    assert {name: first[name] for name in private} == {name: second[name] for name in private}


def test_two_installations_never_share_a_port(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with reserved(DataFolder(tmp_path / "a"), 0) as one, reserved(DataFolder(tmp_path / "b"), 0) as other:
        assert not set(one.values()) & set(other.values())


def test_a_login_keeps_the_server_and_quotes_the_password() -> None:
    dsn = login_dsn(
        "postgresql://admin:x@db.internal:5433/postgres?sslmode=require", user="u", password="p@/:", database="d"
    )
    assert dsn == "postgresql://u:p%40%2F%3A@db.internal:5433/d?sslmode=require"


def test_migrating_without_a_dsn_says_which_is_missing() -> None:
    with pytest.raises(Failure, match="To migrate orders, set SERX_ORDERS_MIGRATION_DSN or SERX_MIGRATION_DSN"):
        migration_dsns(("orders",), {})
    with pytest.raises(Failure, match="There is no service 'invoices'"):
        migration_dsns(("invoices",), {})


def test_one_dsn_does_for_one_service_and_not_for_two() -> None:
    dsn = "postgresql://owner:secret@127.0.0.1/orders"
    assert migration_dsns(("orders",), {"SERX_MIGRATION_DSN": dsn}) == {"orders": dsn}
    with pytest.raises(Failure, match="SERX_ORDERS_MIGRATION_DSN"):
        migration_dsns(("orders", "identity"), {"SERX_MIGRATION_DSN": dsn})


def test_waiting_for_a_schema_takes_the_services_own_login() -> None:
    dsn = "postgresql://serx_orders:secret@127.0.0.1/orders"
    assert waiting_dsns(("orders",), {"SERX_DATABASE_DSN": dsn}) == {"orders": dsn}
    assert waiting_dsns(("orders",), {"SERX_ORDERS_DATABASE_DSN": dsn}) == {"orders": dsn}
    with pytest.raises(Failure, match="To wait for the schema of orders, set SERX_ORDERS_DATABASE_DSN or SERX_DATA"):
        waiting_dsns(("orders",), {"SERX_MIGRATION_DSN": dsn})


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere ports are not held")
def test_a_gateway_that_asks_for_what_was_a_services_port_gets_it_for_itself(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    with reserved(folder, 0) as before:
        pass
    with reserved(folder, before["orders"]) as ports:
        assert ports["gateway"] == before["orders"] != ports["orders"]
        assert len(set(ports.values())) == len(ports)
        assert {name for name in ports if ports[name] != before[name]} == {"gateway", "orders"}
