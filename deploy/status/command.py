"""The command `serx status`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

FILE_WIDTH = 120


def status(
    *,
    data_dir: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Show the whole system at a glance: processes, databases, broker, signatures under way, and what is wrong.

    Looks at a running `serx up`, or at any installation that the environment names: SERX_GATEWAY_URL, the services'
    addresses as the gateway has them (SERX_ORDERS_URL and so on), SERX_GATEWAY_METRICS_URL and SERX_NATS_MONITOR_URL
    if they can be reached. Each may name several, comma-separated: one for each replica or broker. SERX_NATS_URL is an
    operator's, SERX_SYSTEM_NATS_URL that of the brokers' system account. The exit status is 0 when everything is
    healthy, else 1.

    Parameters
    ----------
    data_dir
        The data folder of a running `serx up`; .serx when neither this nor the environment names anything.
    as_json
        Print one JSON object.
    """
    from deploy.status import looking, places, tables

    picture = asyncio.run(looking.look(places.found(data_dir, os.environ)))
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(picture), indent=2).decode())
    else:
        from rich.console import Console

        console = Console()
        if not console.is_terminal:
            console.width = FILE_WIDTH
        console.print(tables.rendered(picture))
    if not picture.is_healthy:
        sys.exit(1)
