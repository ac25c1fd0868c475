"""The broker's configuration: who may log in, who may say what, and that the server takes it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest

from deploy.local import binaries
from deploy.nats_config import MAX_STORE_BYTES, NatsServer, new_seed, public_key, render
from shared.messaging.topology import PROCESSES, USERS, permissions


@pytest.fixture
def server(tmp_path: Path) -> NatsServer:
    return NatsServer(
        host="127.0.0.1",
        port=4222,
        store_dir=tmp_path / 'a "strange" folder',
        operator_password="operator-password",
        public_keys={user: public_key(new_seed()) for user in USERS},
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


def test_the_room_that_is_free_at_the_start_is_no_limit(server: NatsServer) -> None:
    assert f"max_file_store: {MAX_STORE_BYTES}" in render(server)


@pytest.mark.parametrize("process", PROCESSES)
def test_each_process_may_do_what_the_topology_says(server: NatsServer, process: str) -> None:
    allowed = permissions(process)
    text = render(server)
    mine = text[text.index(f'nkey: "{server.public_keys[process]}"') :].split("}}", 1)[0]
    for subject in (*allowed.publish, *allowed.subscribe):
        assert f'"{subject}"' in mine


def test_no_secret_of_a_process_is_in_the_configuration(server: NatsServer) -> None:
    seeds = {user: new_seed() for user in USERS}
    told = render(msgspec.structs.replace(server, public_keys={p: public_key(seed) for p, seed in seeds.items()}))
    assert [process for process, seed in seeds.items() if seed in told] == []


def test_a_process_without_a_key_is_refused(server: NatsServer) -> None:
    with pytest.raises(KeyError, match="orders"):
        render(msgspec.structs.replace(server, public_keys={p: "x" for p in PROCESSES if p != "orders"}))
