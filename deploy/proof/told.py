"""The rules over what clients were told: answers to their signatures, and reports of the flows. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from deploy.proof.evidence import Evidence
from deploy.proof.history import Line, Reported, Told
from deploy.proof.violations import Found, Kind
from shared.messaging.saga import CANCEL_SUFFIX

SIGNED: Final = 2
REFUSED_OPENLY: Final = frozenset({409, 503})
"""What a client may be told instead of a result: it is not signable or was refused; come again."""
ENDED: Final = {"completed": frozenset({"done"}), "rejected": frozenset({"done", "refused", "parked", "cancelled"})}
"""How a flow can have ended, and how its steps can stand then: none waits."""


def answers_are_true(evidence: Evidence, history: Sequence[Line]) -> Found:
    proposals = {str(proposal.id): proposal for proposal in evidence.proposals}
    projects: dict[str, list[str]] = defaultdict(list)
    for project in evidence.projects:
        if project.cancelled_at is None:
            projects[str(project.engagement_id)].append(str(project.id))
    for line in history:
        if line.told is Told.FAIL and line.status not in REFUSED_OPENLY:
            yield Kind.UNTRUE, f"signing {line.proposal} was answered {line.status}: {line.detail}"
        if line.engagement is None:
            continue
        proposal = proposals.get(line.proposal)
        if proposal is None or proposal.status != SIGNED:
            yield Kind.LOST, f"the client was told that {line.proposal} is Signed, and it is not"
        elif (str(proposal.engagement_id), str(proposal.order_id)) != (line.engagement, line.order):
            yield Kind.UNTRUE, f"the client was told other ids of {line.proposal} than it has"
        elif line.projects and list(line.projects) != projects[line.engagement]:
            yield Kind.UNTRUE, f"the client was told other projects of {line.proposal} than it has"


def keyed_answers_are_one(history: Sequence[Line]) -> Found:
    digests: dict[tuple[str, str], set[str]] = defaultdict(set)
    for line in history:
        if line.key is not None and line.digest is not None:
            digests[line.org, line.key].add(line.digest)
    for (_, key), different in digests.items():
        if len(different) > 1:
            yield Kind.DOUBLED, f"the Idempotency-Key {key} was given {len(different)} different answers"


def reports_are_true(evidence: Evidence, history: Sequence[Line]) -> Found:
    """Of each flow the report tells what became of it; no step of one that is over waits, and what is done is there."""
    sagas = {str(saga.id): saga for saga in evidence.sagas}
    made = {
        "engagement": {str(each.saga_id) for each in evidence.engagements},
        "order": {str(each.saga_id) for each in evidence.orders},
    }
    for line in history:
        if (report := line.report) is None:
            continue
        saga = sagas.get(report.saga)
        if saga is None or str(saga.proposal_id) != line.proposal:
            yield Kind.UNTRUE, f"a flow {report.saga} of {line.proposal} was reported, and is not there"
        elif report.status in ENDED and report.status != saga.status:
            yield Kind.UNTRUE, f"the flow {report.saga} was reported {report.status}, and is {saga.status}"
        for step, status in report.steps.items():
            if not _can_be(report, step, status):
                yield Kind.UNTRUE, f"the flow {report.saga} was reported {report.status}, its step {step} {status}"
            if status == "done" and step in made and report.saga not in made[step]:
                yield Kind.UNTRUE, f"the step {step} of {report.saga} was reported done, and nothing of it is there"


def _can_be(report: Reported, step: str, status: str) -> bool:
    if step.endswith(CANCEL_SUFFIX):
        return report.status != "rejected" or status == "cancelled"
    return report.status not in ENDED or status in ENDED[report.status]
