"""`docs/data.md` is true: its tables are those of the migrated databases."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from pathlib import Path

from shared.messaging.topology import SERVICES
from tests.architecture.data_page import BEGIN, END, page
from tests.support.databases import Databases

PAGE = Path(__file__).resolve().parents[2] / "docs" / "data.md"


async def test_the_page_has_the_tables_that_the_databases_have(databases: Databases):
    async with AsyncExitStack() as stack:
        dsns = {service: await stack.enter_async_context(databases.fresh(service)) for service in SERVICES}
        # As an administrator: a service's role does not see what it may not touch.
        place = databases.admin_dsn.rpartition("/")[0]
        found = await page({service: f"{place}/{dsn.rpartition('/')[2]}" for service, dsn in dsns.items()})
    before, rest = PAGE.read_text().split(BEGIN)
    told, after = rest.split(END)
    if os.environ.get("SERX_RENEW_DOCS"):
        PAGE.write_text(f"{before}{BEGIN}\n\n{found}\n\n{END}{after}")
        told = f"\n\n{found}\n\n"
    assert told.strip() == found.strip(), "renew it: SERX_RENEW_DOCS=1 python -m pytest tests/architecture/test_data.py"
