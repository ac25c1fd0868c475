"""One storm after another on the door of a running installation, while a good caller goes on."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import httpx

from tests.support.installation import Installation

MESSAGES = 100
MESSAGE_BYTES = 60_000
PATHS = ("/api/orders?limit=20", "/api/proposals?limit=20", "/api/projects?limit=20")
PACE_SECONDS = 0.01


@dataclass
class Outcome:
    """How the good caller fared in one storm; times in seconds."""

    name: str
    times: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def share(self, part: float) -> float:
        ranked = sorted(self.times) or [0.0]
        return ranked[min(len(ranked) - 1, int(len(ranked) * part))]


async def long_conversation(installation: Installation) -> str:
    """The path of a conversation with MESSAGES long messages."""
    project = (await installation.call("GET", "/api/projects")).json()["data"][0]["id"]
    path = f"/api/projects/{project}/conversations"
    made = await installation.call("POST", path, json={"subject": "Long"})
    assert made.status_code == 201, made.text
    path = f"{path}/{made.json()['id']}"
    for _ in range(MESSAGES):
        answer = await installation.call("POST", f"{path}/messages", json={"content": "x" * MESSAGE_BYTES})
        assert answer.status_code == 201, answer.text
    return path


async def storm(
    installation: Installation, name: str, conversation: str, *, seconds: float, share: float = 1.0
) -> Outcome:
    """Run one attack in a process of its own, and call as a good caller does until it is over."""
    ready = installation.ready
    port = urlsplit(ready["gateway_url"]).port
    arguments = (name, str(port), ready["demo"]["admin_token"], conversation, str(seconds), str(share))
    attack = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.door.attacks", *arguments, env=dict(os.environ)
    )
    outcome = Outcome(name)
    headers = {"authorization": f"Bearer {ready['demo']['client_token']}"}
    async with httpx.AsyncClient(base_url=ready["gateway_url"], headers=headers, timeout=30, trust_env=False) as good:
        while attack.returncode is None:
            for path in PATHS:
                await _call(good, path, outcome)
                await asyncio.sleep(PACE_SECONDS)
    assert attack.returncode == 0, f"{name} ended with {attack.returncode}"
    return outcome


async def _call(good: httpx.AsyncClient, path: str, outcome: Outcome) -> None:
    began = perf_counter()
    try:
        answer = await good.get(path)
    except httpx.TransportError as error:
        outcome.refused.append(repr(error))
        return
    outcome.times.append(perf_counter() - began)
    if answer.status_code != 200:
        outcome.refused.append(f"{answer.status_code} {answer.text[:200]}")


def peak_megabytes(installation: Installation) -> dict[str, float]:
    """The most memory that each of our processes has had since it began."""
    peaks = {}
    for name, process in installation.ready["services"].items():
        if name not in ("nats", "postgres"):
            status = Path(f"/proc/{process['pid']}/status").read_text()
            found = re.search(r"VmHWM:\s+(\d+) kB", status)
            assert found is not None
            peaks[name] = int(found[1]) / 1024
    return peaks
