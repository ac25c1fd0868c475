"""`serx`, the command line. Each group of commands is a module of its own, imported when it is asked for."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Literal

from deploy.failure import Failure

COMMANDS = {
    "up": ("deploy.local.command:up", "Run everything on this machine, without Docker, until Ctrl-C."),
    "run": ("deploy.cli:run_process", "Serve one process in the foreground."),
    "org": ("deploy.org:app", "Organisations of this installation."),
    "sagas": ("deploy.operators.sagas:app", "Flows: list, show, retry, cancel."),
    "parked": ("deploy.operators.parked:app", "Messages that could not be handled: list, show, retry, drop."),
    "outbox": ("deploy.operators.outbox:outbox", "Events that wait to be published."),
    "replicas": ("deploy.operators.replicas:app", "Copies of other services' data: rebuild."),
    "check": ("deploy.operators.checking:check_all", "Compare the five databases, and say what does not agree."),
    "prove": ("deploy.proof.command:app", "Break everything, and show that the promises hold."),
    "secrets": ("deploy.secret_files:make_secrets", "Make the secrets of an installation, a folder for each process."),
    "listeners": (
        "deploy.listening:app",
        "Services that listen to events: add, list, remove; or make their consumers.",
    ),
    "streams": ("deploy.streams:streams", "Make the broker's streams and consumers, and put them right."),
    "brokers": (
        "deploy.brokers.command:app",
        "Servers of a NATS cluster: list them, remove one that is gone, move the leader.",
    ),
    "provision": ("deploy.provisioning_command:provision_services", "Make the databases and their roles."),
    "status": ("deploy.status.command:status", "Show how the whole system is."),
    "migrate": ("deploy.migrations:migrate_services", "Bring databases to the newest schema."),
    "demo": ("deploy.demonstration:demonstrate", "Walk a proposal to its signature through a gateway."),
}
"""A name, where the function or group of commands is, and its line in `serx --help`."""

HELP = """Service-Engine-X: one signature becomes an engagement, its projects and an order.

Each command's help names the variables that it reads. What is not set is looked for in the folder SERX_SECRETS_DIR.
"""

Process = Literal["gateway", "identity", "proposals", "engagements", "conversations", "orders"]


def main() -> None:
    """The console script. A Failure, and what the system refuses, is one sentence on stderr and status 1."""
    try:
        _dispatch(sys.argv[1:])
    except Failure as failure:
        print(failure.sentence, *(f"  {line}" for line in failure.evidence), sep="\n", file=sys.stderr)
        sys.exit(1)
    except OSError as error:  # a folder that is closed to us, a disk that is full, a port that is taken
        place = f" ({error.filename})" if error.filename else ""
        print(f"serx cannot do this here: {error.strerror or error}{place}.", file=sys.stderr)
        sys.exit(1)


def _dispatch(arguments: list[str]) -> None:
    if arguments[:1] == ["run"] and len(arguments) == 2 and not arguments[1].startswith("-"):
        run_process(arguments[1])  # without the command line library, which a serving process has no use for
        return
    from cyclopts import App

    app = App(name="serx", help=HELP)
    app.version = _version
    for name, (place, line) in COMMANDS.items():
        # In `serx --help` the line has to do: the whole text would mean importing every command.
        app.command(place, name=name, help=None if arguments[:1] == [name] else line)
    app(arguments)


def run_process(process: Process | str) -> None:
    """Serve one process in the foreground; settings come from SERX_* in the environment.

    Parameters
    ----------
    process
        gateway, identity, proposals, engagements, conversations or orders.
    """
    from deploy.run import run

    run(process)


def _version() -> str:
    try:
        return metadata.version("serx")
    except metadata.PackageNotFoundError:  # run from a checkout
        return "not installed"


if __name__ == "__main__":
    main()
