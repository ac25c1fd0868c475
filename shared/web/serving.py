"""Runs an application as a server: uvicorn, with our own connections."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

import uvicorn
from litestar.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE

from shared.settings import ProcessSettings
from shared.web.bounds import Bounds, Network, bounds, raise_descriptor_limit
from shared.web.connections import Connections
from shared.web.protocol import CallerConnection

GARBAGE_THRESHOLD: Final = 10_000
"""How many more objects are made than freed before the youngest are looked at; Python's own is 700."""
IDLE_SECONDS: Final = 75.0
"""Longer than the gateway keeps an idle connection to a service: it is never closed under a request."""

S = TypeVar("S", bound=ProcessSettings)


def bounds_of(
    settings: ProcessSettings,
    *,
    of_an_address: int | None = None,
    trusted: Sequence[Network] = (),
    idle_seconds: float = IDLE_SECONDS,
) -> Bounds:
    """What the callers of a process may hold; without `of_an_address` one of them may hold all of it."""
    return bounds(
        most=settings.connections_most,
        of_an_address=of_an_address,
        trusted=trusted,
        still_seconds=settings.still_seconds,
        transfer_seconds=settings.transfer_seconds,
        idle_seconds=idle_seconds,
    )


def serve(app: ASGIApp, settings: S, bounding: Callable[[S], Bounds]) -> None:
    """Run `app` until SIGTERM: stop listening, finish what has begun (at most `drain_seconds`), go."""
    raise_descriptor_limit()
    _collect_less_often()
    config = configured(
        app,
        bounding(settings),
        host=settings.host,
        port=settings.port,
        timeout_graceful_shutdown=int(settings.drain_seconds),
        ssl_certfile=settings.tls_certificate_path,
        ssl_keyfile=settings.tls_key_path,
    )
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def configured(app: ASGIApp, of_callers: Bounds, **more: Any) -> uvicorn.Config:
    """How uvicorn serves `app`; `more` are settings of its own."""
    return uvicorn.Config(
        app,  # pyright: ignore[reportArgumentType]  # Litestar's own types of ASGI
        loop="uvloop",
        http=partial(CallerConnection, connections=Connections(of_callers)),  # pyright: ignore[reportArgumentType]  # called as a class is
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # the gateway says who the caller is; uvicorn would believe anybody on loopback
        date_header=False,
        **more,
    )


def _collect_less_often() -> None:
    """Never look again at what is there from the start, and seldom at the rest: it was 4 % of the time of a call."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
