"""What the gateway adds: the same answer of the same service asked for directly, by nginx, and by the gateway.

nginx only passes on. The gateway also knows who is calling, limits, and signs an identity for the service.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from deploy.failure import Failure
from deploy.local.ports import HOST
from deploy.local.scheduling import scheduling
from shared import clock
from shared.ids import OrgId, new_id
from shared.web.actor import IDENTITY_HEADER, Actor, Role, sign_identity
from tests.bench import ours
from tests.bench.contender import Contender
from tests.bench.load import Calls, one_at_a_time
from tests.bench.results import Way
from tests.support.installation import Installation
from tests.support.ports import free_port
from tests.support.servers import until

SERVICE = "engagements"
SLICES = 10
"""Each repeat takes the ways in turn, in that many slices, so that all three see the same minute."""

# As one would set it up: kept connections to the service, no log, as many workers as the gateway has processes.
NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  tcp_nodelay on;
  keepalive_requests 1000000;
  upstream service {{ server {service}; keepalive 32; keepalive_requests 1000000; }}
  server {{
    listen {host}:{port};
    location / {{ proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""


async def compare_ways(
    installation: Installation, contender: Contender, folder: Path, *, with_nginx: bool, repeats: int, seconds: float
) -> AsyncIterator[Way]:
    """Measure the three ways one call at a time; yields each as it is known."""
    service = installation.ready["services"][SERVICE]["url"]
    async with AsyncExitStack() as stack:
        nginx = await stack.enter_async_context(_nginx(service, folder)) if with_nginx else None
        for repeat in range(repeats):
            by_gateway = contender.retrieving()
            direct = msgspec.structs.replace(by_gateway, url=service, headers=_identified(installation))
            calls = {"direct": direct, "gateway": by_gateway}
            if nginx is not None:
                calls["nginx"] = msgspec.structs.replace(direct, url=nginx)
            found = await asyncio.to_thread(_in_slices, calls, seconds)
            for way, quantiles_ms in found.items():
                yield Way(way=way, repeat=repeat, quantiles_ms=quantiles_ms)  # pyright: ignore[reportArgumentType]


def _in_slices(calls: dict[str, Calls], seconds: float) -> dict[str, tuple[float, ...]]:
    """The median over the slices of each quantile, for each way."""
    slices: dict[str, list[tuple[float, ...]]] = {way: [] for way in calls}
    for _ in range(SLICES):
        for way, called in calls.items():
            slices[way].append(one_at_a_time(called, seconds=seconds / SLICES).quantiles_ms)
    return {way: tuple(sorted(at)[SLICES // 2] for at in zip(*found, strict=True)) for way, found in slices.items()}


def _identified(installation: Installation) -> dict[str, str]:
    """What the gateway would tell the service, good for half a minute: longer than a repeat takes."""
    keys = msgspec.json.decode((installation.folder / "secrets.json").read_bytes())
    actor = Actor(
        org_id=OrgId(ours.organisation(installation)),
        id=new_id(),
        role=Role.ADMIN,
        name="Bench",
        email="b@bench.example",
    )
    token = sign_identity(actor, audience=SERVICE, key=keys[f"internal.{SERVICE}"], at=clock.now())
    return {IDENTITY_HEADER: token}


@asynccontextmanager
async def _nginx(service: str, folder: Path) -> AsyncIterator[str]:
    """nginx in front of the service; yields its address. Raises Failure when it is not installed."""
    binary = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if binary is None:
        raise Failure("nginx is not installed; on Debian and Ubuntu: apt install nginx. Or: --without nginx")
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, service=urlsplit(service).netloc, host=HOST, port=port))
    process = await asyncio.create_subprocess_exec(
        *(binary, "-c", str(config), "-p", str(folder)), preexec_fn=scheduling()
    )
    try:
        await until(lambda: _is_listening(port))
        yield f"http://{HOST}:{port}"
    finally:
        process.terminate()
        await process.wait()


async def _is_listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True
