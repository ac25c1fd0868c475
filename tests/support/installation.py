"""A whole installation, as `serx up` runs it: all processes, the servers included, in a folder of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec

from tests.support.builders import proposal_body
from tests.support.ports import free_port
from tests.support.servers import until

START_SECONDS = 90.0


class Installation:
    """A running `serx up`; the demo's administrator is who calls."""

    def __init__(self, folder: Path, process: asyncio.subprocess.Process) -> None:
        self.folder = folder
        self.process = process
        self._http = httpx.AsyncClient(timeout=60)

    @property
    def ready(self) -> dict[str, Any]:
        """What `ready.json` says now."""
        return msgspec.json.decode((self.folder / "ready.json").read_bytes())

    @property
    def failpoints(self) -> Path:
        return self.folder.parent / "failpoints"

    def kill(self, name: str) -> int:
        """SIGKILL to one process; returns its pid."""
        pid = self.ready["services"][name]["pid"]
        self.kill_pid(pid)
        return pid

    def kill_pid(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    @contextmanager
    def unsupervised(self) -> Iterator[None]:
        """Nothing that dies within the block is started again before the block is left."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    async def dead(self, pid: int) -> None:
        """Wait until a killed process runs no more (nobody may have collected it yet)."""

        def runs_no_more() -> bool:
            try:
                return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
            except (FileNotFoundError, ProcessLookupError):  # collected, before or while its file was read
                return True

        await until(runs_no_more)

    async def replaced(self, name: str, pid: int) -> None:
        """Wait until another process has taken the place of `pid`."""
        await until(lambda: self.ready["services"][name]["pid"] not in (pid, None), within_seconds=30)

    async def call(self, method: str, path: str, *, token: str = "admin_token", **options: Any) -> httpx.Response:
        ready = self.ready
        headers = {"authorization": f"Bearer {ready['demo'][token]}"} | options.pop("headers", {})
        return await self._http.request(method, ready["gateway_url"] + path, headers=headers, **options)

    async def sent_proposal(self, **changes: Any) -> str:
        """The id of a proposal that was written and sent."""
        written = await self.call("POST", "/api/proposals", json=proposal_body(**changes))
        assert written.status_code == 201, written.text
        proposal = written.json()["id"]
        sent = await self.call("POST", f"/api/proposals/{proposal}/send")
        assert sent.status_code == 200, sent.text
        return proposal

    async def sign(self, proposal: str, **headers: str) -> httpx.Response:
        return await self.call("POST", f"/api/proposals/{proposal}/sign", headers=headers)

    async def signed(self, proposal: str, *, within_seconds: float = 30.0) -> dict[str, Any]:
        """Wait until the proposal is Signed, whatever happened to the call that signed it."""

        async def is_signed() -> dict[str, Any] | None:
            try:
                found = (await self.call("GET", f"/api/proposals/{proposal}")).json()
            except httpx.TransportError:
                return None
            return found if found.get("status") == "Signed" else None

        return await until(is_signed, within_seconds=within_seconds)

    async def rows(self, service: str, query: str, *arguments: Any) -> list[dict[str, Any]]:
        """Look into a service's database as an administrator, past row-level security."""
        dsn = self.ready["services"]["postgres"]["url"].rpartition("/")[0] + f"/serx_{service}"
        connection = await asyncpg.connect(dsn)
        try:
            return [dict(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()

    async def another_organisation(self) -> str:
        """An administrator's token of an organisation that has nothing."""
        dsn = self.ready["services"]["postgres"]["url"].rpartition("/")[0] + "/serx_identity"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(
                "-m",
                "deploy.cli",
                "org",
                "create",
                "--name",
                "Another",
                "--admin-email",
                "admin@another.example",
                "--json",
            ),
            env=os.environ | {"SERX_DATABASE_DSN": dsn, "SERX_ADMIN_PASSWORD": "a password for another organisation"},
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        return msgspec.json.decode(output)["admin_token"]

    async def call_as(self, credential: str | None, method: str, path: str, **options: Any) -> httpx.Response:
        """Call with any credential, or with none."""
        headers = {"authorization": f"Bearer {credential}"} if credential is not None else {}
        headers |= options.pop("headers", {})
        return await self._http.request(method, self.ready["gateway_url"] + path, headers=headers, **options)

    async def close(self) -> None:
        await self._http.aclose()


@asynccontextmanager
async def installed(root: Path, **environment: str) -> AsyncIterator[Installation]:
    """`serx up` in `root`, with its demo, until the block is left."""
    data, failpoints = root / "data", root / "failpoints"
    failpoints.mkdir(parents=True, exist_ok=True)
    output = (root / "output").open("wb")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "deploy.cli", "up", "--data-dir", str(data), "--port", str(free_port())),
        env=os.environ | {"SERX_FAILPOINTS_DIR": str(failpoints)} | environment,
        stdout=output,
        stderr=asyncio.subprocess.STDOUT,
    )
    installation = Installation(data, process)
    try:
        await until(lambda: _is_ready(installation, output.name), within_seconds=START_SECONDS)
        yield installation
    finally:
        await installation.close()
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()
        output.close()


def _is_ready(installation: Installation, output: str) -> bool:
    assert installation.process.returncode is None, Path(output).read_text()
    path = installation.folder / "ready.json"
    return path.exists() and bool(installation.ready["demo"].get("client_token"))
