"""What we use of asyncpg's private side is there, and does what we count on."""

from __future__ import annotations

import asyncio
import inspect
import socket

import asyncpg
import pytest
from asyncpg import connect_utils

from shared.database import driver
from shared.database.driver import Connection, places


def test_asyncpg_still_cancels_by_the_method_that_we_replace():
    """Wherever it sends a CancelRequest, it does so through this one."""
    assert "_cancel_current_command" in vars(asyncpg.Connection)
    assert "_cancel_current_command" in vars(Connection)
    callers = [name for name, each in vars(asyncpg.Connection).items() if "_cancel(" in source_of(each)]
    assert set(callers) == {"_cancel", "_cancel_current_command"}
    assert "80877102" in inspect.getsource(connect_utils)


def source_of(member: object) -> str:
    return inspect.getsource(member) if inspect.isfunction(member) else ""


@pytest.mark.parametrize(
    ("dsn", "wanted"),
    [
        ("postgresql://u:p@a/d", [("a", 5432)]),
        ("postgresql://u:p@a,b:6432/d", [("a", 5432), ("b", 6432)]),
        ("postgresql://u:p@[::1]:1,10.0.0.2:2/d?target_session_attrs=read-write", [("::1", 1), ("10.0.0.2", 2)]),
        ("postgresql://u:p@/d?host=a:7,b:8", [("a", 7), ("b", 8)]),
        ("postgresql:///d?host=/run/serx&port=6432", [("/run/serx", 6432)]),
    ],
)
def test_the_places_of_a_dsn_are_those_that_asyncpg_finds(dsn: str, wanted: list[tuple[str, int]]):
    assert places(dsn) == wanted


def test_a_service_file_may_name_the_place(tmp_path, monkeypatch):
    file = tmp_path / "services"
    file.write_text("[serx]\nhost=a,b\nport=6432,6433\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    assert places("postgresql://u@/d?service=serx") == [("a", 6432), ("b", 6433)]


def test_a_silent_peer_is_noticed_within_five_seconds():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as wire:
        driver._notice_silence(asyncio.Transport({"socket": wire}))
        assert wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        idle = wire.getsockopt(socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", 0)))
        every = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
        assert idle + every * wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) <= driver.SILENT_SECONDS
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == driver.SILENT_SECONDS * 1000
