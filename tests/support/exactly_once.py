"""The invariants, asserted of an installation by the checker of `serx prove`."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from deploy.proof.checker import check, signed_has_one_of_each
from deploy.proof.evidence import Evidence, commands_left, gather
from deploy.proof.violations import Kind, Violation
from shared.messaging.topology import SERVICES
from tests.support.installation import Installation
from tests.support.servers import until


async def evidence_of(installation: Installation) -> Evidence:
    """All that its databases and its broker hold."""
    services = installation.ready["services"]
    place = services["postgres"]["url"].rpartition("/")[0]
    return await gather({name: f"{place}/serx_{name}" for name in SERVICES}, services["nats"]["url"])


async def has_exactly_one_of_everything(installation: Installation, *proposals: dict[str, Any]) -> None:
    """Asserts it of each of these Signed proposals, from the owners' tables and from the API."""
    evidence = await evidence_of(installation)
    for proposal in proposals:
        (mine,) = (each for each in evidence.proposals if str(each.id) == proposal["id"])
        assert list(signed_has_one_of_each(evidence, of=mine)) == []
        assert (str(mine.engagement_id), str(mine.order_id), str(mine.total)) == (
            proposal["converted_engagement_id"],
            proposal["converted_order_id"],
            proposal["total"],
        )
        engagement = await installation.call("GET", f"/api/engagements/{proposal['converted_engagement_id']}")
        assert [project["name"] for project in engagement.json()["projects"]] == mine.item_names


async def nothing_is_left_open(installation: Installation, *, acks: bool = True) -> None:
    """Asserts that within ten seconds nothing is lost, doubled or stuck: no open flow, no old copy, nothing parked.

    What was done and not acked comes again after AckWait, 5 s: it has ten seconds more, and without `acks` counts for
    nothing.
    """
    left: list[Violation] = []

    async def is_right(*, acks: bool = False) -> bool:
        evidence = await evidence_of(installation)
        found = check(evidence if acks else replace(evidence, commands_left=0))
        # Other tests of the same installation change clients and rows by hand, which the flow did not make untrue.
        left[:] = [violation for violation in found if violation.kind is not Kind.UNTRUE]
        return not left

    async def is_all_acked() -> bool:
        return not await commands_left(installation.ready["services"]["nats"]["url"])

    try:
        await until(is_right)
        if acks:
            # The broker alone is asked meanwhile: to gather everything takes far longer, and AckWait is seconds.
            await until(is_all_acked)
            await until(lambda: is_right(acks=True))
    except TimeoutError as error:
        raise AssertionError(left) from error
