"""A picture for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deploy.status.picture import Broker, Flows, Picture, Process, Store

_UNKNOWN = "?"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def rendered(picture: Picture) -> RenderableType:
    """The verdict, then everything, then what is wrong."""
    parts: list[RenderableType] = [_verdict(picture), _processes(picture.processes), _databases(picture.databases)]
    parts.append(
        _streams(picture.broker)
        if picture.broker
        else Text("\nBroker: neither its monitoring nor an operator's login is known\n")
    )
    parts.append(_flows(picture.flows))
    return Group(*parts, *_wrong(picture))


def _verdict(picture: Picture) -> Text:
    if picture.is_healthy:
        return Text("Healthy", style="bold green")
    count = len(picture.faults)
    return Text(f"Not healthy: {count} {'thing is' if count == 1 else 'things are'} wrong", style="bold red")


def _wrong(picture: Picture) -> Iterator[Text]:
    if picture.faults:
        yield Text("\nWhat is wrong", style="bold")
    for fault in picture.faults:
        yield Text(f"  - {fault}", style="red")


def _table(*columns: str) -> Table:
    """The first two columns are words, the others numbers."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for position, column in enumerate(columns):
        table.add_column(column, justify="left" if position < 2 else "right", no_wrap=True)
    return table


def _processes(processes: tuple[Process, ...]) -> Table:
    table = _table("Process", "State", "Version", "Up", "Memory", "Requests", "5xx", "95 % within", "Loop late by")
    for each in processes:
        table.add_row(
            each.name,
            _state(_spoken(each), is_well=each.is_ready and all(each.checks.values())),
            each.version or _UNKNOWN,
            _UNKNOWN if each.up_seconds is None else _duration(each.up_seconds),
            _UNKNOWN if each.memory_bytes is None else _size(each.memory_bytes),
            _count(each.requests),
            _count(each.failed),
            "-" if each.p95_seconds is None else _milliseconds(each.p95_seconds),
            "-" if each.loop_delay_p99_seconds is None else _milliseconds(each.loop_delay_p99_seconds),
        )
    return table


def _spoken(process: Process) -> str:
    if not process.answers:
        return "no answer"
    if not process.is_ready:
        return "not ready"
    return "ready" if all(process.checks.values()) else "impaired"


def _databases(stores: tuple[Store, ...]) -> Table:
    table = _table("Database", "State", "In use", "Open", "Most", "Waiting", "Unpublished", "Oldest", "Parked")
    for each in stores:
        age = each.oldest_unpublished_seconds
        table.add_row(
            each.service,
            _state("up" if each.is_up else "unknown" if each.in_use is None else "away", is_well=each.is_up),
            *(_count(number) for number in (each.in_use, each.connections, each.most, each.waiting, each.unpublished)),
            _UNKNOWN if age is None else "-" if not each.unpublished else _duration(age),
            _count(each.parked),
        )
    return table


def _streams(broker: Broker) -> RenderableType:
    if not broker.is_up:
        return Text(f"\nBroker: no answer at {broker.url}\n", style="red")
    table = _table("Stream", "Consumer", "Messages", "Size", "Copies", "Waiting", "Under way", "Redelivered")
    for stream in broker.streams:
        table.add_row(stream.name, "", str(stream.messages), _size(stream.bytes), str(stream.replicas), "", "", "")
        for each in stream.consumers:
            numbers = (each.waiting, each.under_way, each.redelivered)
            table.add_row("", each.service, "", "", "", *(str(number) for number in numbers))
        for each in stream.listeners:
            numbers = (each.waiting, each.under_way, each.redelivered)
            table.add_row("", f"{each.name} (listener)", "", "", "", *(str(number) for number in numbers))
    connections = "" if broker.connections is None else f", {broker.connections} connections"
    away = f", {len(broker.away)} servers away" if broker.away else ""
    table.title = f"NATS {broker.version}{connections}{away}"
    table.title_justify, table.title_style = "left", "bold"
    return table


def _flows(flows: Flows | None) -> Text:
    if flows is None:
        return Text("Signatures: the proposal service does not tell", style="red")
    under_way = ", ".join(f"{flows.open[state]:.0f} {state}" for state in flows.open)
    oldest = max(flows.oldest_seconds.values(), default=0.0)
    age = f", the oldest for {_duration(oldest)}" if oldest else ""
    ended = f"{flows.completed:.0f} completed, {flows.rejected:.0f} rejected, {flows.taken_over:.0f} taken over"
    return Text(f"Signatures  now: {under_way}{age}\n            since the proposal service started: {ended}")


def _state(word: str, *, is_well: bool) -> Text:
    return Text(word, style="green" if is_well else "bold red")


def _count(number: float | None) -> str:
    return _UNKNOWN if number is None else f"{number:,.0f}"


def _size(count: float) -> str:
    return f"{count / 2**20:,.0f} MB" if count >= 2**20 else f"{count / 2**10:,.0f} kB"


def _milliseconds(seconds: float) -> str:
    return "over 10 s" if seconds == float("inf") else f"{seconds * 1000:g} ms"


def _duration(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h" if seconds < _DAY else f"{seconds / _DAY:.1f} d"
