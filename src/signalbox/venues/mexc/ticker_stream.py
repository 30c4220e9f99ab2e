"""Best prices of single markets, pushed (MEXC spot docs, "Individual Symbol Book Ticker Streams", aggregated).

Markets come and go while their connection lives; one connection takes up to 30 of them. A market that the venue refuses
(a fresh one may not be known to the stream yet) is asked for again and again by itself and disturbs no other.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from picows import WSMsgType, WSTransport

from signalbox.domain.errors import VenueRefused, VenueUnavailable
from signalbox.domain.market import BookTicker
from signalbox.domain.ports import Clock, EventSink
from signalbox.venues.backoff import Backoff, Jitter
from signalbox.venues.mexc import parse
from signalbox.venues.mexc.capabilities import SUBSCRIPTIONS
from signalbox.venues.mexc.push_pb2 import Push
from signalbox.venues.mexc.source_health import SourceHealth
from signalbox.venues.mexc.ws import (
    FAILURES,
    PushListener,
    StreamLimits,
    is_refusal,
    keep_alive,
    open_connection,
    subscription,
)

COMPONENT: Final = "prices.stream"
CHANNEL: Final = "spot@public.aggre.bookTicker.v3.api.pb@10ms@{symbol}"
"""Pushed when the best prices change, at most every 10 ms."""


class _Watcher:
    """Somebody who wants a market's prices. `opened` is set whenever pushes begin (again): what changed before that
    was not told."""

    def __init__(self, on_ticker: Callable[[BookTicker], None]) -> None:
        self.on_ticker = on_ticker
        self.opened = asyncio.Event()
        self.last_push_ns = -1


class _Market:
    """One market's subscription, and who wants it. `live`: it is acknowledged. `timer` asks again while it is not."""

    def __init__(self, symbol: str, jitter: Jitter) -> None:
        self.symbol = symbol
        self.channel = CHANNEL.format(symbol=symbol)
        self.watchers: list[_Watcher] = []
        self.backoff = Backoff(jitter)
        self.live = False
        self.timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """The venue pushes from now on."""
        self.live = True
        self.stop_timer()
        self.backoff.reset()
        for watcher in self.watchers:
            watcher.opened.set()

    def stop(self) -> None:
        """The connection is gone."""
        self.live = False
        self.stop_timer()

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class _Connection:
    """One connection and its markets; reconnects until its task is cancelled."""

    def __init__(self, stream: "TickerStream", health: SourceHealth) -> None:
        self.markets: dict[str, _Market] = {}
        self.task: asyncio.Task[None] | None = None
        self._stream = stream
        self._health = health
        self._backoff = Backoff(stream.jitter)
        self._transport: WSTransport | None = None
        self._number = 0

    def add(self, symbol: str) -> _Market:
        """The market's subscription, begun if it is not there yet."""
        market = self.markets.get(symbol)
        if market is None:
            market = self.markets[symbol] = _Market(symbol, self._stream.jitter)
            self._ask(market)
        if self.task is None:
            self.task = asyncio.create_task(self._run())
        return market

    def remove(self, market: _Market) -> None:
        """Nobody wants this market any more."""
        market.stop_timer()
        del self.markets[market.symbol]
        self._send(market, end=True)

    async def _run(self) -> None:
        """Connect, subscribe, keep alive; after a failure wait 1, 2, 4 … 30 s and begin again."""
        while True:
            listener = PushListener(
                self._stream.clock,
                self._on_push,
                self._on_reply,
                health=self._health,
                most_bytes=self._stream.limits.max_frame_bytes,
            )
            try:
                reason = await self._one_connection(listener)
            except FAILURES as error:
                reason = f"{type(error).__name__} {error}".strip()
            finally:
                self._transport = None
                for market in self.markets.values():
                    market.stop()
            if listener.pushes:
                self._backoff.reset()
            self._health.bad(f"{self._stream.url}: {reason}")
            await asyncio.sleep(self._backoff.next_s())

    async def _one_connection(self, listener: PushListener) -> str:
        stream = self._stream
        transport = await open_connection(stream.url, listener, stream.limits)
        try:
            self._transport = transport
            for market in self.markets.values():
                self._ask(market)
            return await keep_alive(transport, listener, stream.clock, stream.limits)
        finally:
            transport.disconnect(graceful=False)

    def _ask(self, market: _Market) -> None:
        """Subscribe, and again when nothing is heard of it. Without a connection the next one does it."""
        market.stop_timer()
        if self._send(market):
            self._ask_again(market, self._stream.limits.ack_timeout_s)

    def _ask_again(self, market: _Market, after_s: float) -> None:
        market.stop_timer()
        market.timer = asyncio.get_running_loop().call_later(after_s, self._ask, market)

    def _send(self, market: _Market, *, end: bool = False) -> bool:
        if self._transport is None:
            return False
        self._number += 1
        self._transport.send(WSMsgType.TEXT, subscription(market.channel, self._number, end=end))
        return True

    def _on_reply(self, text: str) -> None:
        refused = is_refusal(text)
        for market in self.markets.values():
            if refused and f"[{market.channel}]" in text:
                self._health.bad(f"{market.symbol} is refused: {text[:200]}")
                self._ask_again(market, market.backoff.next_s())
            elif text == market.channel:
                market.begin()
                self._health.good()

    def _on_push(self, push: Push, received_ns: int) -> None:
        if push.WhichOneof("body") != "public_aggre_book_ticker":
            return
        market = self.markets.get(push.channel.rpartition("@")[2])
        if market is None:
            return
        ticker = _ticker(push, market.symbol, self._stream.clock.at(received_ns))
        for watcher in market.watchers:
            watcher.last_push_ns = received_ns
            watcher.on_ticker(ticker)


class TickerStream:
    """Pushed prices for whoever asks, over as few connections as the venue allows. `read` asks for present prices."""

    def __init__(
        self,
        url: str,
        read: Callable[[str], Awaitable[BookTicker]],
        *,
        clock: Clock,
        events: EventSink,
        jitter: Jitter,
        limits: StreamLimits | None = None,
    ) -> None:
        self.url = url
        self.clock = clock
        self.jitter = jitter
        self.limits = limits or StreamLimits(push_idle_s=float("inf"))  # a quiet market pushes nothing
        self._read = read
        self._events = events
        self._connections: list[_Connection] = []

    async def watch(self, symbol: str, on_ticker: Callable[[BookTicker], None]) -> None:
        """Hand on a market's prices until cancelled: each push at once, and one read whenever pushes begin (again).
        Raises only what the handler raises."""
        connection = self._connection_for(symbol)
        market = connection.add(symbol)
        watcher = _Watcher(on_ticker)
        market.watchers.append(watcher)
        if market.live:
            watcher.opened.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._close_gaps(symbol, watcher))
                if connection.task is not None:
                    await asyncio.shield(connection.task)
        finally:
            market.watchers.remove(watcher)
            if not market.watchers:
                connection.remove(market)
            if not connection.markets:
                await self._end(connection)

    async def _close_gaps(self, symbol: str, watcher: _Watcher) -> None:
        while True:
            await watcher.opened.wait()
            watcher.opened.clear()
            asked_ns = self.clock.monotonic_ns()
            try:
                ticker = await self._read(symbol)
            except (VenueUnavailable, VenueRefused):
                continue  # the next push tells, or the watcher's own reads
            if watcher.last_push_ns < asked_ns:
                watcher.on_ticker(ticker)

    def _connection_for(self, symbol: str) -> _Connection:
        for connection in self._connections:
            if symbol in connection.markets:
                return connection
        for connection in self._connections:
            if len(connection.markets) < SUBSCRIPTIONS.value:
                return connection
        connection = _Connection(self, SourceHealth(COMPONENT, self._events, self.clock))
        self._connections.append(connection)
        return connection

    async def _end(self, connection: _Connection) -> None:
        self._connections.remove(connection)
        if not self._connections:
            self._events.health(COMPONENT, "stopped")
        if connection.task is not None:
            connection.task.cancel()
            await asyncio.wait([connection.task])


def _ticker(push: Push, symbol: str, received_at: datetime) -> BookTicker:
    """A side without orders comes as zero or empty."""
    best = push.public_aggre_book_ticker
    return BookTicker(
        symbol=symbol,
        bid=parse.optional_price(best.bid_price),
        bid_quantity=parse.optional_price(best.bid_quantity),
        ask=parse.optional_price(best.ask_price),
        ask_quantity=parse.optional_price(best.ask_quantity),
        received_at=received_at,
    )
