"""What the world is made of, and the holes that can be torn into its protocol."""

from __future__ import annotations

import copy
from enum import StrEnum
from typing import Self


class Hole(StrEnum):
    """A rule of the protocol that a world can be without: a negative control."""

    ACK_BEFORE_COMMIT = "ack before commit"
    INBOX_OFF = "inbox off"
    SAME_MESSAGE_ID = "same message id on re-send"
    TOMBSTONE_OFF = "tombstone off"
    FENCE_OFF = "fence off"
    CANCEL_AS_ONE_STATEMENT = "cancel as one statement"
    CANCEL_UNDER_THE_CREATES_KEY = "cancel under the create's key"
    NO_REPLY_TO_A_DUPLICATE = "reply not returned to a duplicate"
    OPEN_BEFORE_IDENTITY = "open and place before identity's reply"
    INBOX_PRUNED_EARLY = "inbox pruned early"
    NO_REPUBLICATION = "outbox without republication after a lost store"
    SIGNED_BY_ADDRESS = "signed for whoever has the address"
    COPY_BINDS_NOTHING = "a client's copy binds nothing"
    SENT_WITHOUT_THE_LOCK = "sent without the address's lock"
    CLOSING_IS_REFUSED = "refused while the client is only Closing"


class PromiseBroken(AssertionError):
    """A promise of the sign flow does not hold in this world."""


class Part:
    """A part of the world: its attributes are parts, frozen values, or flat containers of frozen values.

    So a fork shares everything but the containers, and costs microseconds.
    """

    def fork(self) -> Self:
        """The same part, which goes its own way from here."""
        twin = object.__new__(type(self))
        for name, value in vars(self).items():
            if isinstance(value, Part):
                twin.__dict__[name] = value.fork()
            elif isinstance(value, dict | list | set):
                twin.__dict__[name] = copy.copy(value)
            else:
                twin.__dict__[name] = value
        return twin
