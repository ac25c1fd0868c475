"""How much one credential may ask of this replica: a token bucket, kept as the one time at which it is full again.

That form is the generic cell rate algorithm (ITU-T I.371): the same answers as counting tokens, from a single number.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

BURST: Final = 5
"""How many seconds' worth of requests may come at once."""


class Limiter:
    """`rate` requests a second for each key, `BURST` times that at once; 0 lets everything through."""

    def __init__(self, rate: float, *, capacity: int = 100_000) -> None:
        self._interval = 1 / rate if rate else 0.0
        self._slack = max(0.0, BURST - self._interval) if rate else 0.0
        self._capacity = capacity
        self.most = int(rate * BURST)
        """How many requests may come at once; 0 when there is no limit."""
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def take(self, key: Hashable, *, at: float) -> float:
        """Take one token at `at` (seconds, monotonic): 0.0 when there was one, else how many seconds until there is."""
        if not self._interval:
            return 0.0
        full_at = max(self._full_at.get(key, at), at)
        wait = full_at - at - self._slack
        if wait > 0:
            return wait
        self._full_at[key] = full_at + self._interval
        self._full_at.move_to_end(key)
        while len(self._full_at) > self._capacity:
            self._full_at.popitem(last=False)
        return 0.0

    def left(self, key: Hashable, *, at: float) -> tuple[int, int]:
        """How many requests may come now, and in how many seconds it will be `most` again."""
        used_seconds = max(self._full_at.get(key, at) - at, 0.0)
        return max(0, int((BURST - used_seconds) / self._interval)), math.ceil(used_seconds)
