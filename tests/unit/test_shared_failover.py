"""When a stream's leader is alone: then what it answers says nothing of what it can store."""

from __future__ import annotations

import pytest

from shared.messaging.failover import SILENT_NANOSECONDS, has_majority
from shared.messaging.stream_api import Copies, Peer

HEARD = Peer("n1", current=True, active=400_000_000)
BEHIND = Peer("n1", current=False, active=400_000_000)
JUST_STARTED = Peer("n1", current=True, active=0)
SILENT = Peer("n2", current=True, active=SILENT_NANOSECONDS)
NEVER_HEARD = Peer("n2", current=False, active=0)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ((), True),
        ((HEARD, HEARD), True),
        ((HEARD, SILENT), True),
        ((BEHIND, NEVER_HEARD), True),
        ((JUST_STARTED, SILENT), True),
        ((SILENT, SILENT), False),
        ((NEVER_HEARD, SILENT), False),
        ((HEARD, HEARD, SILENT, SILENT), True),
        ((HEARD, SILENT, SILENT, SILENT), False),
        ((HEARD, SILENT, SILENT), False),
    ],
)
def test_a_leader_needs_to_hear_from_more_than_half_of_the_copies_itself_included(
    others: tuple[Peer, ...],
    expected: bool,  # noqa: FBT001  # what is expected
):
    assert has_majority(Copies(leader="n0", replicas=others)) is expected
