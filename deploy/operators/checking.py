"""The command `serx check`: whether the five databases agree, by the rules of the proof's checker; it only looks."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import Final

from deploy.failure import Failure
from deploy.operators import showing, site
from deploy.operators.options import Again, AsJson, DataDir, Duration
from deploy.operators.site import Site
from deploy.proof.checker import check
from deploy.proof.evidence import AWAY, gather
from deploy.proof.violations import Violation

_SHOWN: Final = 50
_AGAIN: Final = Duration(seconds=5)


def check_all(
    *,
    again: Again = _AGAIN,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Compare the five databases, and say what does not agree. Ends with status 1 when something does not.

    A Signed proposal has one engagement, one order and a project for each item; nothing is there that no flow made;
    copies are at their owners' versions; no flow is open, no event unpublished, no message parked. All rows are read:
    on millions of them it takes minutes.
    """
    found = asyncio.run(disagreements(site.found(data_dir, os.environ), again=again))
    if as_json:
        showing.json(found)
    else:
        rows = [(each.kind.value, each.rule, each.sentence) for each in found[:_SHOWN]]
        showing.table("What does not agree", ("Kind", "Rule", "What"), rows, empty="The five databases agree.")
    if found:
        raise Failure(f'{len(found)} things do not agree. docs/operations.md, "After a restore", says what to do.')


async def disagreements(installation: Site, *, again: timedelta = timedelta()) -> list[Violation]:
    """What is wrong, and still is `again` later. Raises Failure when a database or the broker cannot be read."""
    found = await _look(installation)
    if found and again:
        await asyncio.sleep(again.total_seconds())
        later = await _look(installation)
        return [each for each in later if each in found]
    return found


async def _look(installation: Site) -> list[Violation]:
    try:
        evidence = await gather(installation.dsns(), installation.broker, with_stream=False)
    except AWAY as error:
        raise Failure(
            f"Not everything could be read. {installation.hint}", [f"{type(error).__name__}: {error}"]
        ) from error
    return check(evidence, is_in_use=True)
