"""A client who is about to be deleted: whether they go or stay is decided within moments, by who owns them."""

from __future__ import annotations

from shared.database import DatabaseBusy


class ClientUndecided(DatabaseBusy):
    """Nothing new may hang on the client while that is not decided: the command is put off, and never refused for it.

    One of the transient kind, as a statement that lost a race: the same command passes later, or is refused because
    the client was deleted.
    """

    def __init__(self) -> None:
        super().__init__("the client is about to be deleted")
