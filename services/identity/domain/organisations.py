"""Founding an organisation, and forgetting what has run out."""

from __future__ import annotations

from datetime import datetime

from services.identity.domain.users import changed
from services.identity.model.credentials import ApiToken, hash_of
from services.identity.model.people import Founding
from services.identity.store import attempts, organisations, sessions, tokens, users
from shared.database import Tx
from shared.messaging import outbox
from shared.web.actor import Role

FIRST_CREDENTIAL = "First administrator"


async def found_organisation(tx: Tx, founding: Founding) -> None:
    """Create an organisation, its first administrator, and an API token that acts as them."""
    await organisations.insert(tx, founding.org_id, founding.org_name, founding.at)
    await users.insert_first(tx, founding)
    first = await users.get(tx, founding.org_id, founding.user_id)
    assert first is not None, "just written"
    await outbox.put(tx, changed(first))
    token = ApiToken(
        org_id=founding.org_id,
        id=founding.token_id,
        name=FIRST_CREDENTIAL,
        role=Role.ADMIN,
        made_by=founding.user_id,
        client_id=None,
        created_at=founding.at,
        expires_at=None,
    )
    await tokens.insert(tx, token, hash_of(founding.secret))


async def forget_what_ran_out(tx: Tx, at: datetime) -> None:
    """Remove expired sessions and old failed logins; needs a transaction across organisations."""
    await sessions.forget(tx, at)
    await attempts.forget(tx, at)
