"""The token bucket, with the clock in our hands."""

from __future__ import annotations

import pytest

from gateway.limiter import BURST, Limiter


def test_a_burst_of_five_seconds_worth_passes_and_no_more() -> None:
    limiter = Limiter(10)
    assert [limiter.take("a", at=100.0) for _ in range(10 * BURST)] == [0.0] * 10 * BURST
    assert limiter.take("a", at=100.0) > 0


def test_a_refusal_says_when_the_next_request_would_pass() -> None:
    limiter = Limiter(10)
    for _ in range(10 * BURST):
        limiter.take("a", at=100.0)
    wait_seconds = limiter.take("a", at=100.0)
    assert wait_seconds == pytest.approx(0.1)
    assert limiter.take("a", at=100.0 + wait_seconds / 2) > 0
    assert limiter.take("a", at=100.0 + wait_seconds + 0.001) == 0.0


def test_refused_requests_cost_nothing() -> None:
    limiter = Limiter(10)
    for _ in range(10 * BURST + 1000):
        limiter.take("a", at=100.0)
    assert limiter.take("a", at=100.2) == 0.0


def test_after_the_burst_the_rate_holds() -> None:
    limiter = Limiter(200)
    passed = sum(limiter.take("a", at=tick / 1000) == 0.0 for tick in range(20_000))
    assert passed == pytest.approx(200 * 20 + 200 * BURST, rel=0.01)


def test_each_credential_has_its_own_bucket() -> None:
    limiter = Limiter(1)
    for _ in range(BURST):
        assert limiter.take("a", at=0.0) == 0.0
    assert limiter.take("a", at=0.0) > 0
    assert limiter.take("b", at=0.0) == 0.0


def test_zero_means_no_limit() -> None:
    limiter = Limiter(0)
    assert all(limiter.take("a", at=0.0) == 0.0 for _ in range(10_000))


def test_a_rate_below_one_still_lets_the_first_request_through() -> None:
    limiter = Limiter(0.1)
    assert limiter.take("a", at=0.0) == 0.0
    assert limiter.take("a", at=1.0) == pytest.approx(9.0)
    assert limiter.take("a", at=10.0) == 0.0


def test_what_it_remembers_is_bounded() -> None:
    limiter = Limiter(1, capacity=3)
    for key in range(10):
        limiter.take(key, at=0.0)
    assert len(limiter._full_at) == 3
