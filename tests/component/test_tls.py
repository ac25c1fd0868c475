"""TLS by setting, with a certificate of one's own authority: the broker, and a process's own door."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from deploy.health import is_ready
from deploy.local import binaries
from deploy.local.ports import HOST
from deploy.local.probes import nats_ready
from deploy.nats_config import Certificate, NatsServer, new_seed, public_key, render
from gateway.refusals import ServiceAway
from gateway.routes import Service
from gateway.upstream import Upstream
from shared.messaging.bus import Bus
from shared.messaging.topology import USERS
from tests.support.ports import free_port
from tests.support.servers import until

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return signed_by_itself(tmp_path_factory.mktemp("tls"))


def signed_by_itself(folder: Path) -> Certificate:
    """For this machine's loopback address: an authority of its own."""
    chain, key = folder / "chain.pem", folder / "key.pem"
    subject = ("-subj", "/CN=serx", "-addext", f"subjectAltName=IP:{HOST}")
    made = ("-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", str(key), "-out", str(chain))
    subprocess.run(["openssl", "req", "-x509", *made, *subject], check=True, capture_output=True)
    return Certificate(chain, key)


async def test_a_process_reaches_its_broker_by_tls_and_only_one_whose_certificate_it_trusts(
    certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seeds, port = {process: new_seed() for process in USERS}, free_port()
    server = NatsServer(
        host=HOST,
        port=port,
        store_dir=tmp_path / "store",
        operator_password="operator",
        public_keys={process: public_key(seed) for process, seed in seeds.items()},
        certificate=certificate,
    )
    config = tmp_path / "nats.conf"
    config.write_text(render(server))
    nats = await asyncio.create_subprocess_exec(
        binaries.find().nats_server, "-c", str(config), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await until(lambda: nats_ready(port))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.chain))
        bus = Bus(process="orders", url=f"tls://{seeds['orders']}@{HOST}:{port}")
        await bus.open()
        try:
            await until(lambda: bus.is_connected)
        finally:
            await bus.close()
    finally:
        nats.kill()
        await nats.wait()


async def test_a_process_serves_https_and_the_gateway_reaches_it(
    certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    port, served = free_port(), Path(__file__).parents[2]
    told = {
        "SERX_PORT": str(port),
        "SERX_NATS_URL": "nats://127.0.0.1:1",
        "SERX_DATABASE_DSN": "postgresql://nobody:nothing@127.0.0.1:1/none",
        "SERX_INTERNAL_KEYS": "k" * 32,
        "SERX_TLS_CERTIFICATE_PATH": str(certificate.chain),
        "SERX_TLS_KEY_PATH": str(certificate.key),
    }
    import sys

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.run", "orders", cwd=served, env=told, stderr=asyncio.subprocess.DEVNULL
    )
    upstream = Upstream(Service.ORDERS, f"https://{HOST}:{port}")
    try:
        await until(lambda: _answers(port, Path(certificate.chain)), within_seconds=30)
        with pytest.raises(ServiceAway):
            await upstream.exchange("GET", b"/health/live", [])
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.chain))
        assert (await upstream.exchange("GET", b"/health/live", [])).status == 200
        assert not is_ready(port, tls=True), "it has neither database nor broker"
    finally:
        upstream.close()
        process.terminate()
        await process.wait()


async def _answers(port: int, chain: Path) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port, ssl=ssl.create_default_context(cafile=chain))
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
