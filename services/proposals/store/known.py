"""What is known of a run, when a driver writes down what it knows: SQL, of an update of `sagas`.

What was recorded stays, though the driver may have stood still meanwhile: a step that was said to be done never waits
again. A parked step may be answered otherwise. It is JSON text throughout: a reply is the bytes that came.
"""

from __future__ import annotations

from typing import Final

KNOWN_REPLIES: Final = """(
  select coalesce(json_object_agg(known.step, known.reply), '{}') from (
    select key as step, value as reply from json_each(sagas.replies) where value ->> 'outcome' <> 'parked'
    union all
    select key, value from json_each($3::json)
    where coalesce(sagas.replies -> key ->> 'outcome', 'parked') = 'parked'
  ) known
)"""
"""`$3` are the driver's replies."""
KNOWN_MARKS: Final = """(
  select coalesce(json_object_agg(known.step, known.mark), '{}') from (
    select key as step, value as mark from json_each(sagas.marks)
    where coalesce(sagas.replies -> key ->> 'outcome', 'parked') <> 'parked'
    union all
    select key, value from json_each($4::json)
    where coalesce(sagas.replies -> key ->> 'outcome', 'parked') = 'parked'
      or not exists (select from json_object_keys(sagas.marks) as kept where kept = key)
  ) known
)"""
"""`$4` are the driver's marks; `$3` its replies."""
