"""Our stack as users run it: `serx up`, with all that it does by default; only the rate limit lets all through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from uuid import UUID

from shared.messaging.topology import PROCESSES, SERVICES
from tests.bench.contender import OURS, Contender
from tests.bench.seeding import seed_history, seed_sent, some_projects
from tests.support.installation import Installation, installed

# The limiter works as ever, and finds that there is enough; failpoints are for tests.
ENVIRONMENT = {"SERX_RATE_LIMIT": "1000000", "SERX_FAILPOINTS_DIR": ""}


@asynccontextmanager
async def started(root: Path) -> AsyncIterator[Installation]:
    """`serx up` in `root`."""
    async with installed(root, **ENVIRONMENT) as installation:
        yield installation


async def contender(installation: Installation, *, projects: int) -> Contender:
    """Our stack with a past of that many projects."""
    ready = installation.ready
    org = organisation(installation)
    dsns = {service: dsn(installation, service) for service in SERVICES}
    await seed_history(dsns, org, projects)
    return Contender(
        OURS,
        ready["gateway_url"],
        ready["demo"]["admin_token"],
        trees=trees(installation),
        seed=partial(seed_sent, dsns["proposals"], org),
        projects=await some_projects(dsns["engagements"], org, 1000),
    )


def trees(installation: Installation) -> dict[str, int]:
    """The six processes, PostgreSQL and NATS."""
    return {name: service["pid"] for name, service in installation.ready["services"].items()}


def six(installation: Installation) -> dict[str, int]:
    """The gateway and the five services."""
    return {name: pid for name, pid in trees(installation).items() if name in PROCESSES}


def organisation(installation: Installation) -> UUID:
    return UUID(installation.ready["demo"]["org_id"])


def dsn(installation: Installation, service: str) -> str:
    """A service's database, as the administrator."""
    return f"{installation.ready['services']['postgres']['url'].rpartition('/')[0]}/serx_{service}"
