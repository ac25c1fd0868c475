"""Asks the broker, at start, whether it fsyncs what it acknowledges; one that does not is said loudly."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request

import msgspec

from shared.telemetry import log

TIMEOUT_SECONDS = 2.0

_log = log(__name__)


class _JetStream(msgspec.Struct):
    sync_always: bool = False


class _Config(msgspec.Struct):
    config: _JetStream = msgspec.field(default_factory=_JetStream)


async def warn_if_lazy(monitor_url: str | None) -> None:
    """Look at the server's monitoring (`/jsz`), if we know where it is; a PubAck of a lazy server promises nothing."""
    if monitor_url is None:
        _log.info("nobody said where the broker is monitored: whether it syncs each message is not checked")
        return
    try:
        answer = await asyncio.to_thread(_fetch, monitor_url.rstrip("/") + "/jsz")
        is_eager = msgspec.json.decode(answer, type=_Config).config.sync_always
    except (urllib.error.URLError, TimeoutError, msgspec.DecodeError, msgspec.ValidationError) as error:
        _log.warning("whether the broker syncs each message could not be checked", cause=repr(error))
        return
    if not is_eager:
        _log.error(
            "THE BROKER IS LAZY: it acknowledges events before they are on the disk; set sync_interval to always. "
            "Signatures are safe, events may be lost when its machine dies"
        )


def _fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310  # the operator's own setting
        return answer.read()
