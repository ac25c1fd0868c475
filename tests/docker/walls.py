"""Who can open whose port, seen from within each running container and from a stranger on the edge network."""

from __future__ import annotations

import json
import subprocess

from shared.messaging.topology import SERVICES
from tests.docker.compose import docker

PORTS = {"postgres": (5432,), "nats": (4222, 6222, 8222)}
HTTP = (8000,)
EDGE = "edge"
STRANGER = "stranger"

_TRY = """\
import concurrent.futures, json, socket, sys

def is_open(door):
    try:
        socket.create_connection(door[1:], timeout=2).close()
    except OSError:
        return False
    return True

doors = [tuple(door) for door in json.load(sys.stdin)]
with concurrent.futures.ThreadPoolExecutor(64) as threads:
    found = list(threads.map(is_open, doors))
print(json.dumps([door[0] for door, opens in zip(doors, found) if opens]))
"""


def expected() -> dict[str, set[str]]:
    """What each process can open. A network has no direction: who asks a server can be opened by that server too."""
    reached = {service: {"gateway:8000", "nats:4222", "postgres:5432"} for service in SERVICES}
    served = {f"{service}:8000" for service in SERVICES}
    return reached | {
        "gateway": served | {"nats:4222"},
        "streams": {"nats:4222"},
        "nats": served | {"gateway:8000"},
        "postgres": served,
        STRANGER: {"gateway:8000"},
    }


def reached(containers: dict[str, str], project: str, image: str) -> dict[str, set[str]]:
    """What each kind of process can open, at every address of every container but its own kind's."""
    doors = [
        (f"{kind_of(name)}:{port}", address, port)
        for name, container in containers.items()
        for address in _addresses(container)
        for port in PORTS.get(kind_of(name), HTTP)
    ]
    found: dict[str, set[str]] = {}
    places = {name: f"container:{container}" for name, container in containers.items()} | {
        STRANGER: f"{project}_{EDGE}"
    }
    for name, network in places.items():
        own = kind_of(name)
        opened = _opened(network, image, [door for door in doors if door[0].partition(":")[0] != own])
        found[own] = found.get(own, set()) | opened
    return found


def kind_of(name: str) -> str:
    """`orders` of `orders_1`."""
    return name.rstrip("0123456789").rstrip("_-")


def _addresses(container: str) -> list[str]:
    networks = json.loads(docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", container))
    return [each["IPAddress"] for each in networks.values()]


def _opened(network: str, image: str, doors: list[tuple[str, str, int]]) -> set[str]:
    command = ["docker", "run", "--rm", "-i", "--network", network, "--entrypoint", "python", image, "-c", _TRY]
    done = subprocess.run(command, input=json.dumps(doors), capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))
