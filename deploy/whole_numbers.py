"""Options of commands that are whole numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cyclopts import Parameter, Token

_SPELLED = re.compile(r"[0-9]{1,9}", re.ASCII)


def whole_number(least: int, most: int) -> Parameter:
    """A parameter that takes a whole number from `least` to `most`, and says so of anything else."""

    def read(_type: object, tokens: Sequence[Token]) -> int:
        text = tokens[0].value.strip()
        if not _SPELLED.fullmatch(text) or not least <= int(text) <= most:
            raise ValueError(f"{text!r} is no whole number from {least} to {most}.")
        return int(text)

    return Parameter(converter=read, n_tokens=1)
