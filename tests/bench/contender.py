"""Whoever is measured: where it answers, what it is made of, and where its proposals to be signed come from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.bench.load import Calls
from tests.bench.processes import Trees

Seed = Callable[[int], Awaitable[list[str]]]
"""Writes that many Sent proposals in bulk, and gives their ids."""

OURS = "serx"
MONOLITH = "fastapi"
FLOOR = "floor"
DURABLE = "dbos"

TITLES = {
    OURS: "serx, through the gateway",
    MONOLITH: "FastAPI + SQLAlchemy",
    FLOOR: "the floor (raw asyncpg)",
    DURABLE: "DBOS",
}


class Contender:
    """One of those that are measured."""

    def __init__(self, name: str, url: str, token: str, *, trees: Trees, seed: Seed, projects: list[str]) -> None:
        self.name = name
        self.trees = trees
        self._url = url
        self._headers = {"authorization": f"Bearer {token}", "user-agent": "serx-bench"}
        self._seed = seed
        self._projects = projects
        self._sent: list[str] = []

    def reading(self, *paths: str) -> Calls:
        return self._calls(paths)

    def retrieving(self) -> Calls:
        return self.reading(*(f"/api/projects/{project}" for project in self._projects))

    def listing(self) -> Calls:
        return self.reading("/api/projects?limit=20")

    async def signing(self, count: int) -> Calls:
        """That many signatures, of proposals that nobody has signed."""
        if len(self._sent) < count:
            self._sent += await self._seed(count - len(self._sent))
        return self._calls(tuple(f"/api/proposals/{sent}/sign" for sent in self._sent[:count]), once=True)

    def signed(self, count: int) -> None:
        """So many of them are signed now, the first ones."""
        del self._sent[:count]

    def _calls(self, paths: tuple[str, ...], *, once: bool = False) -> Calls:
        return Calls(url=self._url, headers=self._headers, paths=paths, once=once)
