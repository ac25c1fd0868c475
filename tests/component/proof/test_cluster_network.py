"""The proof's hosts: what is dropped is dropped, one way or both, and nobody else notices."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from deploy.proof.cluster.network import Host, Lane, Network, is_supported, network

pytestmark = pytest.mark.skipif(not is_supported(), reason="hosts need Linux, root, iproute2 and util-linux")
PORT = 4000
PATIENCE_SECONDS = 0.3


def test_a_cut_is_silent_and_its_end_is_the_end_of_it() -> None:
    assert played(_cut_and_mend) == [True, False, False, True, True]


def test_what_one_host_sends_can_be_lost_alone() -> None:
    """An answer that is lost is as good as none, so both ways are asked by what arrives."""
    assert played(_one_way) == [b"from h2", b""]


def test_the_brokers_lane_is_cut_alone() -> None:
    assert played(_one_lane) == [True, False]


async def _cut_and_mend(hosts: Network) -> list[Any]:
    one, two, three = hosts.hosts
    for host in hosts.hosts:
        await _serve(host)
    seen = [await _is_heard(one, two.address)]
    hosts.cut(two)
    seen += [await _is_heard(one, two.address), await _is_heard(two, three.address)]
    seen.append(await _is_heard(one, three.address))
    hosts.mend(two)
    return [*seen, await _is_heard(one, two.address)]


async def _one_way(hosts: Network) -> list[Any]:
    one, two, _ = hosts.hosts
    heard = await _serve(one)
    heard_by_two = await _serve(two)
    _, writer = await two.connect(one.address, PORT)
    _, back = await one.connect(two.address, PORT)
    hosts.drop(one, two)
    writer.write(b"from h2")
    back.write(b"from h1")
    first = await asyncio.wait_for(heard.get(), 2)
    return [first, b"" if heard_by_two.empty() else heard_by_two.get_nowait()]


async def _one_lane(hosts: Network) -> list[Any]:
    one, two, _ = hosts.hosts
    await _serve(two)
    hosts.cut(two, Lane.ROUTES)
    return [await _is_heard(one, two.address), await _is_heard(one, two.routes_address)]


async def _serve(host: Host) -> asyncio.Queue[bytes]:
    """On `host`, say back what is said; returns all of it."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await reader.read(100):
            heard.put_nowait(said)
            writer.write(said)

    wire = await host.socket()
    wire.bind(("0.0.0.0", PORT))
    wire.listen()
    await asyncio.start_server(answer, sock=wire)
    return heard


async def _is_heard(host: Host, address: str) -> bool:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            reader, writer = await host.connect(address, PORT)
            writer.write(b"hello")
            return await reader.read(100) == b"hello"
    except TimeoutError:
        return False


def played(scene: Callable[[Network], Coroutine[Any, Any, list[Any]]]) -> list[Any]:
    """What the scene saw, in a process of its own: it leaves the network of this machine for good."""
    context = multiprocessing.get_context("spawn")
    seen: multiprocessing.Queue[list[Any]] = context.Queue()
    process = context.Process(target=_play, args=(scene, seen))
    process.start()
    try:
        return seen.get(timeout=30)
    finally:
        process.join()


def _play(scene: Callable[[Network], Coroutine[Any, Any, list[Any]]], seen: multiprocessing.Queue[list[Any]]) -> None:
    with network(3) as hosts:
        seen.put(asyncio.run(scene(hosts)))
