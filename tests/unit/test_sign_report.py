"""What the report says of a step that was never answered: it waits, until nobody waits for it any more."""

from __future__ import annotations

import pytest

from services.proposals.domain.signing import WAITS_FOR_AN_OPERATOR, for_client, report_of
from services.proposals.model.proposals import ProposalStatus
from services.proposals.store.sagas import Report
from services.proposals.views import SignReport
from shared.contracts.reply import CANCELLED, Reply
from shared.messaging.saga import Progress, SagaStatus
from tests.unit.test_proposal_model import NOW, plan, proposal

DONE, REFUSED = Reply(outcome="done"), Reply(outcome="refused", cause="No.")
UNDONE = {"engagement.cancel": CANCELLED, "order.cancel": CANCELLED}


def report(status: SagaStatus, replies: dict[str, Reply], *, is_client_known: bool = True) -> SignReport:
    """The report of a flow with these replies."""
    stored = Report(
        id=(mine := plan(proposal(ProposalStatus.SIGNING), is_client_known=is_client_known)).ids.saga,
        plan=mine,
        progress=Progress(status, replies),
        marks={},
        attempt=1,
        is_parked=False,
        cause=None,
        started_at=NOW,
        finished_at=None,
    )
    return report_of(stored, [])


def steps(status: SagaStatus, replies: dict[str, Reply], *, is_client_known: bool = True) -> dict[str, str]:
    """How each step is reported to stand."""
    return {step.name: step.status for step in report(status, replies, is_client_known=is_client_known).steps}


def test_a_client_reads_that_a_step_waits_for_an_operator_and_not_what_went_wrong():
    replies = {"order": Reply(outcome="parked", cause="UniqueViolated: orders_pkey"), "engagement": REFUSED}
    whole = report(SagaStatus.RUNNING, replies)
    errors = {step.name: step.error for step in for_client(whole).steps}
    assert errors == {"order": WAITS_FOR_AN_OPERATOR, "engagement": "No."}
    assert {step.name: step.error for step in whole.steps}["order"] == "UniqueViolated: orders_pkey"


def test_a_step_of_a_running_flow_waits_until_it_is_answered():
    assert steps(SagaStatus.RUNNING, {"engagement": DONE}) == {"engagement": "done", "order": "waiting"}


def test_when_a_flow_turns_back_a_step_waits_until_its_own_cancel_is_answered():
    told = steps(SagaStatus.COMPENSATING, {"order": REFUSED})
    assert told["engagement"] == told["engagement.cancel"] == "waiting"
    told = steps(SagaStatus.COMPENSATING, {"order": REFUSED, "engagement.cancel": CANCELLED})
    assert told["engagement"] == told["engagement.cancel"] == "cancelled"
    assert (told["order"], told["order.cancel"]) == ("refused", "waiting")


def test_a_parked_cancel_bars_nothing():
    told = steps(SagaStatus.COMPENSATING, {"order": REFUSED, "engagement.cancel": Reply(outcome="parked")})
    assert (told["engagement"], told["engagement.cancel"]) == ("waiting", "parked")


def test_an_undone_flow_has_no_step_that_waits_whichever_was_never_answered():
    refused = steps(SagaStatus.REJECTED, {"client": REFUSED, **UNDONE}, is_client_known=False)
    assert refused == {"client": "refused", "engagement": "cancelled", "order": "cancelled"} | {
        "engagement.cancel": "cancelled",
        "order.cancel": "cancelled",
    }
    assert set(steps(SagaStatus.REJECTED, UNDONE, is_client_known=False).values()) == {"cancelled"}


@pytest.mark.parametrize("answer", [DONE, REFUSED, Reply(outcome="parked", cause="poison")])
def test_what_a_step_was_answered_stays_in_the_report_of_an_undone_flow(answer: Reply):
    assert steps(SagaStatus.REJECTED, {"order": answer, **UNDONE})["order"] == answer.outcome
