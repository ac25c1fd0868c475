"""Every SQL statement is a constant that the migrated schema accepts, and none leaves anything set on a connection."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import asyncpg
import pytest

from shared.messaging.topology import SERVICES
from tests.support.databases import Databases

ROOT = Path(__file__).resolve().parents[2]
STATEMENT = re.compile(r"^\s*(select|with|insert|update|delete|merge)\b", re.IGNORECASE)
SETTING = re.compile(r"(^|;)\s*set\s+(?!local\b)|(^|;)\s*(reset|discard)\b|set_config\s*\(", re.IGNORECASE)
LASTS_LONGER = re.compile(
    r"\bpg_(try_)?advisory_lock\w*\s*\(|(^|;)\s*(listen|prepare|declare|create\s+temp)\b", re.IGNORECASE
)
SQL = re.compile(
    r"^\s*(select|with|insert|update|delete|merge|begin|set|reset|discard|listen|prepare|declare|create)\b",
    re.IGNORECASE,
)
METHODS = {"rows", "row", "value", "run", "run_each"}


def stores(service: str) -> list[Path]:
    return sorted((ROOT / "services" / service / "store").rglob("*.py"))


def shared() -> list[Path]:
    return sorted((ROOT / "shared").rglob("*.py"))


def constants(module: ModuleType) -> Iterator[tuple[str, str]]:
    """The SQL that a module holds by name: its own text constants, and the values of its own mappings."""
    own = {
        target.id
        for node in ast.parse(Path(module.__file__ or "").read_text()).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    for name in sorted(own):
        for key, text in texts(getattr(module, name, None)):
            if STATEMENT.match(text):
                yield f"{module.__name__}.{name}{key}", text


def texts(value: Any) -> Iterator[tuple[str, str]]:
    """A text, or all of a mapping of mappings, each by its keys."""
    if isinstance(value, str):
        yield "", value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from ((f"[{key}]{more}", text) for more, text in texts(inner))


def statements(paths: list[Path]) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in paths:
        module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
        found |= {name: text for name, text in constants(module) if STATEMENT.match(text)}
    return found


@pytest.mark.parametrize("service", SERVICES)
async def test_the_migrated_schema_accepts_every_statement(databases: Databases, service: str):
    faults: dict[str, str] = {}
    found = statements(stores(service)) | statements(shared())
    async with databases.fresh(service) as dsn:
        connection = await asyncpg.connect(dsn)
        try:
            for name, sql in found.items():
                try:
                    await connection.prepare(sql)
                except asyncpg.PostgresError as error:
                    faults[name] = str(error)
        finally:
            await connection.close()
    assert faults == {}
    assert len(found) > 10


@pytest.mark.parametrize("service", SERVICES)
async def test_every_table_with_an_organisation_is_walled(databases: Databases, service: str):
    """Row-level security is enabled and forced wherever rows are an organisation's."""
    async with databases.fresh(service) as dsn:
        connection = await asyncpg.connect(dsn)
        try:
            rows = await connection.fetch(
                """
                select c.relname, c.relrowsecurity and c.relforcerowsecurity as is_walled,
                  exists (select from pg_policy p where p.polrelid = c.oid) as has_policy
                from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'org_id'
                where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
                """
            )
            assert await connection.fetchval("select not rolbypassrls from pg_roles where rolname = current_user")
        finally:
            await connection.close()
    assert rows
    assert [row["relname"] for row in rows if not (row["is_walled"] and row["has_policy"])] == []


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_cannot_change_its_schema(databases: Databases, service: str):
    async with databases.fresh(service) as dsn:
        connection = await asyncpg.connect(dsn)
        try:
            for change in ("create table mine (id int)", "drop table outbox", "alter table outbox add column x int"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(change)
        finally:
            await connection.close()


def sources() -> list[Path]:
    return [path for folder in ("services", "shared", "gateway") for path in sorted((ROOT / folder).rglob("*.py"))]


def test_nothing_is_set_for_longer_than_a_transaction():
    """Connections go back to the pool without a reset query: what was set would be the next one's too."""
    faults = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.value.strip()[:60]}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _outlasts(node.value)
    ]
    assert faults == []


def _outlasts(text: str) -> bool:
    is_sql = SQL.match(text) and not text.rstrip().endswith(".")
    return bool(is_sql and (SETTING.search(text) or LASTS_LONGER.search(text)))


@pytest.mark.parametrize(
    ("sql", "outlasts"),
    [
        ("set local app.org = 'x'", False),
        ("begin; set local app.across = 'on'", False),
        ("update t set a = 1", False),
        ("insert into t values (1) on conflict (id) do update\nset a = 1", False),
        ("set app.org = 'x'", True),
        ("begin; set session app.org = 'x'", True),
        ("select set_config('app.org', $1, false)", True),
        ("reset all", True),
        ("select pg_advisory_lock(1)", True),
        ("select pg_advisory_xact_lock(1)", False),
        ("listen outbox", True),
    ],
)
def test_the_guard_knows_what_outlasts_a_transaction(sql: str, *, outlasts: bool):
    assert _outlasts(sql) == outlasts


def test_statements_are_constants():
    """What a transaction is given as SQL is a name, or an entry of a mapping: nothing is put together at run time."""
    faults = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in sources()
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in METHODS
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "tx"
        and not _is_constant(call.args[1 if call.func.attr in ("rows", "row") else 0])
    ]
    assert faults == []


def _is_constant(argument: ast.expr) -> bool:
    if isinstance(argument, ast.Subscript):
        argument = argument.value
    if isinstance(argument, ast.Attribute):
        return argument.attr.isupper()
    return isinstance(argument, ast.Name) and argument.id.strip("_").isupper()


def test_stores_hold_all_sql():
    """Outside of stores and of what is shared, nobody talks SQL."""
    faults = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources()
        if "shared" not in path.relative_to(ROOT).parts and "store" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.match(r"^\s*(select\s.+\sfrom|insert\s+into|update\s+\w+\s+set|delete\s+from)\b", node.value, re.DOTALL)
    ]
    assert faults == []
