"""What names are sorted by: the same key in every database, and one that fits into an index."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from tests.support.databases import Databases
from tests.support.names import IN_ORDER

MIGRATIONS = Path(__file__).resolve().parents[2] / "shared/database/migrations"
KEY = MIGRATIONS / "20261201001101_name_key.sql"
KEYS_PLANNED_ONCE = MIGRATIONS / "20261201001201_keys_planned_once.sql"
LONGEST = [letter * 255 for letter in ("x", "한", "\ufdfa", "\U0001d4b3", "\U00010400", "\u0390", "\U00020000")]
"""As long as a name may be; some of these letters are eighteen without their form, or four bytes."""


@pytest.fixture(
    params=["locale_provider libc locale 'C'", "locale_provider builtin builtin_locale 'C.UTF-8'"],
    ids=["libc", "builtin"],
)
async def connection(databases: Databases, request: pytest.FixtureRequest):
    """A database of another locale that has the key."""
    admin = await asyncpg.connect(databases.admin_dsn)
    await admin.execute("drop database if exists serx_names_locale with (force)")
    await admin.execute(
        f"create database serx_names_locale template template0 encoding 'UTF8' lc_ctype 'C' {request.param}"
    )
    other = await asyncpg.connect(f"{databases.admin_dsn.rpartition('/')[0]}/serx_names_locale")
    for migration in (KEY, KEYS_PLANNED_ONCE):
        await other.execute(migration.read_text().partition("-- migrate:down")[0])
    yield other
    await other.close()
    await admin.execute("drop database serx_names_locale with (force)")
    await admin.close()


async def test_names_sort_by_letters_then_marks_then_as_written_in_every_locale(connection: asyncpg.Connection):
    names = await connection.fetch(
        'select name from unnest($1::text[]) name order by name_key_of(name) collate "C"', sorted(IN_ORDER)
    )
    assert [row["name"] for row in names] == IN_ORDER
    assert await connection.fetchval("select name_key_of(null) is null")


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("rene\u0301", "REN\u00c9"),
        ("\u1e9e", "ss"),
        ("\u0130X", "ix"),
        ("\uff21", "a"),
        ("\ufb01", "fi"),
        ("\u30ac", "\u30ab"),
        ("\u05d1\u05bc", "\u05d1"),
        ("\u0623", "\u0627"),
        ("\u1100\u1161\u11a8", "\uac01"),
        ("A\u200bda", " ada "),
        ("\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2", "\u03c3\u03b9\u03c3\u03c5\u03c6\u03bf\u03c3"),
    ],
)
async def test_letters_have_no_case_no_marks_and_one_form(connection: asyncpg.Connection, one: str, same: str):
    assert await connection.fetchval("select letters_of($1) = letters_of($2)", one, same)


@pytest.mark.parametrize(
    ("one", "another"), [("ab", "a b"), ("o'neil", "oneil"), ("\u0e01\u0e34", "\u0e01"), ("", "a")]
)
async def test_what_is_no_mark_counts_as_a_letter(connection: asyncpg.Connection, one: str, another: str):
    assert await connection.fetchval("select letters_of($1) <> letters_of($2)", one, another)


async def test_the_longest_names_fit_into_an_index(connection: asyncpg.Connection):
    await connection.execute(
        "create table people (org_id uuid, id uuid, name text,"
        ' key text collate "C" generated always as (name_key_of(name)) stored);'
        "create index on people (org_id, key, id)"
    )
    for name in LONGEST:
        # Random letters of the same size too: an index compresses what repeats.
        apart = "".join(chr(0x10000 + place * 7919 % 0x10000) for place in range(255))
        for each in (name, apart):
            await connection.execute("insert into people values (uuidv7(), uuidv7(), $1)", each)
    assert await connection.fetchval("select max(octet_length(key)) from people") > 2000


async def test_a_key_is_what_it_was_and_needs_no_search_path(connection: asyncpg.Connection):
    """What is stored by the function of before is compared with what this one makes."""
    await connection.execute("set search_path = ''")
    names = [*IN_ORDER, *LONGEST, "", " ", "JANE@Roe.example", "\u0391\u0392\u03a3@x.example", "\u0130@x.example"]
    keys = "select public.name_key_of(name), public.email_key_of(name) from unnest($1::text[]) name"
    now = await connection.fetch(keys, names)
    await connection.execute("set search_path = public")
    await connection.execute(KEYS_PLANNED_ONCE.read_text().partition("-- migrate:down")[2])
    assert now == await connection.fetch(keys, names)
    assert len(now) == len(names) > 20
