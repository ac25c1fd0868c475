"""Looks at everything at once: each process's health and metrics, by HTTP, and the broker's streams."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from itertools import chain

import aiohttp
import msgspec
import nats.errors

from deploy.brokers.cluster import Cluster, NoSystemAccount, system_account
from deploy.brokers.faults import of_cluster
from deploy.status import broker, faults
from deploy.status.asking import get
from deploy.status.picture import OPEN_STATES, Broker, Flows, Picture, Process, Store
from deploy.status.places import Places
from deploy.status.samples import Samples, Together
from shared.messaging.topology import SERVICES

PATIENCE_SECONDS = 3.0
_HEALTH = "/health"
_NOTHING = Samples("")


class _Told(msgspec.Struct):
    checks: dict[str, bool]


async def look(places: Places) -> Picture:
    """The system as it is now; whatever does not answer in time is told as such."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_SECONDS), trust_env=False) as http:
        replicas = [(name, number) for name, urls in places.processes.items() for number in range(len(urls))]
        asked = asyncio.gather(*(_of_process(http, places, name, number) for name, number in replicas))
        streams, cluster = await asyncio.gather(_of_broker(http, places), _of_cluster(places))
        answers = await asked
    samples = {
        name: [told for each, told in answers if each.name == name and told is not _NOTHING] for name in SERVICES
    }
    stores = tuple(_store(name, Together(samples[name])) for name in SERVICES)
    flows = _flows(Together(samples["proposals"]))
    wrong = (
        *chain.from_iterable(faults.of_process(each, alone=_is_alone(each, places)) for each, _ in answers),
        *chain.from_iterable(faults.of_store(store) for store in stores if samples[store.service]),
        *(faults.of_broker(streams, without_leader=_without_leader(cluster)) if streams else ()),
        *(_of_brokers(cluster) if cluster else ()),
        *(faults.of_flows(flows) if flows else ()),
    )
    return Picture(
        is_healthy=not wrong,
        faults=wrong,
        processes=tuple(process for process, _ in answers),
        databases=stores,
        broker=streams,
        flows=flows,
        brokers=cluster if isinstance(cluster, Cluster) else None,
    )


def _is_alone(process: Process, places: Places) -> bool:
    return len(places.processes[process.name]) == 1


async def _of_cluster(places: Places) -> Cluster | str | None:
    """The brokers, or why they do not tell; None where their system account is not known."""
    if places.brokers is None:
        return None
    try:
        async with asyncio.timeout(2 * PATIENCE_SECONDS), system_account(places.brokers) as account:
            return await account.look()
    except NoSystemAccount:
        return "SERX_SYSTEM_NATS_URL names no user of the system account of a cluster of brokers."
    except (nats.errors.Error, OSError, TimeoutError) as error:
        return f"The brokers do not tell how they are ({error or type(error).__name__})."


def _without_leader(cluster: Cluster | str | None) -> set[str]:
    return {each.name for each in cluster.streams if each.leader is None} if isinstance(cluster, Cluster) else set()


def _of_brokers(cluster: Cluster | str) -> Iterable[str]:
    return of_cluster(cluster) if isinstance(cluster, Cluster) else [cluster]


async def _of_process(http: aiohttp.ClientSession, places: Places, name: str, number: int) -> tuple[Process, Samples]:
    url = places.processes[name][number]
    status, _ = await get(http, f"{url}/health/ready")
    if name not in places.metrics or not status:
        return Process(name=name, url=url, answers=status != 0, is_ready=status == 200, checks={}), _NOTHING
    (_, health), (found, text) = await asyncio.gather(
        get(http, f"{places.metrics[name][number]}/health"), get(http, f"{places.metrics[name][number]}/metrics")
    )
    told = Samples(text.decode()) if found == 200 else _NOTHING
    return _process(name, url, is_ready=status == 200, checks=_checks(health), told=told), told


def _process(name: str, url: str, *, is_ready: bool, checks: dict[str, bool], told: Samples) -> Process:
    started = told.one("process_start_time_seconds")
    if told is _NOTHING or started is None:
        return Process(name=name, url=url, answers=True, is_ready=is_ready, checks=checks)
    requests = told.sum("serx_http_requests_total", route_apart=_HEALTH)
    answered = [str(status) for status in range(500, 600)]
    return Process(
        name=name,
        url=url,
        answers=True,
        is_ready=is_ready,
        checks=checks,
        version=told.label("serx_process_info", "version"),
        replica=told.label("serx_process_info", "replica"),
        up_seconds=max(0.0, time.time() - started),
        memory_bytes=told.one("process_resident_memory_bytes"),
        requests=requests,
        failed=sum(told.sum("serx_http_requests_total", route_apart=_HEALTH, status=status) for status in answered),
        p95_seconds=told.quantile("serx_http_request_seconds", 0.95, route_apart=_HEALTH),
        loop_delay_p99_seconds=told.quantile("serx_event_loop_delay_seconds", 0.99),
    )


def _store(service: str, told: Together) -> Store:
    """Each replica has connections of its own; what waits in the database all replicas see."""
    in_use = told.sum("serx_database_connections", state="in use")
    free = told.sum("serx_database_connections", state="free")
    return Store(
        service=service,
        is_up=told.most("serx_database_up") == 1,
        connections=None if in_use is None or free is None else in_use + free,
        in_use=in_use,
        most=told.sum("serx_database_connections_most"),
        waiting=told.sum("serx_database_waiting"),
        unpublished=told.most("serx_outbox_unpublished"),
        oldest_unpublished_seconds=told.most("serx_outbox_oldest_seconds"),
        parked=told.most("serx_parked_messages"),
    )


def _flows(told: Together) -> Flows | None:
    if told.most("serx_flows_open", state="running") is None:
        return None
    return Flows(
        open={state: told.most("serx_flows_open", state=state) or 0.0 for state in OPEN_STATES},
        oldest_seconds={state: told.most("serx_flow_oldest_seconds", state=state) or 0.0 for state in OPEN_STATES},
        completed=told.sum("serx_flow_seconds_count", outcome="completed") or 0.0,
        rejected=told.sum("serx_flow_seconds_count", outcome="rejected") or 0.0,
        taken_over=told.sum("serx_flows_taken_over_total") or 0.0,
    )


async def _of_broker(http: aiohttp.ClientSession, places: Places) -> Broker | None:
    if places.monitors:
        return await broker.by_monitoring(http, places.monitors)
    if places.broker_login is not None:
        return await broker.by_login(places.broker_login, patience_seconds=PATIENCE_SECONDS)
    return None


def _checks(body: bytes) -> dict[str, bool]:
    try:
        return msgspec.json.decode(body, type=_Told).checks
    except (msgspec.DecodeError, msgspec.ValidationError):
        return {}
