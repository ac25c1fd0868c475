"""What size costs: the same calls against organisations of ever more projects, each in an installation of its own.

All of them run side by side and are asked in turn, so that a slow minute is every size's.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from tests.bench import ours
from tests.bench.contender import Contender
from tests.bench.load import Calls, Outcome, fetch, one_at_a_time
from tests.bench.results import Grown
from tests.bench.seeding import CONVERSATION, ENGAGEMENT, PROJECT, PROJECTS_OF_ENGAGEMENT, id_of

SIZES = (1_000, 100_000, 1_000_000)
PAGE = 100
DEEPEST_PAGE = 500
"""How many links are followed; the last of them are measured."""
MEASURED_PAGES = 50

FIRST = "first page"
FILTERED = "filtered page"
FIRST_LARGE = f"first page of {PAGE}"
DEEP = f"deep page of {PAGE}, by links.next"
RETRIEVE = "retrieve a project"
COMPOSITION = "an engagement with its projects and conversations"
SIGN = "sign"
MESSAGES = "first page of messages"
DEEP_MESSAGES = f"deep page of {PAGE} messages, by links.next"
CONVERSATION_PAGE = "a project's conversations"
INBOX = "the inbox"


async def grow(sizes: Sequence[int], root: Path, *, repeats: int, seconds: float) -> AsyncIterator[Grown]:
    """Measure each call at each size; yields each as it is known."""
    async with AsyncExitStack() as stack:
        grown: dict[int, Contender] = {}
        for size in sizes:
            installation = await stack.enter_async_context(ours.started(root / str(size)))
            grown[size] = await ours.contender(installation, projects=size)
        deep = {size: await asyncio.to_thread(deep_pages, contender, size) for size, contender in grown.items()}
        for repeat, size in itertools.product(range(repeats), sizes):
            contender = grown[size]
            for call, calls in (plain(contender, size) | deep[size]).items():
                outcome = await asyncio.to_thread(one_at_a_time, calls, seconds=seconds)
                yield _grown(call, size, repeat, outcome)
            signing = await contender.signing(int(seconds * 1000))
            outcome = await asyncio.to_thread(one_at_a_time, signing, seconds=seconds)
            contender.signed(outcome.requests)
            yield _grown(SIGN, size, repeat, outcome)


def plain(contender: Contender, projects: int) -> dict[str, Calls]:
    """What a front end asks for."""
    engagements = projects // PROJECTS_OF_ENGAGEMENT
    some = range(1, engagements, max(1, engagements // 500))
    talked_about = f"/api/projects/{id_of(PROJECT, 2)}/conversations"
    return {
        FIRST: contender.reading("/api/projects?limit=20"),
        FILTERED: contender.reading("/api/projects?limit=20&status=2"),
        FIRST_LARGE: contender.reading(f"/api/projects?limit={PAGE}"),
        RETRIEVE: contender.retrieving(),
        COMPOSITION: contender.reading(*(f"/api/engagements/{id_of(ENGAGEMENT, n)}" for n in some)),
        CONVERSATION_PAGE: contender.reading(talked_about),
        MESSAGES: contender.reading(f"{talked_about}/{id_of(CONVERSATION, 1)}/messages?limit=20"),
        INBOX: contender.reading("/api/conversations?limit=20"),
    }


def deep_pages(contender: Contender, projects: int) -> dict[str, Calls]:
    """The last pages that following `links.next` comes to, from the first one on."""
    messages = f"/api/projects/{id_of(PROJECT, 2)}/conversations/{id_of(CONVERSATION, 1)}/messages"
    pages = min(projects // PAGE, DEEPEST_PAGE)
    few = min(projects // 10 // PAGE, DEEPEST_PAGE)
    return {
        DEEP: contender.reading(*followed(contender, f"/api/projects?limit={PAGE}", pages)),
        DEEP_MESSAGES: contender.reading(*followed(contender, f"{messages}?limit={PAGE}", few)),
    }


class _Links(msgspec.Struct, frozen=True):
    next: str | None


class _Page(msgspec.Struct, frozen=True):
    links: _Links


def followed(contender: Contender, first: str, pages: int) -> list[str]:
    """Follow `links.next` from the page `first` for that many pages; the last MEASURED_PAGES of them."""
    path, walked = first, [first]
    while len(walked) < pages:
        page = msgspec.json.decode(fetch(contender.reading(path)), type=_Page)
        if page.links.next is None:
            break
        parts = urlsplit(page.links.next)
        path = f"{parts.path}?{parts.query}"
        walked.append(path)
    return walked[-MEASURED_PAGES:]


def _grown(call: str, size: int, repeat: int, outcome: Outcome) -> Grown:
    return Grown(call=call, projects=size, repeat=repeat, p50_ms=outcome.p50_ms, p99_ms=outcome.p99_ms)
