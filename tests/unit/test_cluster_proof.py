"""What the proof on three hosts concludes from what it sees; the hosts themselves are in component/proof."""

from __future__ import annotations

from uuid import UUID

import pytest
import yaml
from msgspec.structs import replace

from deploy.proof.cluster import endpoints
from deploy.proof.cluster.broker_faults import kill_broker
from deploy.proof.cluster.callers import longest_gap
from deploy.proof.cluster.command import _in_order  # pyright: ignore[reportPrivateUsage]
from deploy.proof.cluster.controls import _need_everything  # pyright: ignore[reportPrivateUsage]
from deploy.proof.cluster.endpoints import Endpoint, Endpoints
from deploy.proof.cluster.faults import FAULTS, Fault
from deploy.proof.cluster.promises import DRAFT, SENT, Written, broken
from deploy.proof.cluster.trial import Made, exceeded
from deploy.proof.violations import Kind
from tests.architecture.test_manifests import MANIFESTS
from tests.unit.test_proof_checker import SENT as A_SENT_ONE
from tests.unit.test_proof_checker import honest


def test_what_was_answered_is_there() -> None:
    assert not broken({str(A_SENT_ONE): Written("h1", SENT)}, honest())


@pytest.mark.parametrize("status", [DRAFT, SENT])
def test_a_proposal_that_was_answered_and_is_nowhere_is_lost(status: int) -> None:
    (violation,) = broken({str(UUID(int=98)): Written("h1", status)}, honest())
    assert violation.kind is Kind.LOST


def test_a_sending_that_was_answered_and_did_not_stay_is_lost() -> None:
    evidence = honest()
    drafts = [replace(proposal, status=DRAFT) for proposal in evidence.proposals]
    (violation,) = broken({str(A_SENT_ONE): Written("h2", SENT)}, replace(evidence, proposals=drafts))
    assert violation.kind is Kind.LOST


def test_an_endpoint_is_taken_out_after_as_many_bad_answers_as_the_manifests_say() -> None:
    endpoint = _endpoint()
    endpoint.heed(is_ready=True)
    for _ in range(endpoints.FAILURES - 1):
        endpoint.heed(is_ready=False)
    assert endpoint.is_listed
    endpoint.heed(is_ready=False)
    assert (endpoint.is_listed, endpoint.delisted) == (False, 1)
    endpoint.heed(is_ready=True)
    assert endpoint.is_listed


def test_a_good_answer_between_bad_ones_begins_the_count_anew() -> None:
    endpoint = _endpoint()
    for is_ready in (True, False, False, True, False, False):
        endpoint.heed(is_ready=is_ready)
    assert endpoint.is_listed


def test_the_control_takes_all_gateways_out_when_one_service_is() -> None:
    there = Endpoints([], {}, 8000)
    gateway, orders, identity = (Endpoint(name, None, 1) for name in ("gateway", "orders", "identity"))  # type: ignore[arg-type]
    there.all, there.gateways = [gateway, orders, identity], [gateway]
    assert gateway.needs(), "without the control it needs nothing"
    _need_everything(there)
    seen: list[bool] = []
    for orders.is_listed, identity.is_listed in ((False, True), (True, True), (True, False)):
        seen.append(gateway.needs())
    assert seen == [False, True, False]
    assert (gateway.path, orders.path, identity.path) == ("/health/ready", "/health", "/health")


def test_probes_are_those_of_the_manifests() -> None:
    numbers = {"periodSeconds": endpoints.PERIOD_SECONDS, "timeoutSeconds": endpoints.TIMEOUT_SECONDS}
    for path in (MANIFESTS / "base").glob("*.yaml"):
        for document in yaml.safe_load_all(path.read_text()):
            containers = document.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
            for probe in (container["readinessProbe"] for container in containers if "readinessProbe" in container):
                assert probe["httpGet"]["path"] == _endpoint().path
                assert probe.items() >= {**numbers, "failureThreshold": endpoints.FAILURES}.items(), path


def test_every_kind_of_fault_comes_before_any_comes_again() -> None:
    order = _in_order(FAULTS, len(FAULTS) * 2, "seed")
    assert set(order[: len(FAULTS)]) == set(order[len(FAULTS) :]) == set(FAULTS)
    assert order == _in_order(FAULTS, len(FAULTS) * 2, "seed") != _in_order(FAULTS, len(FAULTS) * 2, "other")


FAULT = Fault(name="f", make=kill_broker, limit_seconds=1, reads_seconds=2, signatures_seconds=3)
WELL = Made(name="f", place="h1", at=0, lasted=1, limit=1, recovery=1, longest_read_gap=2, longest_signature_gap=3)


@pytest.mark.parametrize(
    ("made", "word"),
    [
        (replace(WELL, recovery=1.1), "after 1.1 s"),
        (replace(WELL, recovery=None), "never"),
        (replace(WELL, longest_read_gap=2.1), "no read"),
        (replace(WELL, longest_signature_gap=3.1), "nothing was signed"),
    ],
)
def test_each_limit_that_is_exceeded_is_a_sentence(made: Made, word: str) -> None:
    (sentence,) = exceeded(FAULT, made)
    assert word in sentence
    assert exceeded(FAULT, WELL) == []


def test_where_signatures_need_not_go_on_their_gap_is_no_fault() -> None:
    assert exceeded(replace(FAULT, signatures_seconds=None), replace(WELL, longest_signature_gap=60)) == []


def test_the_longest_gap_is_that_within_the_time_looked_at() -> None:
    times = [0.0, 10.0, 11.0, 14.0, 30.0]
    assert longest_gap(times, 9.0, 16.0) == 3.0
    assert longest_gap(times, 15.0, 29.0) == 14.0
    assert longest_gap([], 1.0, 3.0) == 2.0


def _endpoint() -> Endpoint:
    return Endpoint("orders", None, 8101)  # type: ignore[arg-type] - it is asked nothing
