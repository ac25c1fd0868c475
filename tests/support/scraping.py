"""What the processes of an installation tell at `/metrics`, and what is said about it elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import promql_parser as promql
import yaml
from prometheus_client.parser import text_string_to_metric_families

from shared.messaging.topology import PROCESSES
from tests.support.installation import Installation

FOLDER = Path(__file__).resolve().parents[2] / "deploy/observability"
GIVEN_BY_PROMETHEUS = {"job", "instance"}
SERIES = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",), "gauge": ("",)}


@dataclass
class Told:
    """One metric: what it is, who tells it, and its labels."""

    kind: str
    help: str
    processes: list[str] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)


async def scraped(installation: Installation) -> dict[str, Told]:
    """Every metric that any process tells, by name as queries spell it, without a histogram's endings."""
    metrics: dict[str, Told] = {}
    async with httpx.AsyncClient() as http:
        for process in PROCESSES:
            answer = await http.get(f"{address(installation, process)}/metrics")
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
            for family in text_string_to_metric_families(answer.text):
                name = family.name + ("_total" if family.type == "counter" else "")
                told = metrics.setdefault(name, Told(family.type, family.documentation))
                told.processes.append(process)
                told.labels |= {label for sample in family.samples for label in sample.labels}
    return metrics


def address(installation: Installation, process: str) -> str:
    """Where a process tells them."""
    if process == "gateway":
        ports = json.loads((installation.folder / "ports.json").read_bytes())
        return f"http://127.0.0.1:{ports['gateway_metrics']}"
    return installation.ready["services"][process]["url"]


def series(metrics: dict[str, Told]) -> dict[str, set[str]]:
    """Labels by the name of each series that a query may ask for."""
    found: dict[str, set[str]] = {"up": set()}
    for name, told in metrics.items():
        for ending in SERIES[told.kind]:
            found[name.removesuffix("_total") + ending if told.kind == "counter" else name + ending] = told.labels
    return found


def expressions() -> Iterator[tuple[str, str]]:
    """Where each query stands, and the query."""
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for panel in json.loads((FOLDER / "dashboard.json").read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m")


def asked(query: str) -> Iterator[tuple[str, set[str]]]:
    """Each series that a query reads, with the labels that it needs of it."""
    yield from _asked(promql.parse(query), set())


def _asked(node: Any, needed: set[str]) -> Iterator[tuple[str, set[str]]]:
    match node:
        case promql.VectorSelector():
            yield node.name or "", needed | {matcher.name for matcher in node.matchers.matchers}
        case promql.MatrixSelector():
            yield from _asked(node.vector_selector, needed)
        case promql.AggregateExpr():
            yield from _asked(node.expr, needed | set(node.modifier.labels if node.modifier else ()))
        case promql.BinaryExpr():
            yield from _asked(node.lhs, needed)
            yield from _asked(node.rhs, needed)
        case promql.Call():
            for argument in node.args:
                yield from _asked(argument, needed)
        case promql.ParenExpr() | promql.SubqueryExpr() | promql.UnaryExpr():
            yield from _asked(node.expr, needed)
        case promql.NumberLiteral() | promql.StringLiteral():
            return
        case _:
            raise AssertionError(f"a part of a query that nobody knows: {node}")
