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


CALLS = ("CREATE", "UPDATE", "DELETE", "PURGE", "MSG.DELETE", "MSG.GET", "SNAPSHOT", "RESTORE", "LEADER.STEPDOWN")


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_only_looks_at_streams_and_its_own_consumers(process: str):
    says = permissions(process).publish
    for stream in (topology.COMMANDS, topology.EVENTS):
        assert may(says, f"$JS.API.STREAM.INFO.{stream}") == (process != "gateway" or stream == topology.EVENTS)
        assert not any(may(says, f"$JS.API.STREAM.{call}.{stream}") for call in CALLS)
        for owner in PROCESSES:
            owns = owner == process and stream in TRAFFIC[process].consumes
            assert may(says, f"$JS.API.CONSUMER.INFO.{stream}.{owner}") == owns
            assert may(says, f"$JS.ACK.{stream}.{owner}.1.2.3.4.5") == owns
            for call in ("CREATE", "DURABLE.CREATE", "DELETE", "PAUSE", "MSG.NEXT", "LEADER.STEPDOWN"):
                assert not may(says, f"$JS.API.CONSUMER.{call}.{stream}.{owner}")


def test_the_stream_keeper_makes_and_changes_what_the_topology_names_and_says_nothing_else():
    says = permissions(topology.STREAM_KEEPER).publish
    assert all(each.startswith("$JS.API.") and "*" not in each and ">" not in each for each in says)
    for stream in (topology.COMMANDS, topology.EVENTS):
        assert all(may(says, f"$JS.API.STREAM.{call}.{stream}") for call in ("INFO", "CREATE", "UPDATE"))
        assert not any(may(says, f"$JS.API.STREAM.{call}.{stream}") for call in CALLS[2:])
    assert not may(says, f"$JS.API.CONSUMER.CREATE.{topology.EVENTS}.listener-billing")
    assert permissions(topology.STREAM_KEEPER).subscribe == ("_INBOX_streams.>",)


@pytest.mark.parametrize("service", ["identity", "engagements", "orders"])
def test_participants_hear_their_commands_and_reply_as_themselves_to_any_replica(service: str):
    assert topology.COMMANDS in TRAFFIC[service].consumes
    for other in SERVICES:
        reply = topology.reply_subject(other, "replica", new_id(), "order")
        assert may(permissions(service).publish, reply) == (other == service)
        assert topology.is_reply_of(service, reply) == (other == service)
        assert not may(permissions(service).subscribe, reply)
        assert may(permissions(service).subscribe, topology.direct_subject(other, "place")) == (other == service)


@pytest.mark.parametrize(
    "subject", ["rep.orders", "rep.orders.a.b", "rep.orders..b.c", "evt.orders.a.b.c", "$JS.API.x.y.z"]
)
def test_what_is_no_reply_subject_is_none(subject: str):
    assert not topology.is_reply_of("orders", subject)


@pytest.mark.parametrize(
    ("subject", "type"),
    [
        ("evt.any.client.changed", "client.changed.v1"),
        ("cmd.orders.place", "orders.place.v1"),
        ("now.identity.ensure-client", "identity.ensure-client.v12"),
    ],
)
def test_a_type_belongs_on_the_subject_of_its_name(subject: str, type: str):
    assert topology.carries(subject, type)


@pytest.mark.parametrize(
    ("subject", "type"),
    [
        ("evt.any.engagement.changed", "client.changed.v1"),
        ("evt.any.client.deleted", "client.changed.v1"),
        ("evt.any.client.changed", "client.changed"),
        ("evt.any.client.changed", "client.changed.v1.v1"),
        ("evt.any.orders.place", "x.orders.place.v1"),
        ("evt.any", ".v1"),
        ("evt.client.changed", "client.changed.v1"),
        ("cmd.orders.place", "engagements.open.v1"),
        ("ask.orders.place", "orders.place.v1"),
        ("orders.place", "orders.place.v1"),
        ("", ""),
    ],
)
def test_a_type_belongs_on_no_other_subject(subject: str, type: str):
    assert not topology.carries(subject, type)


def test_what_no_stream_has_had_can_be_sent_to_one():
    direct, kept = topology.direct_subject("orders", "place"), topology.command_subject("orders", "place")
    assert topology.kept_subject(direct) == topology.kept_subject(kept) == kept
    assert topology.kept_subject("evt.now.order.placed") == "evt.now.order.placed"


@pytest.mark.parametrize("process", PROCESSES)
def test_whoever_is_asked_may_answer_whoever_asks_and_nobody_says_anything_else_at_an_inbox(process: str):
    says = permissions(process).publish
    for other in PROCESSES:
        asks = any(each.startswith(f"ask.{process}.") for each in TRAFFIC[other].says)
        assert may(says, f"{topology.answers_prefix(other)}.token.token") == asks
        assert not may(says, f"{topology.acks_prefix(other)}.token.0")
        assert not may(says, f"{topology.inbox_prefix(other)}.token.token")


def test_each_resource_has_one_service_that_tells_of_it():
    resources = ["client", "proposal", "template", "engagement", "project", "order", "conversation", "message"]
    for resource in resources:
        subject = topology.event_subject(new_id(), resource, "changed")
        assert len([process for process in PROCESSES if may(permissions(process).publish, subject)]) == 1
