"""Statements about a table of copies that are the same for each: made once, when a store is imported.

A store's own part is how what the owner tells is written over what is kept (`mending`). The version guards it: what is
newer than the owner's word was told by an event meanwhile, and stays. Only a row whose version the owner has not come
to, and that has not moved since that was seen ($2, $3), is wrong and gives way.
"""

from __future__ import annotations

from collections.abc import Mapping


def ids(table: str) -> str:
    """Every id, in one array."""
    return f"""
select coalesce(array_agg(id order by id), '{{}}') from {table}
"""


def versions(table: str) -> str:
    """The versions of some rows."""
    return f"""
select id, version from {table} where id = any($1::uuid[])
"""


def removal(table: str) -> str:
    """Take out rows of which the owner knows nothing."""
    return f"""
delete from {table} where id = any($1::uuid[])
"""


def mending(table: str, told: Mapping[str, str], columns: Mapping[str, str] | None = None) -> str:
    """Write over what is kept what the owner tells ($1, a JSON array), where it differs.

    `told` are the fields that are read of it, with their types; `columns` says how each column comes of them, for a
    table that does not have them as they are.
    """
    made = columns or {name: name for name in told}
    names, values = ", ".join(made), ", ".join(made.values())
    fields = ", ".join(f"{name} {kind}" for name, kind in told.items())
    changed = ", ".join(f"{name} = excluded.{name}" for name in made if name != "id")
    kept, given = (", ".join(f"{row}.{name}" for name in made) for row in ("kept", "excluded"))
    return f"""
insert into {table} as kept ({names}) select {values} from json_to_recordset($1) as told ({fields}) order by id
on conflict (id) do update set {changed}
where ({kept}) is distinct from ({given}) and (kept.version <= excluded.version
  or (kept.id, kept.version) in (select seen.id, seen.version from unnest($2::uuid[], $3::int[]) as seen (id, version)))
"""
