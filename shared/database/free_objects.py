"""Columns for JSON objects of the callers' own, which come back as they were sent.

`jsonb` loses the order of names and the spelling of numbers, so they are stored as `json`, in `<name>_sent`. The column
`<name>`, of type `jsonb`, is of the release before: it is written as long as that may run beside this one, and read
where `<name>_sent` is null.
"""

from __future__ import annotations


def free_object(column: str) -> str:
    """The selected expression for `column`, under its name."""
    return f"coalesce({column}_sent, {column}::text::json) as {column}"
