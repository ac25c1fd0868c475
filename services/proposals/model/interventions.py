"""What operators do to a run of the sign flow, and why they may not."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from shared.errors import StateForbids

Action = Literal["retry", "cancel", "retry_parked", "drop_parked"]

CANCELLED_BY_OPERATOR = "The signature was cancelled by an operator."
"""What the signer is told. The operator's reason is for staff: it is in the report."""


class Intervention(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what, when and why; `step` for what was done to a parked message of the run."""

    action: Action
    step: str | None = None
    actor: str
    reason: str
    at: datetime


class FlowIsOver(StateForbids):
    """A run that is completed or rejected cannot be retried or cancelled."""

    def __init__(self, saga: UUID, status: str) -> None:
        super().__init__(f"The flow {saga} is {status}: it is over, and nothing can be retried or cancelled.")


class FlowTurnsBack(StateForbids):
    """A run that is compensating cannot be cancelled again, nor can its forward steps be retried."""

    def __init__(self, saga: UUID) -> None:
        super().__init__(f"The flow {saga} is being undone already; `serx sagas retry` makes it due now.")
