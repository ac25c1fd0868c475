"""A calm world: whatever can go on goes on, nothing is lost, nobody dies. Fair, in one of two orders.

Oldest first is how a broker delivers. Newest first is just as fair, and as contrary as order can be: a cancel is
handled before the create that it cancels.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import StrEnum
from typing import TypeVar

from tests.support.saga_model.journal import Saga
from tests.support.saga_model.parts import PromiseBroken
from tests.support.saga_model.service import Stage
from tests.support.saga_model.world import REPLICAS, Held, World

T = TypeVar("T")

WAITS = 12
"""How often a flow may have to wait for a drive, a back-off or a lease to end before it is over: G3's ten seconds."""
WAITS_HELD = 4
"""How often before what is held back comes after all."""
MOVES = 3000


class Order(StrEnum):
    """Which of several things comes next."""

    OLDEST_FIRST = "oldest first"
    NEWEST_FIRST = "newest first"


def settle(world: World, order: Order = Order.OLDEST_FIRST) -> None:
    """Let a world come to rest. Raises PromiseBroken when a flow does not.

    What is held back comes in the end: when all else is over, or after a few leases (newest first: as soon as
    everything waits for it, before a lease ends).
    """
    waits, waits_held = 0, 0 if order is Order.NEWEST_FIRST else WAITS_HELD
    for _ in range(MOVES):
        if go_on(world, order):
            continue
        open_still = unsettled(world)
        if world.held and (waits >= waits_held or not open_still):
            world.held.clear()
            continue
        if not open_still:
            return
        waits += 1
        if waits > WAITS:
            raise PromiseBroken(f"G3: not settled: {[saga.status.value for saga in open_still]}")
        pass_time(world)
    raise PromiseBroken("G3: the world does not come to rest")


def unsettled(world: World) -> list[Saga]:
    """Flows that should be over in a while: all that are open, but those that wait for an operator."""
    return [saga for saga in world.journal.sagas.values() if saga.is_open and not saga.is_parked]


def calm(world: World, moves: int, order: Order = Order.OLDEST_FIRST) -> None:
    """So many moves of a calm world; time passes when nothing else happens."""
    for _ in range(moves):
        if not go_on(world, order):
            if not unsettled(world):
                return
            pass_time(world)


def go_on(world: World, order: Order = Order.OLDEST_FIRST) -> bool:
    """The first thing that can happen without time passing; False when there is none."""
    moves = _OLDEST_FIRST if order is Order.OLDEST_FIRST else _NEWEST_FIRST
    return any(move(world, order) for move in moves)


def pass_time(world: World) -> None:
    """Drives end; if there are none that can, leases end and the replicas sweep."""
    idle = [where for where, drive in world.desk.drives.items() if not drive.is_writing]
    for where in idle:
        world.desk.end_drive(where)
    if not idle:
        for replica in REPLICAS:
            for saga in unsettled(world):
                if (replica, saga.run.id) not in world.desk.drives:
                    world.journal.lapse(saga.run.id)
            world.desk.sweep(replica, world.broker)


def _send(world: World, order: Order) -> bool:
    for proposal in _in_order(world.journal.sends, order):
        world.journal.end_send(proposal)
        return True
    return False


def _write(world: World, order: Order) -> bool:
    for number in _free(world, Held.WRITE, world.desk.writes, order):
        world.desk.execute(number, world.broker)
        return True
    return False


def _handle(world: World, order: Order) -> bool:
    return any(
        service.go_on(number, world.broker)
        for service in world.participants.values()
        for number in _free(world, Held.DELIVERY, service.deliveries, order)
    )


def _deliver(world: World, order: Order) -> bool:
    if not world.broker.commands:
        return False
    under_way = {each.sequence for service in world.participants.values() for each in service.deliveries.values()}
    for sequence in _free(world, Held.COMMAND, world.broker.commands, order):
        if sequence not in under_way:
            world.deliver(sequence, Stage.TAKEN)
            return True
    return False


def _hear(world: World, order: Order) -> bool:
    for sequence in _free(world, Held.REPLY, world.broker.answers, order):
        world.hear(sequence)
        return True
    return False


def _look(world: World, order: Order) -> bool:
    return any(world.desk.look(number) for number in _in_order(world.desk.calls, order))


def _publish(world: World, order: Order) -> bool:
    for outbox in world.outboxes.values():
        outbox.look_at_stream(world.broker, world.hole)
        if outbox.marks:
            outbox.mark(0)
            return True
        if left := outbox.left_behind():
            outbox.publish(_in_order(left, order)[0], world.broker)
            return True
    return False


def _hear_fact(world: World, order: Order) -> bool:
    unheard = sorted(world.broker.unheard)
    return any(world.hear_fact(consumer, sequence) for consumer, sequence in _in_order(unheard, order))


def _close(world: World, order: Order) -> bool:
    if any(world.close_client(closing, owner) for closing, owner in _in_order(world.unasked(), order)):
        return True
    return any(world.identity.end_closing(closing) for closing in _in_order(world.identity.closings, order))


def _free(world: World, kind: Held, numbers: Collection[int], order: Order) -> list[int]:
    """Those that nobody holds back."""
    return [number for number in _in_order(numbers, order) if (kind, number) not in world.held]


def _in_order(things: Collection[T], order: Order) -> list[T]:
    ordered = list(things)
    return ordered if order is Order.OLDEST_FIRST else ordered[::-1]


_THEN = (_hear, _look, _publish, _send, _hear_fact, _close)
_OLDEST_FIRST: tuple[Callable[[World, Order], bool], ...] = (_write, _handle, _deliver, *_THEN)
_NEWEST_FIRST: tuple[Callable[[World, Order], bool], ...] = (_deliver, _write, _handle, *_THEN)
