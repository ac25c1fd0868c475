"""The commands `serx sagas …`: runs of the sign flow, looked at, made due, turned back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from cyclopts import App, Parameter

from deploy.failure import Failure
from deploy.operators import mending, showing, site
from deploy.operators.options import AsJson, By, DataDir, Limit, OlderThan, Org, Reason, Service, before, who, why
from deploy.operators.site import Site
from services.proposals.domain import interventions, signing
from services.proposals.model.interventions import Action, Intervention
from services.proposals.store import interventions as store
from services.proposals.store.interventions import Filters
from services.proposals.store.sagas import Report
from services.proposals.views import SignReport, StepView
from shared import clock
from shared.database import Tx
from shared.messaging.saga import CANCEL_SUFFIX, SagaStatus

OPEN: Final = (SagaStatus.RUNNING, SagaStatus.COMPENSATING)
_PAGE = 500

app = App(name="sagas", help="Runs of the sign flow: look at them, make them due now, turn them back.")

Which = Literal["open", "parked", "running", "compensating", "completed", "rejected", "all"]
SagaId = Annotated[UUID, Parameter(help="Id of the flow, as `serx sagas list` shows it.")]


class FlowLine(msgspec.Struct, frozen=True, kw_only=True):
    """A run as a list shows it; `waits_for` are the steps that it cannot end without."""

    saga_id: UUID
    proposal_id: UUID
    org_id: UUID
    is_parked: bool
    cause: str | None
    waits_for: list[StepView]
    report: SignReport


@app.command(name="list")
def list_(
    *,
    status: Annotated[
        Which, Parameter(help="In which state; `parked` are open ones that wait for an operator.")
    ] = "open",
    older_than: OlderThan = None,
    org: Org = None,
    service: Service = None,
    limit: Limit = 50,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List flows, oldest first: by default those that are not over. `--service` asks for those that wait for it."""
    statuses = _statuses(status)
    filters = Filters(
        statuses=statuses,
        is_parked=True if status == "parked" else None,
        org_id=org,
        started_before=before(older_than),
    )
    lines = asyncio.run(listed(site.found(data_dir, os.environ), filters, service=service, limit=limit))
    if as_json:
        showing.json(lines)
        return
    columns = ("Flow", "Proposal", "State", "Age", "Waits for")
    rows = [
        (
            str(line.saga_id),
            str(line.proposal_id),
            "parked" if line.is_parked else line.report.status,
            showing.age(line.report.started_at),
            ", ".join(_spell_wait(step) for step in line.waits_for),
        )
        for line in lines
    ]
    showing.table("Flows", columns, rows, empty=f"No flow is {status}." if status != "all" else "There is no flow.")


@app.command
def show(
    saga: Annotated[UUID, Parameter(help="Id of the flow, or of its proposal (then the newest flow).")],
    /,
    *,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show one flow: each step with its service, attempts, times and error; and what operators did."""
    line = asyncio.run(shown(site.found(data_dir, os.environ), saga))
    if as_json:
        showing.json(line)
        return
    report = line.report
    showing.say(
        f"Flow          {line.saga_id}",
        f"Proposal      {line.proposal_id}",
        f"Organisation  {line.org_id}",
        f"State         {report.status}{', parked: it waits for an operator' if line.is_parked else ''}",
        f"Started       {showing.moment(report.started_at)} UTC, {showing.age(report.started_at)} ago",
        *([f"Finished      {showing.moment(report.finished_at)} UTC"] if report.finished_at else []),
        *([f"Cause         {line.cause}"] if line.cause else []),
    )
    columns = ("Step", "Service", "State", "Attempts", "First sent", "Took", "Error")
    showing.table("Steps", columns, [_step_row(step) for step in report.steps])
    if report.interventions:
        rows = [
            (showing.moment(each.at), each.action, each.step or "", each.by, each.reason)
            for each in report.interventions
        ]
        showing.table("What operators did", ("When (UTC)", "What", "Step", "Who", "Why"), rows)


@app.command
def retry(saga: SagaId, /, *, reason: Reason, by: By = None, data_dir: DataDir = None) -> None:
    """Make a flow due now, and ask parked steps again. A flow that is over refuses."""
    _intervene(site.found(data_dir, os.environ), saga, interventions.retry, "retry", by, reason)
    showing.say(f"The flow {saga} is due now. See how it goes: serx sagas show {saga}")


@app.command
def cancel(saga: SagaId, /, *, reason: Reason, by: By = None, data_dir: DataDir = None) -> None:
    """Turn a running flow back: what it made is undone, and its proposal is Sent again. A flow that is over refuses.

    The running proposal service does the undoing, and does not give up; until then the flow is `compensating`.
    """
    _intervene(site.found(data_dir, os.environ), saga, interventions.cancel, "cancel", by, reason)
    showing.say(f"The flow {saga} is being undone. See how it goes: serx sagas show {saga}")


@app.command(name="mend")
def mend_(*, reason: Reason, by: By = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """After a restore: have made again what completed flows lack, and taken out what no flow made. Can be repeated.

    The flows are the truth. The services do it, with the same ids as the first time; `serx check` shows when it is so.
    """
    done = Intervention(action="retry", actor=who(by), reason=why(reason), at=clock.now())
    said = asyncio.run(mending.mend(site.found(data_dir, os.environ), done))
    if as_json:
        showing.json(said)
        return
    rows = [(str(each.saga_id), each.service, each.step) for each in said]
    showing.table("Said", ("Flow", "To", "Step"), rows, empty="Every flow has what it made, and nothing else is there.")


async def listed(installation: Site, filters: Filters, *, service: str | None, limit: int) -> list[FlowLine]:
    """Flows, oldest first; with `service`, those that wait for it."""
    lines: list[FlowLine] = []
    async with installation.database("proposals") as database, database.transaction_across_organisations() as tx:
        after: Report | None = None
        while page := await store.page(tx, filters, after=after, limit=_PAGE):
            after = page[-1]
            told = [_line(each, []) for each in page]
            lines += [each for each in told if service is None or any(s.service == service for s in each.waits_for)]
            if len(lines) >= limit:
                break
    return lines[:limit]


async def shown(installation: Site, saga_or_proposal: UUID) -> FlowLine:
    """One flow with what operators did to it. Raises Failure when there is none."""
    async with installation.database("proposals") as database, database.transaction_across_organisations() as tx:
        found = await store.find(tx, saga_or_proposal)
        if found is None:
            raise Failure(f"There is no flow {saga_or_proposal}, and no flow of a proposal of that id.")
        return _line(found, await store.of_saga(tx, found.plan.proposal.org_id, found.id))


def _intervene(
    installation: Site,
    saga: UUID,
    act: Callable[[Tx, UUID, Intervention], Awaitable[None]],
    action: Action,
    by: str | None,
    reason: str,
) -> None:
    done = Intervention(action=action, actor=who(by), reason=why(reason), at=clock.now())

    async def intervene() -> None:
        async with installation.database("proposals") as database, database.transaction_across_organisations() as tx:
            await act(tx, saga, done)

    asyncio.run(intervene())


def _line(found: Report, done: list[Intervention]) -> FlowLine:
    report = signing.report_of(found, done)
    is_back = report.status == SagaStatus.COMPENSATING
    waits_for = [
        step
        for step in report.steps
        if step.status in ("waiting", "parked") and step.name.endswith(CANCEL_SUFFIX) == is_back
    ]
    return FlowLine(
        saga_id=found.id,
        proposal_id=found.plan.proposal.id,
        org_id=found.plan.proposal.org_id,
        is_parked=found.is_parked,
        cause=found.cause,
        waits_for=waits_for if found.progress.status in OPEN else [],
        report=report,
    )


def _statuses(which: Which) -> list[str]:
    match which:
        case "open" | "parked":
            return [status.value for status in OPEN]
        case "all":
            return [status.value for status in SagaStatus]
        case _:
            return [which]


def _spell_wait(step: StepView) -> str:
    return f"{step.name} ({step.service}{', parked' if step.status == 'parked' else ''})"


def _step_row(step: StepView) -> tuple[str, ...]:
    took = (step.finished_at - step.started_at).total_seconds() if step.started_at and step.finished_at else None
    return (
        step.name,
        step.service,
        step.status,
        str(step.attempts),
        showing.moment(step.started_at),
        "" if took is None else showing.spell_seconds(took),
        step.error or "",
    )
