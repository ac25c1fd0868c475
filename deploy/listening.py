"""The command `serx listeners`: the durable consumers of services that were added to hear events."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Final

import nats.js.errors
from cyclopts import App, Parameter

from deploy.environment import setting
from deploy.failure import Failure
from deploy.local import existing
from deploy.local import listeners as local
from deploy.operators.site import DEFAULT_FOLDER, Site, found
from shared.messaging.listeners import USER_PREFIX, Listener, consumer_config, read_listener, spell
from shared.messaging.topology import EVENTS

_BROKER: Final = "SERX_NATS_URL"
_LISTENERS: Final = "SERX_LISTENERS"
_PATIENCE_SECONDS: Final = 10.0
_AGAIN_SECONDS: Final = 0.2


app = App(name="listeners")
Folder = Annotated[
    Path | None,
    Parameter(
        name="--data-dir",
        help="Data folder of a running `serx up`; .serx, unless SERX_NATS_URL or SERX_LISTENERS name an installation.",
    ),
]


@app.command
def add(name: str, *, hears: str, data_dir: Folder = None) -> None:
    """Add a listener to a running `serx up`, or change what it hears, and print how it logs in.

    Parameters
    ----------
    name
        Small letters, digits and dashes.
    hears
        Types of events, as `proposal.signed,order.*`; docs/asyncapi.json has them all.
    """
    (listener,) = _read([f"{name}={hears}"])
    if _is_elsewhere(data_dir):
        raise Failure(
            f"This installation has no data folder: run `serx secrets --listener {spell([listener])}`, have NATS read"
            " its users, and run `serx listeners`."
        )
    folder, ready = existing.serving(data_dir or DEFAULT_FOLDER)
    known = {each.name: each for each in (*local.known(folder), listener)}
    local.change(folder, existing.process(folder, ready, "nats"), known.values())
    broker = found(folder.root, os.environ)
    asyncio.run(_patiently(lambda: ensure_consumers(broker, [listener])))
    print(local.url(folder, listener))


@app.command(name="list")
def list_all(*, data_dir: Folder = None) -> None:
    """Show the listeners of an installation, and how each logs in.

    Those that SERX_LISTENERS names (`serx secrets` writes it among the administration's secrets, and each login as
    SERX_LISTENER-BILLING_NATS_URL or its like), else those of the data folder.
    """
    for each, login in (logins := _logins(data_dir)):
        print(f"{each.name} hears {', '.join(each.events)}: {login}")
    if not logins:
        print("Nobody listens.")


def _logins(data_dir: Path | None) -> list[tuple[Listener, str]]:
    """Each listener, and its URL; or that it is not known."""
    if _is_elsewhere(data_dir):
        unknown = "its login is not among the secrets"
        return [(each, setting(f"SERX_{each.user.upper()}_NATS_URL") or unknown) for each in _named()]
    folder = existing.made(data_dir or DEFAULT_FOLDER)
    return [(each, local.url(folder, each)) for each in local.known(folder)]


def _is_elsewhere(data_dir: Path | None) -> bool:
    """Whether the environment or its secrets name an installation, and no data folder is named."""
    return data_dir is None and bool(setting(_BROKER) or setting(_LISTENERS))


def _named() -> list[Listener]:
    """The listeners that SERX_LISTENERS names. Raises Failure for what cannot be one."""
    try:
        return [read_listener(each) for each in (setting(_LISTENERS) or "").split()]
    except ValueError as error:
        raise Failure(f"{_LISTENERS}: {error} A right one is {_LISTENERS}=billing=proposal.signed.") from error


def _read(texts: Iterable[str]) -> list[Listener]:
    try:
        return [read_listener(each) for each in texts]
    except ValueError as error:
        raise Failure(str(error)) from error


@app.command
def remove(name: str, *, data_dir: Folder = None) -> None:
    """Take a listener out of a running `serx up`: its consumer goes, and it cannot log in any more.

    Where SERX_NATS_URL names a broker and no data folder is named, only the consumer goes: `serx secrets --forget`
    ends the login before.
    """
    if data_dir is None and (url := setting(_BROKER)):
        _remove_elsewhere(name, url)
        return
    folder, ready = existing.serving(data_dir or DEFAULT_FOLDER)
    listeners = local.known(folder)
    gone = next((each for each in listeners if each.name == name), None)
    if gone is None:
        raise Failure(
            f"There is no listener {name!r}; there are {', '.join(each.name for each in listeners) or 'none'}."
        )
    local.change(folder, existing.process(folder, ready, "nats"), [each for each in listeners if each.name != name])
    broker = found(folder.root, os.environ)
    asyncio.run(_patiently(lambda: _remove_consumer(broker, name)))
    print(f"{name} is no listener any more.")


def _remove_elsewhere(name: str, url: str) -> None:
    if name in {each.name for each in _named()}:
        raise Failure(
            f"{name} can still log in: run `serx secrets --forget {name}` first, and have NATS read its users."
        )
    if not asyncio.run(_remove_consumer(Site({}, url, "SERX_NATS_URL says where it is."), name)):
        raise Failure(f"There is no listener {name!r}: the stream {EVENTS} has no consumer of it.")
    print(f"{name} is no listener any more.")


async def _patiently(work: Callable[[], Awaitable[object]]) -> None:
    """Do it, and again when it fails: the broker ends connections while it reads its configuration anew."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            await work()
        except Failure:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(_AGAIN_SECONDS)
        else:
            return


async def _remove_consumer(broker: Site, name: str) -> bool:
    """Whether there was one."""
    async with broker.stream() as stream:
        try:
            return await stream.delete_consumer(EVENTS, f"{USER_PREFIX}{name}")
        except nats.js.errors.NotFoundError:
            return False


@app.default
def keep_listeners(*listeners: str) -> None:
    """Make sure that every listener has its durable consumer, on exactly its events. Can be repeated.

    SERX_NATS_URL is the operator's. Run it again when the broker's store was lost: the listeners hear all that is told
    again, and know by its id what they have handled.

    Parameters
    ----------
    listeners
        As `billing=proposal.signed,order.*`; those that SERX_LISTENERS names when none is given.
    """
    wanted = _read(listeners) or _named()
    if not wanted:
        raise Failure(
            f"Nobody listens: name listeners, or set {_LISTENERS}; `serx secrets --listener` makes their users."
        )
    broker = Site({}, setting(_BROKER), "SERX_NATS_URL says where it is.")
    asyncio.run(ensure_consumers(broker, wanted))
    for each in wanted:
        print(f"{each.name} listens to {', '.join(each.events)}.")


async def ensure_consumers(broker: Site, listeners: Sequence[Listener]) -> None:
    """Make the consumers, or change them to what they should be. Raises Failure when the stream is not there yet."""
    async with broker.stream() as stream:
        for each in listeners:
            try:
                await stream.add_consumer(EVENTS, consumer_config(each))
            except nats.js.errors.NotFoundError as error:
                raise Failure(f"There is no stream {EVENTS} yet: a service makes it when it starts.") from error
