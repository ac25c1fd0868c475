"""The proposal service's database in the model: proposals, runs, keys; T1, T_c, T3 and T_u as atomic fences."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

import msgspec
from msgspec.structs import replace

from services.proposals.domain.signing import ending_of, report_of
from services.proposals.model.proposals import Ids, Plan, Proposal, ProposalStatus
from services.proposals.store.sagas import Report
from services.proposals.views import SignReport
from shared.contracts.identity import ClientState
from shared.messaging.journal import Outcome, Run
from shared.messaging.saga import Progress, SagaStatus
from tests.support.saga_model.broker import Fact, Outbox
from tests.support.saga_model.parts import Hole, Part

AT = datetime(2026, 1, 1, tzinfo=UTC)
OPEN = (SagaStatus.RUNNING, SagaStatus.COMPENSATING)


class Saga(msgspec.Struct, frozen=True):
    """A run's row."""

    run: Run[Plan]
    is_due: bool = False
    is_parked: bool = False
    cause: str = ""
    result: bytes = b""

    @property
    def status(self) -> SagaStatus:
        return self.run.progress.status

    @property
    def is_open(self) -> bool:
        return self.status in OPEN


class Journal(Part):
    """What is durable at the proposal service."""

    def __init__(self, hole: Hole | None, proposals: Iterable[Proposal], clients: Iterable[ClientState]) -> None:
        self.hole = hole
        self.proposals = {proposal.id: proposal for proposal in proposals}
        self.clients = {client.id: client for client in clients}
        self.signing_by: dict[UUID, UUID] = {}
        self.sagas: dict[UUID, Saga] = {}
        self.keys: dict[str, UUID] = {}
        self.sends: dict[UUID, UUID | None] = {}
        """Proposals that are being sent, each under the lock of its address: to whom, as the copy says."""
        self.owners: dict[UUID, UUID] = {}
        """To whom some look has found that a proposal belongs."""
        self.told_done: set[tuple[UUID, str]] = set()
        """Steps that some report has said are done."""
        self.outbox = Outbox()

    def begin(self, proposal: UUID, ids: Ids, key: str | None) -> Run[Plan] | None:
        """T1; None when the proposal is not Sent."""
        found = self.proposals[proposal]
        if found.status is not ProposalStatus.SENT:
            return None
        signing = replace(found, status=ProposalStatus.SIGNING, version=found.version + 1)
        if self.hole is Hole.SIGNED_BY_ADDRESS:
            signing = replace(signing, client_id=None)
        known = [client for client in self.clients.values() if client.is_enabled and _is_meant(client, signing)]
        plan = Plan(ids=ids, proposal=signing, client=known[0] if len(known) == 1 else None, at=AT)
        run = Run(
            id=ids.saga, plan=plan, progress=Progress(SagaStatus.RUNNING, {}), marks={}, attempt=1, traceparent=""
        )
        self.proposals[proposal] = signing
        self.signing_by[proposal] = run.id
        self.sagas[run.id] = Saga(run)
        if key is not None:
            self.keys[key] = run.id
        return run

    def claim(self) -> list[Run[Plan]]:
        """Take over runs that are due, under a lease."""
        due = [saga for saga in self.sagas.values() if saga.is_open and saga.is_due and not saga.is_parked]
        claimed = [replace(saga.run, attempt=saga.run.attempt + 1) for saga in due]
        for saga, run in zip(due, claimed, strict=True):
            self.sagas[run.id] = replace(saga, run=run, is_due=False)
        return claimed

    def record(self, run: Run[Plan], *, is_parked: bool) -> None:
        """Keep what is known so far; due after a back-off. Nothing if the run has moved on."""
        saga = self.sagas[run.id]
        if saga.status is run.progress.status:
            self._write(saga, self._known(saga, run), is_due=False, is_parked=is_parked)

    def compensate(self, run: Run[Plan], cause: str) -> bool:
        """T_c."""
        saga = self.sagas[run.id]
        if saga.status is not SagaStatus.RUNNING and self.hole is not Hole.FENCE_OFF:
            return False
        known = Progress(SagaStatus.COMPENSATING, self._known(saga, run).replies)
        self._write(saga, known, cause=cause, is_due=False)
        return True

    def complete(self, run: Run[Plan]) -> Outcome | None:
        """T3."""
        saga = self.sagas[run.id]
        if not self._may_end(saga, SagaStatus.RUNNING):
            return None
        end = ending_of(run, AT)
        self._write(saga, Progress(SagaStatus.COMPLETED, run.progress.replies), result=end.result)
        self.proposals[end.signed.id] = end.signed
        told = Fact("proposal", end.signed.id, end.signed.version, msgspec.json.decode(end.told.body))
        self.outbox.put(told)
        return Outcome(status=SagaStatus.COMPLETED, result=end.result)

    def reject(self, run: Run[Plan]) -> Outcome | None:
        """T_u."""
        saga = self.sagas[run.id]
        if not self._may_end(saga, SagaStatus.COMPENSATING):
            return None
        self._write(saga, Progress(SagaStatus.REJECTED, run.progress.replies))
        proposal = self.proposals[run.plan.proposal.id]
        client = proposal.client_id or self.client_of(proposal.client_email)
        sent = replace(proposal, status=ProposalStatus.SENT, client_id=client, version=proposal.version + 1)
        self.proposals[proposal.id] = sent
        self.signing_by.pop(proposal.id, None)
        return Outcome(status=SagaStatus.REJECTED, cause=saga.cause)

    def outcome(self, run: UUID) -> Outcome | None:
        saga = self.sagas[run]
        if saga.is_open:
            return None
        return Outcome(status=saga.status, result=saga.result, cause=saga.cause)

    def lapse(self, run: UUID) -> None:
        """A lease or a back-off runs out."""
        self.sagas[run] = replace(self.sagas[run], is_due=True)

    def retry(self, run: UUID) -> None:
        """An operator makes an open run due now; what is parked is sent again."""
        saga = self.sagas[run]
        left = {step: reply for step, reply in saga.run.progress.replies.items() if reply.outcome != "parked"}
        self._write(saga, Progress(saga.status, left), is_due=True, is_parked=False)

    def cancel(self, run: UUID) -> None:
        """An operator's T_c."""
        saga = self.sagas[run]
        turned = Progress(SagaStatus.COMPENSATING, saga.run.progress.replies)
        self._write(saga, turned, cause="cancelled by an operator", is_due=True, is_parked=False)

    def report(self, run: UUID) -> SignReport:
        """The report, as production tells it."""
        saga = self.sagas[run]
        row = Report(
            id=run,
            plan=saga.run.plan,
            progress=saga.run.progress,
            marks={},
            attempt=saga.run.attempt,
            is_parked=saga.is_parked,
            cause=saga.cause,
            started_at=AT,
            finished_at=None,
        )
        return report_of(row, [])

    def begin_send(self, proposal: UUID, named: ClientState | None) -> bool:
        """The copy is asked whose the address is, and identity (`named`), where the copy names none or several."""
        found = self.proposals[proposal]
        if found.status is not ProposalStatus.DRAFT or proposal in self.sends:
            return False
        client = self.client_of(found.client_email)
        if client is None and named is not None and self._write_copy(named):
            known = self.clients[named.id]
            client = known.id if not known.is_closed and known.email == found.client_email else None
        self.sends[proposal] = client
        return True

    def end_send(self, proposal: UUID) -> None:
        """It is Sent, and its address's lock is free again."""
        found = self.proposals[proposal]
        client = self.sends.pop(proposal)
        sent = replace(found, status=ProposalStatus.SENT, client_id=client, version=found.version + 1)
        self.proposals[proposal] = sent

    def hear(self, fact: Fact) -> bool:
        """Write what identity says of a client, unless something newer is there; False while a send holds a lock."""
        return self._write_copy(fact.state)

    def client_of(self, email: str) -> UUID | None:
        """The one client, neither closed nor deleted, who has the address."""
        named = [client.id for client in self.clients.values() if client.email == email and not client.is_closed]
        return named[0] if len(named) == 1 else None

    def _write_copy(self, client: ClientState) -> bool:
        known = self.clients.get(client.id, client)
        addresses = {known.email, client.email}
        is_locked = any(self.proposals[each].client_email in addresses for each in self.sends)
        if is_locked and self.hole is not Hole.SENT_WITHOUT_THE_LOCK:
            return False
        if client.id not in self.clients or known.version < client.version:
            self.clients[client.id] = client
        for proposal in self.proposals.values():
            is_open = proposal.status is ProposalStatus.SENT and proposal.client_id is None
            if is_open and proposal.client_email in addresses and self.hole is not Hole.COPY_BINDS_NOTHING:
                bound = replace(proposal, client_id=self.client_of(proposal.client_email))
                self.proposals[proposal.id] = bound
        return True

    def _known(self, saga: Saga, run: Run[Plan]) -> Progress:
        """What the driver knows, and what was recorded meanwhile, which stays; a parked step may be answered again."""
        recorded = {step: reply for step, reply in saga.run.progress.replies.items() if reply.outcome != "parked"}
        return Progress(run.progress.status, {**run.progress.replies, **recorded})

    def _may_end(self, saga: Saga, status: SagaStatus) -> bool:
        """The fence of T3 and T_u: the run is in that state, and its proposal is Signing by it."""
        if self.hole is Hole.FENCE_OFF:
            return True
        proposal = saga.run.plan.proposal.id
        is_by_it = self.signing_by.get(proposal) == saga.run.id
        return saga.status is status and self.proposals[proposal].status is ProposalStatus.SIGNING and is_by_it

    def _write(self, saga: Saga, progress: Progress, **changes: object) -> None:
        self.sagas[saga.run.id] = replace(saga, run=replace(saga.run, progress=progress), **changes)


def _is_meant(client: ClientState, proposal: Proposal) -> bool:
    """Whether the proposal is signed for this client; one without a client, for who has its address."""
    if client.is_closed or client.is_deleted:
        return False
    if proposal.client_id is not None:
        return client.id == proposal.client_id
    return client.email == proposal.client_email
