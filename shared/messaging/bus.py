"""The connection to NATS: says, hears, asks; comes back by itself, for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext

from shared import telemetry
from shared.messaging.acks import Acks
from shared.messaging.answers import Answers, NobodyAnswers
from shared.messaging.bus_client import RECONNECT_WAIT_SECONDS, BusClient, Hook, Hooks, login_in, shuffled
from shared.messaging.incoming import Incoming
from shared.messaging.topology import acks_prefix, answers_prefix
from shared.telemetry import log

PUBLISH_TIMEOUT_SECONDS = 5.0
CANCEL_AGAIN_SECONDS = 0.5
MOVE_SECONDS = 4.0
ANSWER_SECONDS = 1.0
RETIRE_SECONDS = 10.0
OVERLAP_SECONDS = 0.5
"""We hear at both servers so long when we move: others hear of our subscriptions in their own time, unannounced."""

_log = log(__name__)


class BrokerAway(Exception):
    """The broker cannot be reached, or it did not answer in time; what was to be said may or may not have arrived."""


class Message(NamedTuple):
    """One message on its way into a stream."""

    subject: str
    body: bytes
    headers: dict[str, str]


async def end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel the tasks until they are gone.

    `asyncio.wait_for` can lose a cancellation that meets its result (https://github.com/python/cpython/issues/86296).
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_SECONDS)


Hearer = Callable[[Incoming], Awaitable[None]]
Ask = Callable[[str, bytes], Awaitable[bytes]]


class Bus:
    """NATS as one process sees it. `open` returns at once and keeps trying; what is heard is heard from then on."""

    def __init__(self, *, process: str, url: str) -> None:
        self._process = process
        self._servers, self._seed = login_in(url)
        self._client = BusClient()
        self._acks = Acks(acks_prefix(process))
        self._answers = Answers(answers_prefix(process))
        self._hearers: list[tuple[str, str, Hearer]] = []
        self._subscriptions: list[Subscription] = []
        self._on_connect: list[Hook] = []
        self._on_disconnection: list[Hook] = []
        self._running: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._retiring: set[asyncio.Task[None]] = set()

    @property
    def is_connected(self) -> bool:
        return self._client.is_connected

    @property
    def streams(self) -> JetStreamContext:
        """JetStream, for whoever keeps streams and consumers."""
        return self._client.jetstream(timeout=PUBLISH_TIMEOUT_SECONDS)

    async def open(self) -> None:
        """Begin to connect, in the background."""
        self._running = asyncio.create_task(self._stay_connected(), name="bus")

    async def close(self) -> None:
        """Say what has been said but not sent, then go."""
        if self._running is not None:
            await end([self._running, *self._retiring])
        if self._client.is_connected:
            await self._client.flush()
        await self._client.close()

    def on_reconnect(self, callback: Hook) -> None:
        """Call whenever a connection is established, the first time included."""
        self._on_connect.append(callback)

    def on_disconnect(self, callback: Hook) -> None:
        """Call whenever the connection is lost, before it is established again."""
        self._on_disconnection.append(callback)

    async def hear(self, subject: str, hearer: Hearer, *, queue: str = "") -> None:
        """Call `hearer` for each message, in a task of its own; with `queue`, one of its members hears it."""
        self._hearers.append((subject, queue, hearer))
        if self._client.is_connected:
            await self._subscribe(subject, queue, hearer)

    async def stop_hearing(self) -> None:
        """Take no more messages; those that have arrived are still handed to their hearers."""
        self._hearers.clear()
        if self._client.is_connected:
            await asyncio.gather(*(subscription.drain() for subscription in self._subscriptions))
        self._subscriptions.clear()

    async def say(self, subject: str, body: bytes, headers: dict[str, str] | None = None, *, reply: str = "") -> None:
        """Publish without waiting for anybody. Raises BrokerAway when not connected.

        At `reply`, which this process must hear, arrive answers, or at once an `is_unheard` one if nobody hears it.
        """
        if not self._client.is_connected:
            raise BrokerAway("not connected")
        try:
            await self._client.publish(subject, body, reply=reply, headers=headers)
        except (nats.errors.Error, OSError) as error:
            raise BrokerAway(repr(error)) from error

    async def keep(self, messages: Sequence[Message]) -> list[bool]:
        """Publish into their streams and wait: which of them are kept (fsynced), as far as we are told."""
        expected = [self._acks.expect() for _ in messages]
        try:
            for message, (reply, future) in zip(messages, expected, strict=True):
                try:
                    await self.say(message.subject, message.body, message.headers, reply=reply)
                except BrokerAway as error:
                    _log.info("not published", subject=message.subject, cause=str(error))
                    future.set_result(False)
            await asyncio.wait([future for _, future in expected], timeout=PUBLISH_TIMEOUT_SECONDS)
        finally:
            for reply, _ in expected:
                self._acks.forget(reply)
        return [future.done() and future.result() for _, future in expected]

    async def ask(self, subject: str, body: bytes, *, timeout_seconds: float = 2.0) -> bytes:
        """Ask a question and wait for the answer. Raises BrokerAway when nobody answers in time."""
        reply, answer = self._answers.expect()
        try:
            await self.say(subject, body, telemetry.passed_on(), reply=reply)
            async with asyncio.timeout(timeout_seconds):
                return await answer
        except (NobodyAnswers, TimeoutError) as error:
            raise BrokerAway(repr(error)) from error
        finally:
            self._answers.forget(reply)

    async def move(self, suits: Callable[[Ask], Awaitable[bool]], *, is_cut_off: bool) -> bool:
        """Go over to another server, if one that is tried takes us and `suits`: whether we did.

        `is_cut_off`: what was said at this server has not arrived anywhere, and something may have been missed, as if
        the connection were lost. Else nothing is lost, and nobody is told.
        """
        left = self._client
        servers = shuffled(self._servers)
        if is_cut_off:
            servers.sort(key=left.is_at)
        candidate = BusClient()
        try:
            async with asyncio.timeout(MOVE_SECONDS):
                await candidate.open(self._process, servers, self._seed, self._hooks(candidate))
                is_better = candidate.server_id != left.server_id and await suits(_asking(candidate))
            # Meanwhile the connection may have been lost, and found again elsewhere.
            if is_better and self._client is left and left.is_connected and candidate.is_connected:
                self._client = candidate
        except (nats.errors.Error, OSError, TimeoutError) as error:
            _log.debug("no other server takes us", cause=repr(error))
        finally:
            if self._client is not candidate:
                await candidate.close()
        if self._client is candidate:
            await self._take_over_from(left, is_cut_off=is_cut_off)
        return self._client is candidate

    async def _take_over_from(self, left: BusClient, *, is_cut_off: bool) -> None:
        """Hear by our new client; only then the one that is left hears no more, and ends what it has begun."""
        heard, self._subscriptions = self._subscriptions, []
        if is_cut_off:
            await self._on_disconnect()
        try:
            await self._subscribe_to_everything()
            await self._client.flush()
        except (nats.errors.Error, OSError, TimeoutError):
            await self._client.close()  # which has another made
        retiring = asyncio.create_task(self._retire(left, heard), name="retiring")
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)
        if is_cut_off:
            await self._connected()

    async def _retire(self, client: BusClient, subscriptions: Sequence[Subscription]) -> None:
        try:
            async with asyncio.timeout(RETIRE_SECONDS):
                await client.flush()
                await asyncio.sleep(OVERLAP_SECONDS)
                await asyncio.gather(*(subscription.drain() for subscription in subscriptions))
                if self._tasks:
                    await asyncio.wait(set(self._tasks))
                await client.flush()
        except (nats.errors.Error, OSError, TimeoutError) as error:
            _log.info("the server that was left did not take everything", cause=repr(error))
        finally:
            await client.close()

    async def _stay_connected(self) -> None:
        while True:
            self._lost.clear()
            client = self._client = BusClient()
            try:
                await client.open(self._process, shuffled(self._servers), self._seed, self._hooks(client))
            except (nats.errors.Error, OSError, TimeoutError) as error:
                _log.warning("broker refused the connection", cause=repr(error))
                await asyncio.sleep(RECONNECT_WAIT_SECONDS * 10)
                continue
            self._subscriptions.clear()
            await self._subscribe_to_everything()
            await self._connected()
            await self._lost.wait()

    async def _subscribe_to_everything(self) -> None:
        await self._client.subscribe(self._acks.subject, cb=self._acks.hear)
        await self._client.subscribe(self._answers.subject, cb=self._answers.hear)
        for subject, queue, hearer in self._hearers:
            await self._subscribe(subject, queue, hearer)

    def _hooks(self, client: BusClient) -> Hooks:
        """What happens to a client is of interest while it is the one that we use."""

        def of_ours(hook: Hook) -> Hook:
            async def call() -> None:
                if self._client is client:
                    await hook()

            return call

        return Hooks(self._on_error, of_ours(self._on_disconnect), of_ours(self._connected), of_ours(self._on_close))

    async def _subscribe(self, subject: str, queue: str, hearer: Hearer) -> None:
        # nats-py awaits one callback of a subscription before the next: a task each keeps them apart.
        def hand_over(incoming: Incoming) -> None:
            task = asyncio.create_task(self._heard(hearer, incoming))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        def again(incoming: Incoming, seconds: float) -> None:
            asyncio.get_running_loop().call_later(seconds, hand_over, incoming)

        async def spawn(message: Msg) -> None:
            hand_over(Incoming(message, again))

        self._subscriptions.append(await self._client.subscribe(subject, queue=queue, cb=spawn))

    async def _heard(self, hearer: Hearer, message: Incoming) -> None:
        try:
            await hearer(message)
        except (nats.errors.Error, BrokerAway) as error:
            _log.warning("broker went away while a message was handled", subject=message.subject, cause=repr(error))
        except Exception:  # noqa: BLE001  # one message must not stop the others; what was not acked comes again
            _log.exception("hearing failed", subject=message.subject)

    async def _connected(self) -> None:
        _log.info("broker connected")
        for callback in self._on_connect:
            await callback()

    async def _on_error(self, error: Exception) -> None:
        _log.debug("broker error", cause=repr(error))
        if isinstance(error, nats.errors.Error) and "permissions violation" in str(error).lower():
            _log.error("broker denies a subject", cause=str(error))

    async def _on_disconnect(self) -> None:
        _log.warning("broker disconnected")
        self._acks.give_up()
        self._answers.give_up()
        for callback in self._on_disconnection:
            await callback()

    async def _on_close(self) -> None:
        self._lost.set()


def _asking(client: BusClient) -> Ask:
    async def ask(subject: str, body: bytes) -> bytes:
        return (await client.request(subject, body, timeout=ANSWER_SECONDS)).data

    return ask
