"""The identity service's settings."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from shared.settings import Secret, ServiceSettings


class IdentitySettings(ServiceSettings, frozen=True, kw_only=True):
    """What the identity service needs beside what every service does."""

    session_keys: Annotated[
        tuple[Secret, ...],
        Meta(min_length=1, description="Keys of session tokens, comma-separated: the first signs, all are accepted."),
    ]
    session_hours: Annotated[float, Meta(gt=0, le=8760, description="How long a login lasts, in hours.")] = 24.0
    password_checks_at_once: Annotated[
        int, Meta(ge=1, le=64, description="Passwords hashed at once; each takes a core and 19 MiB for some 20 ms.")
    ] = 2
