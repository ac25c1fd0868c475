"""`/metrics`: what is told, to whom; and that the dashboard, the alerts and the page name nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.support.installation import Installation
from tests.support.scraping import GIVEN_BY_PROMETHEUS, Told, address, asked, expressions, scraped, series
from tests.support.servers import until

PAGE = Path(__file__).resolve().parents[2] / "docs/observability.md"
BEGIN, END = "<!-- begin: generated from what the processes tell -->", "<!-- end -->"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def metrics(installation: Installation) -> dict[str, Told]:
    """What is told after a signature, when every kind of thing has happened."""
    answer = await installation.sign(await installation.sent_proposal())
    assert answer.status_code == 200, answer.text
    return await scraped(installation)


def table(metrics: dict[str, Told]) -> str:
    rows = ["| metric | kind | labels | told by | |", "|---|---|---|---|---|"]
    for name, told in sorted(metrics.items()):
        labels = ", ".join(f"`{label}`" for label in sorted(told.labels - {"le"}))
        who = {1: told.processes[0], 5: "services", 6: "all"}[len(told.processes)]
        rows.append(f"| `{name}` | {told.kind} | {labels} | {who} | {told.help} |")
    return "\n".join(rows)


def test_the_page_lists_what_is_told(metrics: dict[str, Told]):
    """Renew it: SERX_RENEW_DOCS=1 python -m pytest tests/process/test_metrics.py."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    found, _, after = rest.partition(END)
    if os.environ.get("SERX_RENEW_DOCS"):
        PAGE.write_text(f"{before}{BEGIN}\n\n{table(metrics)}\n\n{END}{after}")
    else:
        assert found.strip() == table(metrics)


@pytest.mark.parametrize(("where", "query"), list(expressions()))
def test_a_query_names_only_what_is_told(metrics: dict[str, Told], where: str, query: str):
    told = series(metrics)
    named = list(asked(query))
    assert named, where
    for name, labels in named:
        assert name in told, f"{where}: nobody tells {name}"
        assert labels - told[name] - GIVEN_BY_PROMETHEUS == set(), f"{where}: {name} has no such label"


def test_everything_of_ours_is_on_the_dashboard(metrics: dict[str, Told]):
    shown = {name for _, query in expressions() for name, _ in asked(query)}
    ours = {name for name in metrics if name.startswith("serx_")}
    endings = ("", "_bucket", "_count", "_sum")
    assert {name for name in ours if not any(name + ending in shown for ending in endings)} == set()


async def test_a_signature_is_counted_where_it_passes(installation: Installation):
    async def counted(process: str, line: str) -> float:
        text = (await http.get(f"{address(installation, process)}/metrics")).text
        return sum(float(each.rpartition(" ")[2]) for each in text.splitlines() if each.startswith(line))

    lines = {
        "gateway": 'serx_http_requests_total{method="POST",route="/api/proposals/{id}/sign",status="200"}',
        "proposals": 'serx_flow_seconds_count{outcome="completed"}',
        "engagements": 'serx_messages_total{outcome="done",type="engagements.open.v1"}',
        "orders": 'serx_messages_total{outcome="done",type="orders.place.v1"}',
    }
    async with httpx.AsyncClient() as http:
        before = {process: await counted(process, line) for process, line in lines.items()}
        assert (await installation.sign(await installation.sent_proposal())).status_code == 200

        async def is_counted() -> bool:
            now = {process: await counted(process, line) for process, line in lines.items()}
            return now == {process: count + 1 for process, count in before.items()}

        await until(is_counted)


async def test_the_public_api_tells_no_metrics(installation: Installation):
    assert (await installation.call("GET", "/metrics")).status_code == 404
    assert (await installation.call_as(None, "GET", "/metrics")).status_code == 401
    async with httpx.AsyncClient() as http:
        other = await http.get(f"{address(installation, 'gateway')}/api/health")
    assert other.status_code == 404
