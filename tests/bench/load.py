"""The load, the same for all: one call at a time over a plain socket, many at once by wrk; both tell their own cost."""

from __future__ import annotations

import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from deploy.failure import Failure

_SCRIPT = Path(__file__).parent / "requests.lua"
_RECEIVE_BYTES = 262_144


class Calls(msgspec.Struct, frozen=True, kw_only=True):
    """What is called: where, as whom, and which paths; `once` means a POST to each path, and never twice."""

    url: str
    headers: Mapping[str, str]
    paths: tuple[str, ...]
    once: bool = False


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of a load saw. `quantiles_ms` has the latency at 0, 1, … 100 percent."""

    requests: int
    seconds: float
    quantiles_ms: tuple[float, ...]
    generator_cpu_seconds: float

    @property
    def p50_ms(self) -> float:
        return self.quantiles_ms[50]

    @property
    def p99_ms(self) -> float:
        return self.quantiles_ms[99]


class CallRefused(Exception):
    """A call was not answered with 200: what was measured means nothing."""


def require_wrk() -> None:
    """Raises Failure saying how to get it."""
    if shutil.which("wrk") is None:
        raise Failure("The load comes from wrk, which is not installed; on Debian and Ubuntu: apt install wrk")


def one_at_a_time(calls: Calls, *, seconds: float) -> Outcome:
    """Call path after path for that long over one kept connection. Raises CallRefused."""
    return _one_by_one(calls, seconds=seconds, pause_until=lambda _: None)


def steadily(calls: Calls, *, per_second: int, seconds: float) -> Outcome:
    """The same, but a call begins every 1/`per_second` seconds, or at once when the one before took longer."""

    def pause_until(number: int) -> None:
        left = began + number / per_second - time.perf_counter()
        if left > 0:
            time.sleep(left)

    began = time.perf_counter()
    return _one_by_one(calls, seconds=seconds, pause_until=pause_until)


def _one_by_one(calls: Calls, *, seconds: float, pause_until: Callable[[int], None]) -> Outcome:
    """Call path after path; `pause_until` returns when the call of that number may begin."""
    with _connected(calls.url) as connection:
        took: list[float] = []
        own = time.thread_time()
        began = time.perf_counter()
        for number, request in enumerate(_requests(calls)):
            pause_until(number)
            sent = time.perf_counter()
            _exchange(connection, request)
            ended = time.perf_counter()
            took.append(ended - sent)
            if ended - began >= seconds:
                break
        return Outcome(
            requests=len(took),
            seconds=time.perf_counter() - began,
            quantiles_ms=quantiles([seconds * 1000 for seconds in took]),
            generator_cpu_seconds=time.thread_time() - own,
        )


class _Told(msgspec.Struct, frozen=True):
    """What requests.lua says at the end."""

    requests: int
    microseconds: float
    refused: int
    broken: int
    quantiles_us: tuple[float, ...]


def many_at_once(calls: Calls, folder: Path, *, connections: int, seconds: float) -> Outcome:
    """Call by wrk, one thread. Raises CallRefused."""
    paths = folder / "paths"
    paths.write_text("\n".join(calls.paths) + "\n")
    headers = [part for name, value in calls.headers.items() for part in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout=10s", "-s", str(_SCRIPT), *headers]
    command += [calls.url, "--", str(paths), "once" if calls.once else "again"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if finished.returncode:
        raise CallRefused(f"wrk: {finished.stderr.strip()}")
    told = msgspec.json.decode(finished.stderr.splitlines()[-1], type=_Told)
    if told.refused or told.broken:
        raise CallRefused(f"{told.refused} of {told.requests} calls were refused and {told.broken} broke: {calls.url}")
    if not told.requests:
        raise CallRefused(f"no call was answered within {seconds:.0f} s: {calls.url}; this machine has too much to do")
    return Outcome(
        requests=told.requests,
        seconds=told.microseconds / 1e6,
        quantiles_ms=tuple(value / 1000 for value in told.quantiles_us),
        generator_cpu_seconds=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    )


def _connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _requests(calls: Calls) -> Iterator[bytes]:
    """Raises CallRefused when each path was called that may be called once."""
    authority = urlsplit(calls.url).netloc
    head = "".join(f"\r\n{name}: {value}" for name, value in calls.headers.items())
    verb, length = ("POST", "\r\ncontent-length: 0") if calls.once else ("GET", "")
    while True:
        for path in calls.paths:
            yield f"{verb} {path} HTTP/1.1\r\nhost: {authority}{head}{length}\r\n\r\n".encode()
        if calls.once:
            raise CallRefused("there were not enough paths for the time")


def _exchange(connection: socket.socket, request: bytes) -> bytes:
    """The answer's body. Raises CallRefused unless it is a 200 of a stated length."""
    connection.sendall(request)
    answer = connection.recv(_RECEIVE_BYTES)
    while (end := answer.find(b"\r\n\r\n")) < 0:
        answer += _more(connection)
    head = answer[:end].lower()
    at = head.find(b"\r\ncontent-length:")
    if not head.startswith(b"http/1.1 200") or at < 0:
        raise CallRefused(answer[:600].decode(errors="replace"))
    length = int(head[at + 17 :].split(b"\r\n", 1)[0])
    while len(answer) < end + 4 + length:
        answer += _more(connection)
    return answer[end + 4 :]


def _more(connection: socket.socket) -> bytes:
    received = connection.recv(_RECEIVE_BYTES)
    if not received:
        raise CallRefused("the connection was closed within an answer")
    return received


def fetch(calls: Calls) -> bytes:
    """The body of the answer to the first path. Raises CallRefused."""
    with _connected(calls.url) as connection:
        return _exchange(connection, next(_requests(calls)))


def quantiles(values: Sequence[float]) -> tuple[float, ...]:
    """The nearest-rank quantiles at 0, 1, … 100 percent, to three decimals."""
    rising = sorted(values)
    return tuple(round(rising[min(len(rising) - 1, len(rising) * percent // 100)], 3) for percent in range(101))
