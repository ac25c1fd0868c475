"""What each process may say and hear."""

from __future__ import annotations

import re

import pytest

from shared.ids import new_id
from shared.messaging import topology
from shared.messaging.topology import PROCESSES, SERVICES, TRAFFIC, permissions


def may(allowed: tuple[str, ...], subject: str) -> bool:
    """NATS's own rule: `*` stands for one whole token, `>` for one or more at the end."""
    return any(_matches(pattern.split("."), subject.split(".")) for pattern in allowed)


def _matches(pattern: list[str], subject: list[str]) -> bool:
    for position, token in enumerate(pattern):
        if token == ">":
            return len(subject) > position
        if position >= len(subject) or token not in ("*", subject[position]):
            return False
    return len(pattern) == len(subject)


def test_every_process_has_its_traffic():
    assert set(TRAFFIC) == set(PROCESSES) == {"gateway", *SERVICES}


def test_an_unknown_process_has_no_permissions():
    with pytest.raises(KeyError):
        permissions("stranger")


@pytest.mark.parametrize("process", PROCESSES)
def test_a_wildcard_stands_for_a_whole_token(process: str):
    allowed = permissions(process)
    for subject in (*allowed.publish, *allowed.subscribe):
        for token in subject.split("."):
            assert token in ("*", ">") or not re.search(r"[*>]", token), subject
        assert ">" not in subject.split(".")[:-1]


@pytest.mark.parametrize("process", PROCESSES)
def test_nobody_may_say_or_hear_everything(process: str):
    allowed = permissions(process)
    for subject in ("$SYS.x", "$JS.API.STREAM.DELETE.EVENTS", "$JS.API.STREAM.PURGE.COMMANDS", "anything"):
        assert not may(allowed.publish, subject)
        assert not may(allowed.subscribe, subject)


def test_only_the_proposal_service_says_commands():
    for process in PROCESSES:
        for subject in (topology.command_subject("orders", "place"), topology.direct_subject("orders", "place")):
            assert may(permissions(process).publish, subject) == (process == "proposals")


@pytest.mark.parametrize("process", PROCESSES)
def test_nobody_hears_anothers_inbox_or_deliveries(process: str):
    for other in set(PROCESSES) - {process}:
        heard = permissions(process).subscribe
        assert not may(heard, f"{topology.inbox_prefix(other)}.x.y")
        assert not may(heard, topology.deliver_subject(other, topology.EVENTS))
    assert may(permissions(process).subscribe, f"{topology.inbox_prefix(process)}.x.y")


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_makes_only_its_own_consumer(process: str):
    says = permissions(process).publish
    for stream in (topology.COMMANDS, topology.EVENTS):
        owns = stream in TRAFFIC[process].consumes
        assert may(says, f"$JS.API.CONSUMER.CREATE.{stream}.{process}") == owns
        assert may(says, f"$JS.ACK.{stream}.{process}.1.2.3.4.5") == owns
        for other in set(PROCESSES) - {process}:
            assert not may(says, f"$JS.API.CONSUMER.CREATE.{stream}.{other}")
            assert not may(says, f"$JS.ACK.{stream}.{other}.1.2.3.4.5")


@pytest.mark.parametrize("service", ["identity", "engagements", "orders"])
def test_participants_hear_their_commands_and_may_reply_to_any_replica(service: str):
    assert topology.COMMANDS in TRAFFIC[service].consumes
    assert may(permissions(service).publish, topology.reply_subject("replica", new_id(), "order"))
    assert not may(permissions(service).subscribe, topology.reply_subject("replica", new_id(), "order"))
    for other in SERVICES:
        assert may(permissions(service).subscribe, topology.direct_subject(other, "place")) == (other == service)


def test_what_no_stream_has_had_can_be_sent_to_one():
    direct, kept = topology.direct_subject("orders", "place"), topology.command_subject("orders", "place")
    assert topology.kept_subject(direct) == topology.kept_subject(kept) == kept
    assert topology.kept_subject("evt.now.order.placed") == "evt.now.order.placed"


@pytest.mark.parametrize("service", SERVICES)
def test_whoever_is_asked_can_answer_whoever_asks(service: str):
    question = topology.question_subject(service, "client")
    if not may(permissions(service).subscribe, question):
        return
    for asker in PROCESSES:
        if may(permissions(asker).publish, question):
            assert may(permissions(service).publish, f"{topology.inbox_prefix(asker)}.token.token")


def test_each_resource_has_one_service_that_tells_of_it():
    resources = ["client", "proposal", "template", "engagement", "project", "order", "conversation", "message"]
    for resource in resources:
        subject = topology.event_subject(new_id(), resource, "changed")
        assert len([process for process in PROCESSES if may(permissions(process).publish, subject)]) == 1
