"""What `serx prove exactly-once` reports of its faults."""

from __future__ import annotations

import msgspec

from deploy.proof.report import Recovery, Report, as_json, report_of
from deploy.proof.storm import Made, Outcome

KILLED = Made(at=0.1236, name="broker killed", place="nats", lasted_seconds=0.0001, recovery_seconds=0.3004)
UNTIMED = Made(at=0.5, name="process frozen for 10 s", place="gateway-2", lasted_seconds=10.0)
KILLED_AGAIN = Made(at=1.25, name="broker killed", place="nats", lasted_seconds=0.0, recovery_seconds=8.5)


def report() -> Report:
    """As a machine reads it."""
    outcome = Outcome(
        seed="7a3f",
        timeline=[KILLED, UNTIMED, KILLED_AGAIN],
        calls=1,
        proposals=1,
        signed=1,
        refused=0,
        manners={},
        repeated=0,
        poison=0,
        settled_seconds=0.0,
        last_to_settle=[],
        took_seconds=12.0,
        violations=[],
    )
    return msgspec.json.decode(as_json(report_of(outcome, "serx prove exactly-once")), type=Report)


def test_each_fault_is_told_with_when_and_where_it_was_how_long_it_lasted_and_what_it_took_to_recover():
    assert [msgspec.to_builtins(made) for made in report().timeline] == [
        {"at": 0.124, "name": "broker killed", "place": "nats", "lasted_seconds": 0.0, "recovery_seconds": 0.3},
        {
            "at": 0.5,
            "name": "process frozen for 10 s",
            "place": "gateway-2",
            "lasted_seconds": 10.0,
            "recovery_seconds": None,
        },
        {"at": 1.25, "name": "broker killed", "place": "nats", "lasted_seconds": 0.0, "recovery_seconds": 8.5},
    ]


def test_faults_are_counted_and_timed_by_their_kind():
    assert report().faults == {"broker killed": 2, "process frozen for 10 s": 1}
    assert report().recovery == {"broker killed": Recovery(measured=2, p50=0.3, p99=8.5, longest=8.5)}
