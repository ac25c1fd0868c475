"""Where a signature is taken in: T1, the flow in a task of its own, and the wait for its end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from prometheus_client.metrics_core import Metric

from services.proposals.domain import signing
from services.proposals.model.proposals import Ids, Plan, SignatureRefused, SignCall
from services.proposals.store import sagas
from services.proposals.store import signing as store
from services.proposals.views import SignReport
from shared import clock, metrics, telemetry
from shared.database import CommitUnknown, Database, DatabaseAway, DatabaseBusy
from shared.errors import KeyInUse
from shared.failpoints import failpoint, without
from shared.messaging.journal import Outcome, Run
from shared.messaging.orchestrator import Orchestrator
from shared.messaging.saga import Progress, SagaStatus
from shared.web.actor import Actor
from shared.web.idempotency import REPLAYED

T1_TRIES: Final = 40
T1_WAIT_SECONDS: Final = 0.25
PARKED: Final = "parked"
OPEN_STATES: Final[tuple[str, ...]] = ("running", "compensating", PARKED)
"""How a flow can stand that is not over; a parked one waits for an operator."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a sign call is answered: the stored result, or the report of a flow that is still under way."""

    result: bytes = b""
    report: SignReport | None = None
    is_replayed: bool = False


class SignJournal:
    """The sign flow's rows, each write in a transaction of its own. Implements the orchestrator's Journal."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, limit: int) -> Sequence[Run[Plan]]:
        async with self._database.transaction_across_organisations() as tx:
            return await sagas.claim(tx, limit)

    async def record(self, run: Run[Plan], *, is_parked: bool) -> None:
        async with self._database.transaction(run.plan.proposal.org_id) as tx:
            await sagas.record(tx, run, is_parked=is_parked)

    async def complete(self, run: Run[Plan]) -> Outcome | None:
        if without("fence"):
            async with self._database.transaction(run.plan.proposal.org_id) as tx:
                await store.pull_down_the_fence(tx, run)
        async with self._database.joint() as tx:
            result = await signing.complete(tx, run, clock.now())
        failpoint("proposals.after_t3")
        return None if result is None else Outcome(status=SagaStatus.COMPLETED, result=result)

    async def compensate(self, run: Run[Plan], cause: str) -> bool:
        async with self._database.transaction(run.plan.proposal.org_id) as tx:
            return await store.compensate(tx, run, cause)

    async def reject(self, run: Run[Plan]) -> Outcome | None:
        async with self._database.transaction(run.plan.proposal.org_id) as tx:
            cause = await store.reject(tx, run, clock.now())
        return None if cause is None else Outcome(status=SagaStatus.REJECTED, cause=cause)

    async def outcome(self, saga: UUID) -> Outcome | None:
        async with self._database.transaction_across_organisations() as tx:
            return await sagas.outcome(tx, saga)

    async def gauges(self) -> Sequence[Metric]:
        """Flows that are not over, for `/metrics`; nothing while the database is away."""
        try:
            async with self._database.transaction_across_organisations() as tx:
                found = await sagas.open_flows(tx)
        except (DatabaseAway, DatabaseBusy):
            return []
        flows = {str(state): 0.0 for state in OPEN_STATES}
        oldest = dict(flows)
        for each in found:
            state = PARKED if each.is_parked else each.status.value
            flows[state] += each.flows
            oldest[state] = max(oldest[state], each.oldest_seconds)
        return [
            metrics.gauges("serx_flows_open", "Flows that are not over.", "state", flows.items()),
            metrics.gauges(
                "serx_flow_oldest_seconds", "Age of the oldest flow that is not over.", "state", oldest.items()
            ),
        ]


class SignDesk:
    """Takes signatures in."""

    def __init__(self, database: Database, orchestrator: Orchestrator[Plan]) -> None:
        self._database = database
        self._orchestrator = orchestrator

    async def sign(self, actor: Actor, call: SignCall, *, wait_seconds: float) -> Answer:
        """Sign a proposal, and wait for what comes of it, `wait_seconds` at most.

        Raises NotFound, Stale, SignatureRefused, DatabaseAway, and ProposalNotSignable or UniqueViolated, also for a
        key that its caller has used since it was looked for.
        """
        plan = await self._begin(actor, call)
        failpoint("proposals.after_t1")
        self._orchestrator.start(_fresh_run(plan))
        outcome = await self._orchestrator.wait(plan.ids.saga, wait_seconds)
        if outcome is None:
            return Answer(report=await self._report(actor, call.proposal))
        return Answer(result=_result(outcome))

    async def answer_of(self, saga: UUID) -> Answer:
        """What a flow answered, once more. Raises KeyInUse while it runs, and SignatureRefused as it was refused."""
        async with self._database.transaction_across_organisations() as tx:
            outcome = await sagas.outcome(tx, saga)
        if outcome is None:
            raise KeyInUse
        try:
            return Answer(result=_result(outcome), is_replayed=True)
        except SignatureRefused as refusal:
            refusal.headers = {REPLAYED: "true"}
            raise

    async def _begin(self, actor: Actor, call: SignCall) -> Plan:
        """T1. When COMMIT's answer is lost, look and try again with the same ids, until the database is back."""
        ids, at = signing.allocate_ids(), clock.now()
        is_unknown = False
        for left in reversed(range(T1_TRIES)):
            try:
                return await self._t1(actor, call, ids, at)
            except DatabaseAway as error:
                is_unknown = is_unknown or isinstance(error, CommitUnknown)
                if not is_unknown or not left:
                    raise
                await asyncio.sleep(T1_WAIT_SECONDS)
        raise AssertionError("unreachable")

    async def _t1(self, actor: Actor, call: SignCall, ids: Ids, at: datetime) -> Plan:
        failpoint("proposals.before_t1_commit")
        async with self._database.joint() as tx:
            plan = await signing.begin(tx, actor, call, ids=ids, traceparent=telemetry.traceparent.get(), at=at)
        if plan is not None:
            return plan
        async with self._database.transaction(actor.org_id) as tx:
            return await signing.begun_or_why(tx, actor, call, ids.saga, at)

    async def _report(self, actor: Actor, proposal: UUID) -> SignReport:
        async with self._database.transaction(actor.org_id) as tx:
            return await signing.report(tx, actor, proposal)


def _fresh_run(plan: Plan) -> Run[Plan]:
    return Run(
        id=plan.ids.saga,
        plan=plan,
        progress=Progress(SagaStatus.RUNNING, {}),
        marks={},
        attempt=1,
        traceparent=telemetry.traceparent.get(),
    )


def _result(outcome: Outcome) -> bytes:
    if outcome.status is SagaStatus.REJECTED:
        raise SignatureRefused(outcome.cause)
    return outcome.result
