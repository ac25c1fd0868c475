"""What a command is told: by its environment, or by a file among its secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping

from deploy.failure import Failure
from shared.settings import SettingsError, told


def setting(*names: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The first of these that is set and not empty. Raises Failure for a secret that cannot be read."""
    try:
        return next((value for name in names if (value := told(name, environ))), None)
    except SettingsError as error:
        raise Failure(f"{error}.") from error
