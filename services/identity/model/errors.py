"""How identity says no, beside the ways that every service has."""

from __future__ import annotations

import math
from collections.abc import Mapping

from services.identity.model.credentials import MOST_TOKENS
from services.identity.model.people import EmailHolder
from shared.errors import DomainError, Forbidden, StateForbids
from shared.ids import OrgId


class WrongPair(DomainError):
    """No account has this e-mail and this password; which of the two is wrong is not told."""

    def __init__(self) -> None:
        super().__init__("The e-mail or the password is wrong.")


class AccountDisabled(Forbidden):
    """The password is right, but the account or its organisation is disabled."""

    def __init__(self) -> None:
        super().__init__("The account is disabled.")


class OrganisationToChoose(StateForbids):
    """The pair is right in several organisations; `extensions` names them, and the body's `org_id` chooses."""

    def __init__(self, organisations: Mapping[OrgId, str]) -> None:
        super().__init__("The e-mail and the password are right in several organisations: choose one by `org_id`.")
        in_order = sorted(organisations.items(), key=lambda each: (each[1], each[0]))
        self.extensions = {"organisations": [{"id": str(org), "name": name} for org, name in in_order]}


class TooManyFailures(DomainError):
    """Too many failed logins of late; `wait_seconds` until another may be tried."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__("There were too many failed logins. Wait a little before the next one.")
        self.wait_seconds = wait_seconds
        self.headers: Mapping[str, str] = {"retry-after": str(max(1, math.ceil(wait_seconds)))}


class TooManyTokens(StateForbids):
    """As many API tokens act as this person as may."""

    def __init__(self) -> None:
        super().__init__(f"{MOST_TOKENS} API tokens act as this person, which is the most: revoke one to make another.")


class CredentialRejected(DomainError):
    """The credential is malformed, unknown, expired or revoked, or whoever it stands for is disabled."""

    def __init__(self) -> None:
        super().__init__("The credential is not valid.")


class EmailTaken(StateForbids):
    """Another client or member of staff of the organisation has the e-mail; a disabled one keeps it."""

    def __init__(self, holder: EmailHolder) -> None:
        who = "member of staff" if holder.is_staff else "client"
        if holder.is_enabled:
            super().__init__(f"The e-mail belongs to another {who}.", {"email": [f"Another {who} has this e-mail."]})
            return
        super().__init__(
            f"The e-mail belongs to a {who} who is disabled: enable them again, or give them another e-mail.",
            {"email": [f"A disabled {who} has this e-mail (id {holder.id})."]},
        )


class ClientIsClosing(StateForbids):
    """The client is about to be deleted; whether it will be is known within seconds."""

    def __init__(self) -> None:
        super().__init__("The client is about to be deleted.")


class ClientInUse(StateForbids):
    """Engagements or orders hang on the client."""

    def __init__(self) -> None:
        super().__init__("A client with engagements or orders cannot be deleted.")


class LastAdmin(StateForbids):
    """Nobody would be left to administer the organisation."""

    def __init__(self) -> None:
        super().__init__("The last administrator of an organisation cannot go.")
