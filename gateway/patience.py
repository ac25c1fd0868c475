"""How long a service may take to answer: a read briefly, a signature for as long as its caller wants."""

from __future__ import annotations

import re
from typing import Final

from gateway.call import Call
from gateway.routes import plain

READ_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 2.0
"""After how long without the beginning of an answer a read is sent to another replica as well. Lists and pages take
milliseconds, with a million rows too; a slower one is waited for all the same."""
CHANGE_SECONDS: Final = 25.0
"""A service waits 5 s for a connection to its database, and 15 s for a statement."""
SIGN_WAIT_SECONDS: Final = 10
SIGN_WAIT_MOST_SECONDS: Final = 30
_WAIT: Final = re.compile(rb"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})", re.IGNORECASE)


def patience_seconds(call: Call) -> float:
    """How long the answer to `call` is waited for."""
    if call.method in ("GET", "HEAD", "OPTIONS"):
        return READ_SECONDS
    if not plain(call.path).endswith("/sign"):
        return CHANGE_SECONDS
    wanted = _WAIT.search(call.named.get(b"prefer", b""))
    wait = min(int(wanted[1]), SIGN_WAIT_MOST_SECONDS) if wanted else SIGN_WAIT_SECONDS
    return wait + READ_SECONDS


def silence_seconds(patience: float) -> float:
    """How much of `patience` seconds may pass in silence, so that another replica has the longer part of it."""
    return min(SILENCE_SECONDS, patience / 3)
