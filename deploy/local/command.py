"""The command `serx up`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

from deploy.whole_numbers import whole_number


def up(
    *,
    data_dir: Path = Path(".serx"),
    port: Annotated[int, whole_number(0, 65535)] = 8000,
    demo: bool = True,
) -> None:
    """Run everything on this machine, without Docker, until Ctrl-C.

    Starts PostgreSQL, NATS, the five services and the gateway, migrates, makes a demo organisation and walks one
    proposal from draft to signature. Whatever dies is started again. A second start finds its data again. While it
    serves, `ready.json` in the data folder says what runs where, and how to log in. The processes take their settings
    from SERX_* in the environment; SERX_ROLE_CONNECTIONS is how many connections to PostgreSQL each service may have.

    Parameters
    ----------
    data_dir
        Where data, logs and credentials are kept; made when it is not there.
    port
        The gateway's port on 127.0.0.1; 0 takes any that is free.
    demo
        Make the demo organisation and walk a proposal through.
    """
    _load_compiled(data_dir)
    from deploy.local.screen import Screen
    from deploy.local.up import Options
    from deploy.local.up import up as serve

    asyncio.run(serve(Options(data_dir=data_dir, port=port, demo=demo), Screen()))


def _load_compiled(data_dir: Path) -> None:
    """Where no bytecode may be written beside the sources, use the data folder's, once there is one of ours."""
    if sys.dont_write_bytecode and sys.pycache_prefix is None and os.access(data_dir / "serx.json", os.R_OK):
        sys.pycache_prefix = str(data_dir.absolute() / "bytecode")
        sys.dont_write_bytecode = False
