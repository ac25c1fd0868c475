"""What may become of the command `ensure-client`."""

from __future__ import annotations

import msgspec

from shared.contracts.identity import ClientEnsured, ClientState
from shared.contracts.reply import Reply

DISABLED = "The e-mail belongs to a client who is disabled."
STAFF = "The e-mail belongs to a member of staff."
DELETED = "The client was deleted."


def reply_to_bound(client: ClientState | None) -> Reply:
    """The reply for the client whom a proposal belongs to; None says that there is no such client any more."""
    return Reply(outcome="refused", cause=DELETED) if client is None else reply_to_ensure(client)


def reply_to_ensure(client: ClientState | None) -> Reply:
    """The reply for the client that has the e-mail; None says that a member of staff has it.

    One who is about to be deleted has no reply yet: the command waits until that is decided.
    """
    if client is None:
        return Reply(outcome="refused", cause=STAFF)
    if client.is_deleted:
        return Reply(outcome="refused", cause=DELETED)
    if not client.is_enabled:
        return Reply(outcome="refused", cause=DISABLED)
    return Reply(outcome="done", result=msgspec.Raw(msgspec.json.encode(ClientEnsured(client=client))))
