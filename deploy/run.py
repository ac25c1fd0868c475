"""`serx run <process>` without the command line library: what a child of `serx up` executes, so that it starts fast."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import cast

from deploy.failure import Failure
from shared.messaging.topology import PROCESSES, SERVICES


def run(process: str) -> None:
    """Serve one process in the foreground; its settings come from `SERX_*` in the environment.

    Raises Failure for a process that does not exist and for settings that are missing or unusable.
    """
    if process not in PROCESSES:
        raise Failure(f"There is no process {process!r}; there are {', '.join(PROCESSES)}.")
    from shared.failpoints import FailpointSpellingError
    from shared.settings import SettingsError

    module = import_module(f"services.{process}.app" if process in SERVICES else f"{process}.app")
    serve = cast("Callable[[], None]", module.run)
    try:
        serve()
    except (SettingsError, FailpointSpellingError) as error:
        raise Failure(f"{process} cannot start: {error}") from error


def main() -> None:
    try:
        run(sys.argv[1])
    except Failure as failure:
        sys.exit(failure.sentence)


if __name__ == "__main__":
    main()
