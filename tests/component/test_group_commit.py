"""Statements of one kind that come at the same time are one transaction, and none has anything of another's."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from deploy.proof.relay import Relay
from shared.database import CommitUnknown, Database, DatabaseAway, UniqueViolated
from shared.database.group_commit import LOCK_MILLISECONDS, MOST
from shared.ids import new_id
from tests.support.databases import Databases, opened
from tests.support.interference import is_waiting_for_a_lock
from tests.support.servers import until

# A word is kept once in an organisation; `echo` says it as often as it is told to, and who else it sees.
SCHEMA = """
create table words (org_id uuid not null, word text primary key);
alter table words enable row level security;
alter table words force row level security;
create policy organisation on words using (org_id = (select nullif(current_setting('app.org', true), '')::uuid));
create table told (at timestamptz);
create function say(p_org uuid, p_word text, p_times int) returns table (echo text, seen bigint) language plpgsql as $$
begin
  if p_org is not null then
    perform set_config('app.org', p_org::text, true);
    insert into words values (p_org, p_word);
  end if;
  if p_word like '%slowly' then
    perform pg_sleep(0.1);
  end if;
  while p_word = 'until told' and not exists (select from told) loop
    perform pg_sleep(0.01);
  end loop;
  return query select p_word || time, (select count(*) from words) from generate_series(1, p_times) time;
end $$;
grant select, insert, update, delete on words, told to public;
"""
SAY = """
select echo, seen from say($1, $2, $3)
"""
SAY_SHORTLY = """
select echo from say($1, $2, $3)
"""
LIMIT = """
select current_setting('lock_timeout')
"""


class Echo(msgspec.Struct, frozen=True):
    echo: str
    seen: int


class Words:
    """What the test says through a Database, and what is kept of it."""

    def __init__(self, database: Database, dsn: str, admin: asyncpg.Connection) -> None:
        self.database, self.dsn, self.admin = database, dsn, admin
        self.org = new_id()

    async def say(self, word: str, *, org: UUID | None = None, times: int = 1, told: Any = None) -> Any:
        async with self.database.joint() as tx:
            echo = await tx.row(Echo, SAY, org or self.org, word, times)
            if told is not None:
                tx.said.append(told)
        return echo

    async def kept(self) -> dict[str, str]:
        """Each word that is kept, and the transaction that wrote it."""
        rows = await self.admin.fetch("select word, xmin::text from words")
        return {row["word"]: row["xmin"] for row in rows}

    @asynccontextmanager
    async def held(self, *words: str) -> AsyncIterator[None]:
        """Somebody else is saying these words, and thinks better of it in the end."""
        somebody = await asyncpg.connect(self.dsn, server_settings={"app.org": str(self.org)})
        try:
            await somebody.execute("begin")
            await somebody.executemany("insert into words values ($1, $2)", [(self.org, word) for word in words])
            yield
        finally:
            await somebody.close()

    async def is_speaking_slowly(self) -> bool:
        return await self.admin.fetchval(
            "select count(*) > 0 from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"
        )

    def counts(self) -> tuple[int, ...]:
        return tuple(self.database.group_commit.counts)  # what `/metrics` tells


@pytest_asyncio.fixture(loop_scope="session")
async def words(databases: Databases) -> AsyncIterator[Words]:
    async with databases.fresh("orders") as dsn, opened(dsn) as database:
        admin = await asyncpg.connect(databases.as_administrator(dsn))
        await admin.execute(SCHEMA)
        yield Words(database, dsn, admin)
        await admin.close()


async def meanwhile(words: Words, databases: Databases, *others: Any) -> list[Any]:
    """Ask for `others` while another call of their kind is under way; what became of each."""
    async with words.held("first"):
        first = asyncio.create_task(words.say("first"))
        await until(lambda: is_waiting_for_a_lock(databases, words.dsn))
        asked = [asyncio.ensure_future(other) for other in others]
        # The first is not waited for long: the others are done while it still stands before its lock.
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert not first.done()
    assert (await first).echo == "first1"
    return answers


async def test_what_comes_meanwhile_is_one_transaction_and_each_has_its_own_answer(words: Words, databases: Databases):
    said = [f"word{number}" for number in range(MOST)]
    answers = await meanwhile(words, databases, *(words.say(word) for word in said))
    assert [answer.echo for answer in answers] == [f"{word}1" for word in said]
    assert [answer.seen for answer in answers] == list(range(1, MOST + 1))  # one after another, in the order they came
    kept = await words.kept()
    assert len({kept[word] for word in said}) == 1
    assert kept["first"] != kept["word0"]
    assert words.counts() == (MOST, 1, 1, 0)


async def test_those_that_come_in_one_turn_of_the_loop_are_one_transaction(words: Words):
    await asyncio.gather(*(words.say(f"word{number}") for number in range(3)))
    assert len(set((await words.kept()).values())) == 1


async def test_one_that_is_alone_is_sent_as_it_is(words: Words):
    assert await words.say("alone") == Echo("alone1", 1)
    assert words.counts() == (0, 1, 0, 0)


async def test_those_beyond_the_most_go_with_the_next(words: Words):
    await asyncio.gather(*(words.say(f"word{number}") for number in range(2 * MOST + 1)))
    sizes = sorted(Counter((await words.kept()).values()).values())
    assert sizes == [1, MOST, MOST]


async def test_no_row_is_no_row_and_the_first_of_several_is_the_first(words: Words, databases: Databases):
    nothing, several, one = await meanwhile(
        words, databases, words.say("nothing", times=0), words.say("several", times=3), words.say("one")
    )
    assert (nothing, several.echo, one.echo) == (None, "several1", "one1")


async def test_a_value_goes_together_too(words: Words):
    async def say(word: str, times: int) -> Any:
        async with words.database.joint() as tx:
            return await tx.value(SAY_SHORTLY, words.org, word, times)

    assert await asyncio.gather(say("a", 1), say("b", 0), say("c", 2)) == ["a1", None, "c1"]
    assert await say("alone", 1) == "alone1"
    assert await say("nothing", 0) is None
    assert len(set((await words.kept()).values())) == 3


async def test_nobody_sees_what_is_anothers(words: Words):
    """Each call names its organisation; one that names none sees nothing, whoever went before it."""
    mine, theirs = new_id(), new_id()

    async def look() -> Any:
        async with words.database.joint() as tx:
            return await tx.row(Echo, SAY, None, "look", 1)

    looks = (words.say("a", org=mine), words.say("b", org=mine), look(), words.say("c", org=theirs))
    assert [echo.seen for echo in await asyncio.gather(*looks) if echo] == [1, 2, 0, 1]
    assert len(set((await words.kept()).values())) == 1


async def test_one_that_fails_takes_no_other_with_it(words: Words, databases: Databases):
    told: list[Any] = []
    words.database.on_commit = told.extend
    await words.say("taken")
    answers = await meanwhile(
        words, databases, words.say("a", told="a"), words.say("taken", told="taken"), words.say("b", told="b")
    )
    assert [type(answer) for answer in answers] == [Echo, UniqueViolated, Echo]
    assert (await words.kept()).keys() == {"taken", "first", "a", "b"}
    assert sorted(told) == ["a", "b"]
    assert words.counts() == (0, 5, 0, 1)


async def test_one_that_stands_before_a_lock_holds_up_no_other(words: Words):
    """Far sooner than the lock would be given up on, its group is taken apart."""
    async with words.held("locked"):
        locked = asyncio.create_task(words.say("locked"))
        others = [words.say("a"), words.say("b")]
        assert [echo.echo for echo in await asyncio.gather(*others)] == ["a1", "b1"]
        assert words.counts() == (0, 3, 0, 1)
        assert [echo.echo for echo in await asyncio.gather(words.say("c"), words.say("d"))] == ["c1", "d1"]
        assert not locked.done()
    assert await locked == Echo("locked1", 5)


async def test_nothing_of_a_group_stays_on_the_connection(words: Words):
    async def limit(*, alone: bool = True) -> str:
        async with words.database.single() if alone else words.database.joint() as tx:
            return await tx.value(LIMIT)

    before = await limit()
    assert set(await asyncio.gather(*(limit(alone=False) for _ in range(4)))) == {f"{LOCK_MILLISECONDS}ms"}
    assert await limit() == before == "5s"


async def test_one_that_goes_away_before_its_group_does_is_not_in_it(words: Words, databases: Databases):
    async with words.held("first"):
        first = asyncio.create_task(words.say("first"))
        await until(lambda: is_waiting_for_a_lock(databases, words.dsn))
        gone, stays = asyncio.create_task(words.say("gone")), asyncio.create_task(words.say("stays"))
        await asyncio.sleep(0)
        gone.cancel()
        assert await stays == Echo("stays1", 1)
    await first
    assert (await words.kept()).keys() == {"first", "stays"}


async def test_one_that_goes_away_while_its_group_is_under_way_takes_no_other_with_it(words: Words):
    leaving, staying = asyncio.create_task(words.say("leaving")), asyncio.create_task(words.say("staying slowly"))
    await until(words.is_speaking_slowly)
    leaving.cancel()
    assert await staying == Echo("staying slowly1", 2)
    assert (await words.kept()).keys() == {"leaving", "staying slowly"}


async def test_those_beyond_the_most_do_not_wait_for_ever(words: Words):
    first = asyncio.create_task(words.say("slowly"))
    await until(words.is_speaking_slowly)
    said = ["until told", *(f"word{number}" for number in range(MOST - 1)), "late"]
    asked = [asyncio.create_task(words.say(word)) for word in said]
    async with asyncio.timeout(10):  # the group would be given up on after 15
        assert (await asked[-1]).echo == "late1"
    assert (await first).echo == "slowly1"
    assert not any(each.done() for each in asked[:-1])
    await words.admin.execute("insert into told values (now())")
    assert [echo.echo for echo in await asyncio.gather(*asked)] == [f"{word}1" for word in said]


async def test_one_that_goes_away_before_its_group_is_taken_apart_is_not_said_alone(words: Words):
    await words.say("taken")
    asked = [asyncio.create_task(words.say(word)) for word in ("until told", "gone", "taken", "stays")]
    await until(words.is_speaking_slowly)
    asked[1].cancel()
    await words.admin.execute("insert into told values (now())")
    became = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(each) for each in became] == [Echo, asyncio.CancelledError, UniqueViolated, Echo]
    assert (await words.kept()).keys() == {"taken", "until told", "stays"}


async def test_closing_waits_for_what_is_under_way(words: Words):
    said = [asyncio.create_task(words.say("slowly")), asyncio.create_task(words.say("and more"))]
    await until(words.is_speaking_slowly)
    await words.database.close()
    assert (await words.kept()).keys() == {"slowly", "and more"}
    assert [echo.seen for echo in await asyncio.gather(*said)] == [1, 2]


async def test_where_no_answer_comes_each_is_told_that_nobody_knows(words: Words):
    relay = Relay([urlsplit(words.dsn).port or 5432], random.Random(0))
    await relay.open()
    async with opened(words.dsn.replace(f":{urlsplit(words.dsn).port}/", f":{relay.port}/")) as behind:
        there, words.database = words.database, behind
        await asyncio.gather(words.say("before"), words.say("too"))  # nothing is left to be prepared
        relay.weather.swallows_answers = True
        said = [asyncio.create_task(words.say(word)) for word in ("a", "b")]

        async def are_kept() -> bool:
            return (await words.kept()).keys() == {"before", "too", "a", "b"}

        await until(are_kept)
        relay.weather.swallows_answers = False
        relay.reset()
        errors = await asyncio.gather(*said, return_exceptions=True)
        assert [type(error) for error in errors] == [CommitUnknown, CommitUnknown]
        assert errors[0] is not errors[1]
        words.database = there
    await relay.close()


async def test_where_there_is_no_database_each_is_told_that_it_is_away():
    async with opened("postgresql://nobody:nothing@127.0.0.1:1/nowhere") as database:

        async def say() -> Any:
            async with database.joint() as tx:
                return await tx.value(SAY, new_id(), "word", 1)

        errors = await asyncio.gather(say(), say(), say(), return_exceptions=True)
    assert [type(error) for error in errors] == [DatabaseAway] * 3


async def test_only_rows_and_values_go_together(words: Words):
    async with words.database.joint() as tx:
        with pytest.raises(NotImplementedError):
            await tx.run(SAY, words.org, "word", 1)
    async with words.database.joint() as tx:
        await tx.value(SAY, words.org, "word", 1)
        with pytest.raises(AssertionError):
            await tx.value(SAY, words.org, "again", 1)
