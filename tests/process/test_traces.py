"""One request is one trace, through every process that has a part in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import msgspec
import nats
import pytest
import pytest_asyncio

from shared.ids import new_id
from shared.messaging.envelope import Envelope
from tests.support.collector import Collector, Span, collecting
from tests.support.installation import Installation, installed
from tests.support.servers import until

BEFORE_IT_IS_SENT_MS = "50"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def collector() -> AsyncIterator[Collector]:
    with collecting() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def traced(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """A running `serx up` whose spans go to the collector."""
    told = {"SERX_OTLP_URL": collector.url, "OTEL_BSP_SCHEDULE_DELAY": BEFORE_IT_IS_SENT_MS}
    async with installed(tmp_path_factory.mktemp("traced"), **told) as running:
        yield running


async def whole(collector: Collector, request_id: str, is_whole: Callable[[list[Span]], bool]) -> list[Span]:
    """The trace of a request, once it is whole; as much of it as there is, if that does not come."""

    def has_come() -> bool:
        spans = collector.trace_of(request_id)
        return is_whole(spans) and not orphans(spans)

    with suppress(TimeoutError):
        await until(has_come)
    return collector.trace_of(request_id)


def orphans(spans: list[Span]) -> list[Span]:
    """Those whose parent is not among them."""
    ids = {span.id for span in spans}
    return [span for span in spans if span.parent and span.parent not in ids]


def path_to(span: Span, trace: list[Span]) -> list[tuple[str, str, str]]:
    """From the root down to `span`: process, name and kind of each."""
    by_id = {each.id: each for each in trace}
    path = [span]
    while path[0].parent:
        path.insert(0, by_id[path[0].parent])
    return [(each.process, each.name, each.kind) for each in path]


def consumed(trace: list[Span]) -> set[tuple[str, str]]:
    return {(span.process, span.name) for span in trace if span.kind == "consumer"}


async def test_a_signature_is_one_trace_from_the_gateway_to_the_participants(
    traced: Installation, collector: Collector
):
    proposal = await traced.sent_proposal(client_email=f"{new_id()}@roe.example")
    answer = await traced.sign(proposal)
    assert answer.status_code == 200, answer.text
    parts = {
        ("identity", "identity.ensure-client"),
        ("engagements", "engagements.open"),
        ("orders", "orders.place"),
    }
    heard = {(process, f"{command}.v1") for process, command in parts}
    copies = {(process, "client.changed.v1") for process in ("proposals", "engagements", "orders")}
    trace = await whole(
        collector,
        answer.headers["x-request-id"],
        lambda spans: heard | copies <= consumed(spans) and any(not span.parent for span in spans),
    )

    assert len({span.trace for span in trace}) == 1
    assert orphans(trace) == []
    assert [span.name for span in trace if not span.parent] == ["POST /api/proposals/{id}/sign"]
    way = [
        ("gateway", "POST /api/proposals/{id}/sign", "server"),
        ("proposals", "POST /api/proposals/{proposal_id}/sign", "server"),
        ("proposals", "flow sign", "internal"),
    ]
    found = {span.process: path_to(span, trace) for span in trace if (span.process, span.name) in heard}
    assert found == {
        process: [*way, ("proposals", command, "producer"), (process, f"{command}.v1", "consumer")]
        for process, command in parts
    }
    assert not any(span.is_error for span in trace)


async def test_a_span_lies_within_the_trace_and_a_command_lasts_until_its_reply(
    traced: Installation, collector: Collector
):
    answer = await traced.sign(await traced.sent_proposal())
    trace = await whole(
        collector,
        answer.headers["x-request-id"],
        lambda spans: {"orders", "engagements", "gateway"} <= {span.process for span in spans},
    )
    by_id = {span.id: span for span in trace}
    for span in trace:
        assert span.start <= span.end
        assert not span.parent or by_id[span.parent].start <= span.start, span
    (command,) = [span for span in trace if span.name == "orders.place"]
    (drive,) = [span for span in trace if span.name == "flow sign"]
    assert command.end <= drive.end


async def test_the_callers_own_trace_is_continued(traced: Installation, collector: Collector):
    theirs = f"00-{new_id().hex}-00f067aa0ba902b7-01"
    answer = await traced.call("GET", "/api/orders", headers={"traceparent": theirs})
    request_id = answer.headers["x-request-id"]
    await until(lambda: len(collector.trace_of(request_id)) >= 2)
    trace = collector.trace_of(request_id)
    assert {(span.process, span.name) for span in trace} >= {
        ("gateway", "GET /api/orders"),
        ("orders", "GET /api/orders"),
    }
    assert {span.trace for span in trace} == {theirs[3:35]}
    assert [span.process for span in trace if span.parent == theirs[36:52]] == ["gateway"]


async def test_a_caller_who_does_not_want_to_be_recorded_is_not(traced: Installation, collector: Collector):
    theirs = f"00-{new_id().hex}-00f067aa0ba902b7-00"
    await traced.call("GET", "/api/orders", headers={"traceparent": theirs})
    later = await traced.call("GET", "/api/orders")
    await whole(collector, later.headers["x-request-id"], lambda spans: len(spans) >= 2)
    assert not [span for span in collector.spans if span.trace == theirs[3:35]]


async def test_a_question_to_another_service_is_in_the_trace(traced: Installation, collector: Collector):
    client = await traced.call(
        "POST", "/api/clients", json={"name_f": "Ada", "name_l": "Lovelace", "email": f"{new_id()}@love.example"}
    )
    assert client.status_code == 201, client.text
    gone = await traced.call("DELETE", f"/api/clients/{client.json()['id']}")
    assert gone.status_code == 204, gone.text
    trace = await whole(
        collector,
        gone.headers["x-request-id"],
        lambda spans: (
            {("engagements", "ask.engagements.close-client"), ("orders", "ask.orders.close-client")} <= consumed(spans)
        ),
    )
    paths = [path_to(span, trace) for span in trace if span.name.startswith("ask.")]
    assert all(path[0][0] == "gateway" and path[1][0] == "identity" for path in paths)


def said(installation: Installation, process: str, request_id: str) -> dict[str, Any] | None:
    """The first line about a request in a process's log."""
    lines = (installation.folder / "logs" / f"{process}.log").read_bytes().splitlines()
    told = (msgspec.json.decode(line) for line in lines if line.startswith(b"{"))
    return next((line for line in told if line.get("request_id") == request_id), None)


async def test_logs_name_the_request_and_the_trace_of_a_message(traced: Installation):
    trace, request_id = new_id().hex, new_id().hex
    headers = Envelope(
        id=request_id,
        type="orders.unheard-of.v1",
        source="test",
        time="2026-02-08T12:00:00Z",
        traceparent=f"00-{trace}-00f067aa0ba902b7-01",
        request_id=request_id,
    ).headers()
    async with await nats.connect(traced.ready["services"]["nats"]["url"]) as connection:
        await connection.jetstream().publish("cmd.orders.place", b"{}", headers=headers)
    line = await until(lambda: said(traced, "orders", request_id))
    assert (line["event"], line["trace_id"]) == ("message parked", trace)


async def test_logs_name_the_request_and_the_trace_of_a_call(traced: Installation):
    trace, request_id = new_id().hex, new_id().hex
    told = {"x-request-id": request_id, "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    with traced.unsupervised():
        await traced.dead(traced.kill("engagements"))
        answer = await traced.call("GET", "/api/engagements", headers=told)
    assert (answer.status_code, answer.headers["x-request-id"]) == (503, request_id)
    line = await until(lambda: said(traced, "gateway", request_id))
    assert (line["event"], line["trace_id"]) == ("service away", trace)
