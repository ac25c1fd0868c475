"""What `serx prove recovery` calls kept."""

from __future__ import annotations

from deploy.proof.recovery import Kind
from deploy.proof.report import recovery_of


def of(*seconds: float) -> Kind:
    return Kind(name="broker killed", limit_seconds=1.0, recovery=recovery_of(seconds))


def test_a_limit_that_was_reached_and_never_exceeded_is_kept():
    assert of(0.2, 1.0, 0.3).is_kept


def test_a_limit_that_was_exceeded_once_is_not_kept():
    kind = of(0.2, 1.001, 0.3)
    assert not kind.is_kept
    assert kind.recovery.longest == 1.001
