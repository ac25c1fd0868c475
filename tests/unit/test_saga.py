"""The stepper, by scripts: given what is known, expect what to do; forward and back."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from shared.contracts.reply import CANCELLED, Reply
from shared.messaging.saga import (
    Command,
    Compensate,
    Complete,
    Do,
    Flow,
    Move,
    Progress,
    Reject,
    SagaStatus,
    Step,
    Undo,
    heard,
    is_stuck,
    moves,
)


class Nothing(msgspec.Struct):
    pass


def says(name: str):
    return lambda *_: Command(name, Nothing())


FLOW: Flow[bool] = Flow(
    "sign",
    (
        Step(name="client", service="identity", does=says("ensure"), skip=lambda is_known: is_known),
        Step(name="engagement", service="engagements", does=says("open"), undo=says("cancel"), after=("client",)),
        Step(name="order", service="orders", does=says("place"), undo=says("cancel"), after=("client",)),
    ),
)
KNOWN, UNKNOWN = FLOW.of(plan=True), FLOW.of(plan=False)
DONE, REFUSED, PARKED = Reply(outcome="done"), Reply(outcome="refused", cause="No."), Reply(outcome="parked", cause="!")
RUNNING = Progress(SagaStatus.RUNNING, {})


def given(flow: Flow[bool], status: SagaStatus, **replies: Reply) -> tuple[Move, ...]:
    return moves(flow, Progress(status, {name.replace("_cancel", ".cancel"): reply for name, reply in replies.items()}))


def test_with_a_known_client_both_commands_go_out_at_once():
    assert given(KNOWN, SagaStatus.RUNNING) == (Do("engagement"), Do("order"))


def test_with_an_unknown_client_nothing_else_is_sent_before_identity_has_answered():
    assert given(UNKNOWN, SagaStatus.RUNNING) == (Do("client"),)


def test_once_identity_has_answered_the_others_are_sent():
    assert given(UNKNOWN, SagaStatus.RUNNING, client=DONE) == (Do("engagement"), Do("order"))


def test_only_what_has_no_reply_is_sent_again():
    assert given(KNOWN, SagaStatus.RUNNING, engagement=DONE) == (Do("order"),)


def test_when_all_have_answered_the_flow_completes():
    assert given(KNOWN, SagaStatus.RUNNING, engagement=DONE, order=DONE) == (Complete(),)


@pytest.mark.parametrize("others", [{}, {"order": DONE}, {"order": PARKED}])
def test_one_refusal_turns_the_flow_back_whatever_the_others_said(others: dict[str, Reply]):
    assert given(KNOWN, SagaStatus.RUNNING, engagement=REFUSED, **others) == (Compensate("No."),)


def test_a_refusal_by_identity_turns_the_flow_back_before_anything_was_sent():
    assert given(UNKNOWN, SagaStatus.RUNNING, client=REFUSED) == (Compensate("No."),)


def test_cancels_go_to_every_step_that_can_be_undone_whether_its_command_left_or_not():
    assert given(UNKNOWN, SagaStatus.COMPENSATING, client=REFUSED) == (Undo("engagement"), Undo("order"))


def test_identity_is_never_cancelled():
    assert Undo("client") not in given(UNKNOWN, SagaStatus.COMPENSATING, client=DONE, engagement=REFUSED)


def test_a_cancel_that_was_answered_is_not_sent_again():
    assert given(KNOWN, SagaStatus.COMPENSATING, engagement_cancel=CANCELLED) == (Undo("order"),)


def test_the_flow_is_rejected_only_when_all_cancels_are_answered():
    assert given(KNOWN, SagaStatus.COMPENSATING, engagement_cancel=CANCELLED, order_cancel=CANCELLED) == (Reject(),)


@pytest.mark.parametrize("status", [SagaStatus.COMPLETED, SagaStatus.REJECTED])
def test_a_flow_that_is_over_asks_for_nothing(status: SagaStatus):
    assert given(KNOWN, status, engagement=DONE) == ()


def test_the_first_word_of_a_step_counts():
    progress = heard(KNOWN, heard(KNOWN, RUNNING, "order", DONE), "order", REFUSED)
    assert progress.replies["order"] is DONE


def test_a_parked_step_may_still_be_answered():
    progress = heard(KNOWN, heard(KNOWN, RUNNING, "order", PARKED), "order", DONE)
    assert progress.replies["order"] is DONE


def test_replies_of_steps_that_the_flow_does_not_have_change_nothing():
    assert heard(KNOWN, RUNNING, "client", DONE) is RUNNING
    assert heard(KNOWN, RUNNING, "client.cancel", CANCELLED) is RUNNING
    assert heard(KNOWN, RUNNING, "payment", DONE) is RUNNING


def test_a_late_done_is_no_answer_to_a_cancel():
    assert heard(KNOWN, RUNNING, "order.cancel", DONE) is RUNNING


def test_a_parked_step_stops_the_flow_once_nothing_else_can_be_sent():
    assert not is_stuck(KNOWN, Progress(SagaStatus.RUNNING, {"order": PARKED}))
    assert is_stuck(KNOWN, Progress(SagaStatus.RUNNING, {"order": PARKED, "engagement": DONE}))


def test_a_parked_cancel_keeps_the_flow_from_being_rejected():
    replies = {"order.cancel": PARKED, "engagement.cancel": CANCELLED}
    assert moves(KNOWN, Progress(SagaStatus.COMPENSATING, replies)) == ()
    assert is_stuck(KNOWN, Progress(SagaStatus.COMPENSATING, replies))


def test_no_order_of_replies_makes_a_difference():
    said = [("client", DONE), ("engagement", DONE), ("order", DONE)]
    for order in itertools.permutations(said):
        progress = RUNNING
        for name, reply in order:
            progress = heard(UNKNOWN, progress, name, reply)
        assert moves(UNKNOWN, progress) == (Complete(),)
