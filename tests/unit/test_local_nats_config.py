"""The broker's configuration: who may log in, who may say what, and that the server takes it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest

from deploy.local import binaries
from deploy.nats_config import NatsServer, render
from shared.messaging.topology import PROCESSES, permissions


@pytest.fixture
def server(tmp_path: Path) -> NatsServer:
    return NatsServer(
        host="127.0.0.1",
        port=4222,
        store_dir=tmp_path / 'a "strange" folder',
        operator_password="operator-password",
        passwords={process: f"{process}-password" for process in PROCESSES},
    )


def test_the_server_accepts_the_configuration(server: NatsServer, tmp_path: Path) -> None:
    config = tmp_path / "nats.conf"
    config.write_text(render(server), encoding="utf-8")
    checked = subprocess.run(
        [binaries.find().nats_server, "-t", "-c", config], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_a_message_is_on_the_disk_before_it_is_acknowledged(server: NatsServer) -> None:
    assert "sync_interval: always" in render(server)


@pytest.mark.parametrize("process", PROCESSES)
def test_each_process_may_do_what_the_topology_says(server: NatsServer, process: str) -> None:
    allowed = permissions(process)
    text = render(server)
    mine = text[text.index(f'user: "{process}"') :].split("}}", 1)[0]
    assert f'password: "{process}-password"' in mine
    for subject in (*allowed.publish, *allowed.subscribe):
        assert f'"{subject}"' in mine


def test_a_process_without_a_password_is_refused(server: NatsServer) -> None:
    with pytest.raises(KeyError, match="orders"):
        render(msgspec.structs.replace(server, passwords={p: "x" for p in PROCESSES if p != "orders"}))
