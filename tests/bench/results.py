"""What a run of the benchmark found, as its JSON file holds it. Times in milliseconds unless a name says otherwise."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

Part = Literal["sign", "retrieve", "list"]


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    cpu: str
    cores: int
    memory_gib: float
    kernel: str
    python: str


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """One contender under one load, once. `cpu_ms` is per request, for each of its processes and the load itself."""

    part: Part
    contender: str
    concurrency: int
    repeat: int
    requests: int
    per_second: float
    quantiles_ms: tuple[float, ...]
    cpu_ms: dict[str, float]

    @property
    def p50_ms(self) -> float:
        return self.quantiles_ms[50]

    @property
    def p99_ms(self) -> float:
        return self.quantiles_ms[99]

    @property
    def cpu_ms_of_all(self) -> float:
        """Of everything but the load."""
        return sum(used for name, used in self.cpu_ms.items() if name != LOAD)


LOAD = "load"


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """One way to the same answer of the same service: direct, by nginx, or by the gateway."""

    way: Literal["direct", "nginx", "gateway"]
    repeat: int
    quantiles_ms: tuple[float, ...]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """How long events took from the commit of the transaction that wrote them to a consumer of the stream.

    Signatures were asked for so many at once and without a pause, or `per_second`.
    """

    concurrency: int
    per_second: int | None
    repeat: int
    events: int
    quantiles_ms: tuple[float, ...]


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of each process, proportionally; `after_requests` is how many calls had been answered."""

    contender: str
    after_requests: int
    proportional: dict[str, int]
    resident: dict[str, int]


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds from the start of the command to the first answer, on data that is there."""

    contender: str
    repeat: int
    seconds: float


class Grown(msgspec.Struct, frozen=True, kw_only=True):
    """One call against an organisation of that many projects, once."""

    call: str
    projects: int
    repeat: int
    p50_ms: float
    p99_ms: float


class Results(msgspec.Struct, kw_only=True):
    """All of a run; a part that was not asked for is empty."""

    at: datetime
    machine: Machine
    versions: dict[str, str]
    repeats: int
    measurements: list[Measurement] = []
    ways: list[Way] = []
    told: list[Told] = []
    memory: list[Memory] = []
    starts: list[Start] = []
    grown: list[Grown] = []


def read(path: Path) -> Results:
    return msgspec.json.decode(path.read_bytes(), type=Results)


def write(results: Results, path: Path) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1))
