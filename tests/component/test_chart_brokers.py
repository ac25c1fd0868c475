"""The brokers of deploy/kubernetes: three real servers on what NATS' chart makes of our values and secrets."""

from __future__ import annotations

import asyncio
import os
import posixpath
import re
import signal
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import nats.errors
import pytest
import yaml

from deploy.brokers.cluster import system_account
from deploy.local.ports import HOST
from deploy.secret_files import make_secrets
from deploy.server_places import read_brokers
from shared.messaging import stream_keeper
from shared.messaging.connection import connected
from shared.messaging.topology import STREAM_KEEPER
from tests.support import nats_chart
from tests.support.rendered_brokers import RenderedBrokers, all_running, refused_route
from tests.support.servers import until

pytestmark = pytest.mark.timeout(90)

FILE: Final = Path(__file__).resolve().parents[2] / "deploy/kubernetes/examples/nats.values.yaml"
VALUES: Final[dict[str, Any]] = yaml.safe_load(FILE.read_text())
PODS: Final = nats_chart.pods_of(VALUES)


class ChartBrokers(RenderedBrokers):
    """Each pod's files are below a folder of its own, as the chart mounts them."""

    def _configure(self, name: str) -> tuple[Path, Mapping[str, str]]:
        pod = self._root / name
        for each in ("data", "var/run/nats"):
            (pod / each).mkdir(parents=True, exist_ok=True)
        config = nats_chart.config_of(VALUES)
        clients, routes = self._places[name]
        config |= {"host": HOST, "port": clients, "http_port": self._monitors[name]}
        config |= {"pid_file": f"{pod}{config['pid_file']}"}
        config["cluster"] |= {"host": HOST, "port": routes}
        config["jetstream"]["store_dir"] = f"{pod}{config['jetstream']['store_dir']}"
        files = {str(nats_chart.CONFIG_FOLDER / "nats.conf"): nats_chart.formatted(config), **self._mounted()}
        for path, text in files.items():
            place = pod / path.removeprefix("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        return pod / f"{nats_chart.CONFIG_FOLDER}/nats.conf".removeprefix("/"), {
            "SERVER_NAME": name,
            **VALUES["container"]["env"],
        }

    def reload(self, name: str) -> None:
        """As the chart's reloader does when a mounted file has changed."""
        self._configure(name)
        os.kill(int((self._root / name / "var/run/nats/nats.pid").read_text()), signal.SIGHUP)

    def _mounted(self) -> dict[str, str]:
        """The files of the secret that the values name, by the command above them, where they are mounted."""
        pod = nats_chart.pod_of(VALUES)["spec"]
        (volume,) = [each["name"] for each in pod["volumes"] if "secret" in each]
        (mount,) = [each["mountPath"] for each in pod["containers"][0]["volumeMounts"] if each["name"] == volume]
        named = re.findall(r"--from-file=DIR/(\S+)", FILE.read_text())
        return {f"{mount}/{posixpath.basename(each)}": (self.folder / each).read_text() for each in named}


@pytest.fixture(scope="module")
async def brokers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ChartBrokers]:
    rendered = ChartBrokers(tmp_path_factory.mktemp("brokers"))
    rendered.render(*PODS)
    async with all_running(rendered):
        yield rendered


def test_the_secrets_are_made_for_the_names_that_the_chart_gives():
    (named,) = re.findall(r"serx secrets DIR --nats (\S+)", FILE.read_text())
    places = read_brokers(named)
    assert [each.name for each in places] == PODS
    assert [f"nats://{each.routes}" for each in places] == nats_chart.routes_of(VALUES)
    assert f"--version {nats_chart.VERSION} " in FILE.read_text()


async def test_the_stream_keeper_has_every_stream_on_all_three_servers(brokers: ChartBrokers):
    async with stream_keeper.connected(brokers.url(STREAM_KEEPER), replicas=3) as keeper:
        assert not (await keeper.look()).refused
    async with connected(brokers.url("operator")) as connection:
        for name in ("EVENTS", "COMMANDS"):
            info = await connection.jetstream().stream_info(name)
            assert info.config.num_replicas == 3, name
            assert info.cluster is not None
            assert {info.cluster.leader, *(peer.name for peer in info.cluster.replicas or ())} == set(PODS)


@pytest.mark.parametrize("pod", PODS)
async def test_a_service_logs_in_to_each_server_and_is_held_to_its_own_subjects(brokers: ChartBrokers, pod: str):
    refused: asyncio.Queue[str] = asyncio.Queue()

    async def note(error: Exception) -> None:
        refused.put_nowait(str(error).lower())

    async with connected(brokers.url("orders", pod), error_cb=note) as connection:
        await connection.publish("evt.org.order.placed", b"")
        await connection.flush()
        assert refused.empty()
        await connection.publish("evt.org.client.changed", b"")
        async with asyncio.timeout(10):
            assert "permissions violation" in await refused.get()


async def test_a_listener_is_let_in_after_a_reload(brokers: ChartBrokers):
    make_secrets(brokers.folder, listener=["billing=order.*"])
    for pod in PODS:
        url = brokers.url("listener-billing", pod)
        assert not await lets_in(url)
        brokers.reload(pod)
        await until(partial(lets_in, url))


async def lets_in(url: str) -> bool:
    try:
        async with connected(url):
            return True
    except (nats.errors.Error, OSError):  # refused, or ended before the refusal was read
        return False


@pytest.mark.parametrize("login", [{}, {"user": "route", "pass": "guessed"}], ids=["none", "a wrong one"])
async def test_a_route_without_the_password_is_refused(brokers: ChartBrokers, login: dict[str, str]):
    assert await refused_route(brokers, PODS[1], login)


async def test_the_user_of_the_system_account_sees_all_three(brokers: ChartBrokers):
    async with system_account(brokers.url("system")) as account:
        seen = await account.look()
    assert {each.name for each in seen.servers if each.is_up} == set(PODS)
