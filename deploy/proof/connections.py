"""Faults of connections, and of the messages on them: what the relays of a stack are told to do to what passes."""

from __future__ import annotations

import asyncio
import random

from deploy.proof.relay import Relay
from deploy.proof.stack import Stack

WEATHER_SECONDS = (0.3, 1.5)


async def repeat_messages(stack: Stack, chance: random.Random) -> str:
    weather = stack.broker.weather
    weather.copies = 3
    await asyncio.sleep(chance.uniform(*WEATHER_SECONDS))
    weather.copies = 1
    return "from nats"


async def reorder_messages(stack: Stack, chance: random.Random) -> str:
    weather = stack.broker.weather
    weather.longest_delay_seconds = 0.2
    await asyncio.sleep(chance.uniform(*WEATHER_SECONDS))
    weather.longest_delay_seconds = 0.0
    return "from nats"


async def reset_broker_connections(stack: Stack, chance: random.Random) -> str:
    return f"{stack.broker.reset(chance.choice((0.3, 1.0)))} connections to nats"


async def reset_database_connections(stack: Stack, chance: random.Random) -> str:
    return f"{stack.database.reset(chance.choice((0.1, 0.5, 1.0)))} connections to postgres"


async def reset_http_connections(stack: Stack, chance: random.Random) -> str:
    service, door = chance.choice(list(stack.doors.items()))
    return f"{door.reset()} connections to {service}"


async def stand_still(stack: Stack, chance: random.Random) -> str:
    """Connections half-open: nobody is told, nothing comes through; then they are gone."""
    name, relay = _relay(stack, chance)
    relay.weather.stands_still = True
    await asyncio.sleep(chance.uniform(*WEATHER_SECONDS))
    count = relay.reset()
    relay.weather.stands_still = False
    return f"{count} connections to {name}"


async def be_slow(stack: Stack, chance: random.Random) -> str:
    name, relay = _relay(stack, chance)
    relay.weather.slow_seconds = 0.05
    await asyncio.sleep(chance.uniform(*WEATHER_SECONDS))
    relay.weather.slow_seconds = 0.0
    return f"connections to {name}"


def _relay(stack: Stack, chance: random.Random) -> tuple[str, Relay]:
    return chance.choice([("nats", stack.broker), ("postgres", stack.database), *stack.doors.items()])
