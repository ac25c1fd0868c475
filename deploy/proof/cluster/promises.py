"""What callers were answered, held against what is there in the end. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from deploy.proof.evidence import Evidence
from deploy.proof.violations import Kind, Violation

DRAFT, SENT = 0, 1
RULE = "what was answered is there"


class Written(msgspec.Struct):
    """A proposal that was answered with 201: by which gateway, and the least status that answers gave it since."""

    gateway: str
    status: int = DRAFT


def broken(written: Mapping[str, Written], evidence: Evidence) -> list[Violation]:
    """Each answer that does not hold; `written` is by the proposal's id."""
    there = {str(proposal.id): proposal.status for proposal in evidence.proposals}
    found: list[Violation] = []
    for proposal, answered in written.items():
        status = there.get(proposal)
        if status is None:
            found.append(Violation(RULE, Kind.LOST, f"{answered.gateway} wrote proposal {proposal}, and it is nowhere"))
        elif status < answered.status:
            found.append(Violation(RULE, Kind.LOST, f"{answered.gateway} sent proposal {proposal}, and it is a draft"))
    return found
