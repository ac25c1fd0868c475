"""The clients of the storm: they write, send and sign proposals, each in a way of its own, and never give up."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Any

import aiohttp
import msgspec

from deploy.local.api import Signed
from deploy.proof.history import Call, History, Reported, Told
from deploy.proof.told import ENDED
from services.proposals.views import SignReport

STOCK = 20
"""Proposals that are kept ready for whoever wants to know how soon one can be signed."""
STOCKERS = 3
"""Tasks that write these proposals: one of them may wait for a silent gateway."""
THINK_SECONDS = 0.15
"""At the longest, between two proposals of one signer."""
AGAIN_SECONDS = 0.05
"""A client who got no answer does not ask again without a pause."""
TIMEOUT = aiohttp.ClientTimeout(total=15, sock_connect=2)


class Manner(StrEnum):
    """How a proposal is signed."""

    PLAIN = "once"
    CONTESTED = "by three at once"
    HUNG_UP = "by one who hangs up"
    KEYED = "twice at once under one key"
    IMPATIENT = "by one who does not wait"
    REFUSED = "for one who may not sign"


_WEIGHTS = {
    Manner.PLAIN: 6,
    Manner.CONTESTED: 3,
    Manner.HUNG_UP: 3,
    Manner.KEYED: 3,
    Manner.IMPATIENT: 2,
    Manner.REFUSED: 2,
}


class Agency(msgspec.Struct, frozen=True):
    """An organisation whose proposals are signed. The e-mails of `barred` are staff's, or of clients disabled."""

    org_id: str
    token: str
    clients: tuple[str, ...]
    barred: tuple[str, ...]


class Signers:
    """All of them together."""

    def __init__(
        self, gateways: Sequence[str], agencies: Sequence[Agency], history: History, seed: str, *, stock: int = STOCK
    ) -> None:
        self._gateways = gateways
        self._agencies = agencies
        self._history = history
        self._seed = seed
        self._session: aiohttp.ClientSession | None = None
        self._is_over = False
        self._stock: asyncio.Queue[tuple[Agency, str]] = asyncio.Queue(stock)
        self._reported: dict[str, Reported] = {}
        self.manners: Counter[Manner] = Counter()
        self.on_signed: Callable[[float], None] = lambda _: None
        """Told of each completed signature, with when it was asked (monotonic seconds)."""

    async def sign_until_over(self, count: int) -> None:
        """Let `count` of them work until `is_over`; each finishes what it has begun."""
        connector = aiohttp.TCPConnector(limit=0, force_close=False)
        async with aiohttp.ClientSession(connector=connector, timeout=TIMEOUT) as session:
            self._session = session
            async with asyncio.TaskGroup() as tasks:
                for number in range(STOCKERS):
                    tasks.create_task(self._keep_stock(random.Random(f"{self._seed}.stock.{number}")))  # noqa: S311 - see below
                for number in range(count):
                    tasks.create_task(self._work(random.Random(f"{self._seed}.{number}")))  # noqa: S311 - a seed is the point

    @property
    def is_stocked(self) -> bool:
        """Whether as many proposals are ready as can be."""
        return self._stock.full()

    async def probe(self, *, once: bool = False) -> None:
        """Sign a proposal that was written and sent before; nothing when there is none left.

        `once`: by one call. Else it is asked again until it is signed: after a long outage, all of them at once.
        """
        if not self._stock.empty():
            agency, proposal = self._stock.get_nowait()
            await (self._ask(agency, proposal) if once else self._insist(agency, proposal))

    def end(self) -> None:
        """No new proposals from now on."""
        self._is_over = True
        while not self._stock.empty():  # whoever fills it may be waiting for room
            self._stock.get_nowait()

    async def _keep_stock(self, chance: random.Random) -> None:
        while not self._is_over:
            agency = chance.choice(self._agencies)
            proposal = await self._sent_proposal(agency, _body(agency, Manner.PLAIN, chance))
            if proposal is not None:
                await self._stock.put((agency, proposal))

    async def _work(self, chance: random.Random) -> None:
        while not self._is_over:
            manner = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
            agency = chance.choice(self._agencies)
            proposal = await self._sent_proposal(agency, _body(agency, manner, chance))
            if proposal is None:
                return
            self.manners[manner] += 1
            await self._sign(agency, proposal, manner, chance)
            await self._settled(agency, proposal)
            await asyncio.sleep(chance.random() * THINK_SECONDS)

    async def _sign(self, agency: Agency, proposal: str, manner: Manner, chance: random.Random) -> None:
        key = f"{proposal}-{chance.randrange(10**6)}"
        match manner:
            case Manner.PLAIN | Manner.REFUSED:
                await self._insist(agency, proposal)
            case Manner.CONTESTED:
                await asyncio.gather(*(self._insist(agency, proposal) for _ in range(3)))
            case Manner.HUNG_UP:
                with suppress(TimeoutError):
                    async with asyncio.timeout(chance.random() * 0.03):
                        await self._ask(agency, proposal)
            case Manner.KEYED:
                await asyncio.gather(*(self._insist(agency, proposal, key=key) for _ in range(2)))
                await self._insist(agency, proposal, key=key)
            case Manner.IMPATIENT:
                await self._ask(agency, proposal, wait_seconds=0)

    async def _insist(self, agency: Agency, proposal: str, key: str | None = None) -> None:
        """Sign until there is a word: 200, 202 or 409 (for a key: until its flow is over)."""
        while not self._is_over:
            status, detail = await self._ask(agency, proposal, key=key)
            is_under_way = "still running" in detail
            if status not in (0, 503) and not (key and status == 409 and is_under_way):
                return
            await asyncio.sleep(AGAIN_SECONDS)

    async def _ask(
        self, agency: Agency, proposal: str, *, key: str | None = None, wait_seconds: int = 10
    ) -> tuple[int, str]:
        """One call to sign, kept in the history; returns its status (0: no answer) and detail."""
        call, asked_at = self._history.invoke(agency.org_id, proposal, key), time.monotonic()
        headers = {"Prefer": f"wait={wait_seconds}"} | ({"Idempotency-Key": key} if key else {})
        try:
            status, content = await self._call(agency, "POST", f"/api/proposals/{proposal}/sign", headers=headers)
        except BaseException:
            self._history.tell(call, Told.UNKNOWN, detail="hung up")
            raise
        if status == 200:
            self._keep_signed(call, content)
            self.on_signed(asked_at)
        if status == 202:
            self._keep_report(agency, proposal, content)
        detail = _detail(content) if status >= 400 else ""
        if status != 200:
            told = Told.UNKNOWN if status in (0, 202, 503) else Told.FAIL
            self._history.tell(call, told, status=status, detail=detail)
        return status, detail

    def _keep_signed(self, call: Call, content: bytes) -> None:
        signed = msgspec.json.decode(content, type=Signed)
        self._history.tell(
            call,
            Told.OK,
            status=200,
            engagement=signed.engagement.id,
            order=signed.order.id,
            projects=tuple(project.id for project in signed.projects),
            digest=hashlib.sha256(content).hexdigest(),
        )

    def _keep_report(self, agency: Agency, proposal: str, content: bytes) -> Reported:
        """Into the history, unless it says what it said last."""
        report = msgspec.json.decode(content, type=SignReport)
        told = Reported(str(report.saga_id), report.status, {step.name: step.status for step in report.steps})
        if self._reported.get(proposal) != told:
            self._reported[proposal] = told
            self._history.tell_report(agency.org_id, proposal, told)
        return told

    async def _sent_proposal(self, agency: Agency, body: dict[str, Any]) -> str | None:
        """Its id; None when all is over before it is sent."""
        written = await self._until((200, 201), agency, "POST", "/api/proposals", json=body)
        if written is None:
            return None
        proposal = msgspec.json.decode(written)["id"]
        sent = await self._until((200, 409), agency, "POST", f"/api/proposals/{proposal}/send")
        return None if sent is None else proposal

    async def _until(
        self, statuses: tuple[int, ...], agency: Agency, method: str, path: str, **options: Any
    ) -> bytes | None:
        while not self._is_over:
            status, content = await self._call(agency, method, path, **options)
            if status in statuses:
                return content
            await asyncio.sleep(AGAIN_SECONDS)
        return None

    async def _settled(self, agency: Agency, proposal: str) -> None:
        """Wait until its flow is over, if there is one; whoever hung up may have come too early for one."""
        path = f"/api/proposals/{proposal}/sign"
        while not self._is_over:
            status, content = await self._call(agency, "GET", path)
            if status == 404 or (status == 200 and self._keep_report(agency, proposal, content).status in ENDED):
                return
            await asyncio.sleep(AGAIN_SECONDS)

    async def _call(self, agency: Agency, method: str, path: str, **options: Any) -> tuple[int, bytes]:
        """The status and the body; 0 when there was no answer."""
        assert self._session is not None
        headers = {"Authorization": f"Bearer {agency.token}"} | options.pop("headers", {})
        gateway = random.choice(self._gateways)  # noqa: S311 - which of two doors
        try:
            async with self._session.request(method, gateway + path, headers=headers, **options) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return 0, b""


def _body(agency: Agency, manner: Manner, chance: random.Random) -> dict[str, Any]:
    number = chance.randrange(10**12)
    known, new = chance.choice(agency.clients), f"{number}@new.example"
    email = chance.choice(agency.barred) if manner is Manner.REFUSED else chance.choice((known, new))
    items = [
        {"name": f"Item {position} of {number}", "description": "-", "price": f"{chance.randrange(1, 10**6) / 100:.2f}"}
        for position in range(chance.randrange(1, 5))
    ]
    return {"client_email": email, "client_name_f": "Storm", "client_name_l": str(number), "items": items}


def _detail(content: bytes) -> str:
    try:
        return msgspec.json.decode(content).get("detail", "")
    except msgspec.DecodeError:
        return content[:200].decode(errors="replace")
