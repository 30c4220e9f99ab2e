"""The websocket side of the exchange: connections, subscriptions, and events on their way to both."""

import asyncio
import contextlib
from collections import deque
from decimal import Decimal
from typing import Any

import msgspec
from aiohttp import web

from signalbox.simulators.mexc import pushes
from signalbox.simulators.mexc.accounts import Account
from signalbox.simulators.mexc.channels import Channel, Kind, parse_channel, refusal_text
from signalbox.simulators.mexc.connection import Connection, FirstFrame, Frame
from signalbox.simulators.mexc.dispatch import cut, server_error
from signalbox.simulators.mexc.exchange import Exchange
from signalbox.simulators.mexc.feeds import PublicFeeds
from signalbox.simulators.mexc.listen_keys import MAX_SOCKETS_PER_KEY, ListenKeys
from signalbox.simulators.mexc.orders import Order, OwnTrade
from signalbox.simulators.mexc.pairs import Pair
from signalbox.simulators.mexc.tape import PublicTrade

KEPT_FIRST_FRAMES = 10_000
INVALID_LISTEN_KEY = "Invalid listen key"
PRIVATE_ORDERS = "spot@private.orders.v3.api.pb"
PRIVATE_DEALS = "spot@private.deals.v3.api.pb"
PRIVATE_ACCOUNT = "spot@private.account.v3.api.pb"


class Hub:
    """Implements the exchange's `Publisher`; everything it does on an event is to queue frames."""

    def __init__(self, exchange: Exchange, keys: ListenKeys) -> None:
        self._exchange = exchange
        self._keys = keys
        self._numbers = 0
        self._connections: set[Connection] = set()
        self.feeds = PublicFeeds(exchange)
        self.first_frames: deque[FirstFrame] = deque(maxlen=KEPT_FIRST_FRAMES)
        exchange.publisher = self
        exchange.watched = self.feeds.watched

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    def subscriptions(self) -> set[str]:
        """Channels that somebody is subscribed to."""
        return {name for connection in self._connections for name in connection.channels}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One client from its upgrade to its end. Faults of the request `/ws` strike before the upgrade."""
        turned_away = await self._fault_before(request)
        if turned_away is not None:
            return turned_away
        transport = request.transport
        socket = web.WebSocketResponse(autoping=False, heartbeat=None, compress=False)
        await socket.prepare(request)
        key_text = request.query.get("listenKey")
        key = self._keys.find(key_text, self._exchange.now_ms()) if key_text else None
        if key_text and (key is None or key.sockets >= MAX_SOCKETS_PER_KEY):
            answer = msgspec.json.encode({"id": 0, "code": 0, "msg": INVALID_LISTEN_KEY}).decode()
            await socket.send_str(answer)
            await socket.close()
            return socket
        self._numbers += 1
        connection = Connection(
            number=self._numbers,
            socket=socket,
            clock=self._exchange.clock,
            faults=self._exchange.faults,
            on_first_frame=self.first_frames.append,
            queue_limit=self._exchange.options.push_queue_limit,
            transport=transport,
            key=key,
        )
        await self._serve(connection)
        return socket

    async def close(self) -> None:
        """Close all connections."""
        self.feeds.close()
        for connection in list(self._connections):
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(1):
                    await connection.socket.close()

    def disconnect(self, channel: str = "") -> int:
        """Cut every connection without a goodbye, or those that subscribed to a channel whose name begins like this;
        how many there were."""
        doomed = [
            connection
            for connection in self._connections
            if not channel or any(name.startswith(channel) for name in connection.channels)
        ]
        for connection in doomed:
            connection.cut()
        return len(doomed)

    async def _fault_before(self, request: web.Request) -> web.StreamResponse | None:
        faults = self._exchange.faults
        if (fault := faults.take("latency", request.path, "GET")) is not None:
            await asyncio.sleep(faults.wait_ms(fault) / 1000)
        if faults.take("refuse_connection", request.path, "GET") is not None:
            return cut(request)
        if (fault := faults.take("error_before_accept", request.path, "GET")) is not None:
            return server_error(fault)
        return None

    async def _serve(self, connection: Connection) -> None:
        self._connections.add(connection)
        if connection.key is not None:
            connection.key.sockets += 1
        writer = asyncio.create_task(connection.write_forever())
        watchdog = asyncio.create_task(self._close_when_silent(connection))
        try:
            await connection.read(self._on_text, lambda: self._exchange.switches.protocol_ping_answered)
        finally:
            self._connections.discard(connection)
            if connection.key is not None:
                connection.key.sockets -= 1
            for name in connection.channels:
                self.feeds.unsubscribe(connection, name)
            for task in (writer, watchdog):
                task.cancel()
            await asyncio.gather(writer, watchdog, return_exceptions=True)

    async def _close_when_silent(self, connection: Connection) -> None:
        """Close without subscription after 30 s, without any traffic after 60 s, and in any case after 24 h."""
        options = self._exchange.options
        loop = asyncio.get_running_loop()
        connection.last_active_s = loop.time()
        ends_s = loop.time() + options.connection_lifetime_ms / 1000
        while True:
            allowed_ms = options.silent_close_ms if connection.channels else options.idle_close_ms
            closes_s = min(connection.last_active_s + allowed_ms / 1000, ends_s)
            if closes_s <= loop.time():
                break
            await asyncio.sleep(closes_s - loop.time())
        await connection.socket.close()

    def _on_text(self, connection: Connection, text: str) -> None:
        second = int(asyncio.get_running_loop().time())
        if connection.count_message(second) > self._exchange.options.max_client_messages_per_s:
            connection.cut()
            return
        try:
            message: Any = msgspec.json.decode(text)
        except msgspec.DecodeError:
            message = text
        method = message.get("method") if isinstance(message, dict) else message
        identifier = message.get("id") if isinstance(message, dict) else None
        if isinstance(method, str) and method.upper() == "PING":
            connection.acknowledge(0, "PONG")
            return
        names = message.get("params") if isinstance(message, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            connection.acknowledge(identifier, refusal_text(str(names)))
        elif method == "SUBSCRIPTION":
            self._answer(connection, identifier, [self._subscribe(connection, name) for name in names])
        elif method == "UNSUBSCRIPTION":
            for name in names:
                connection.channels.pop(name, None)
                self.feeds.unsubscribe(connection, name)
            self._answer(connection, identifier, names)
        else:
            connection.acknowledge(identifier, refusal_text(str(method)))

    def _answer(self, connection: Connection, identifier: object, messages: list[str]) -> None:
        if self._exchange.switches.multi_ack == "joined":
            messages = [",".join(messages)]
        for message in messages:
            connection.acknowledge(identifier, message)

    def _subscribe(self, connection: Connection, name: str) -> str:
        """Subscribe to one channel; the text of its acknowledgement (empty for a repeated one)."""
        if name in connection.channels:
            return ""
        channel = parse_channel(name)
        if channel is None or not self._may_subscribe(connection, channel):
            return refusal_text(name)
        connection.channels[name] = channel
        if not channel.kind.is_private:
            self.feeds.subscribe(connection, channel)
        return name

    def _may_subscribe(self, connection: Connection, channel: Channel) -> bool:
        if len(connection.channels) >= self._exchange.options.max_subscriptions:
            return False
        if channel.kind.is_private:
            return connection.key is not None
        if channel.kind is Kind.MINI_TICKERS:
            return True
        return self._exchange.find(channel.symbol or "", self._exchange.now_ms()) is not None

    def pair_opened(self, pair: Pair) -> None:
        """The opening itself is not pushed; the first trade is."""
        self.feeds.book_changed(pair)

    def traded(self, pair: Pair, trade: PublicTrade) -> None:
        """To aggre.deals and klines."""
        self.feeds.traded(pair, trade)

    def book_changed(self, pair: Pair) -> None:
        """To book tickers and depths."""
        self.feeds.book_changed(pair)

    def order_changed(self, order: Order) -> None:
        """To private.orders."""
        for connection in self._private(order.account, PRIVATE_ORDERS):
            data = pushes.private_order(PRIVATE_ORDERS, order, self._exchange.now_ms())
            connection.send(Frame(data, PRIVATE_ORDERS, about=order.about | {"status": order.status.value}))

    def own_trade(self, trade: OwnTrade) -> None:
        """To private.deals."""
        for connection in self._private(trade.order.account, PRIVATE_DEALS):
            data = pushes.private_deal(PRIVATE_DEALS, trade, self._exchange.now_ms())
            connection.send(Frame(data, PRIVATE_DEALS, about=trade.order.about))

    def balance_changed(
        self, account: Account, asset: str, free_change: Decimal, locked_change: Decimal, reason: str
    ) -> None:
        """To private.account."""
        for connection in self._private(account, PRIVATE_ACCOUNT):
            changes = (free_change, locked_change)
            now = self._exchange.now_ms()
            data = pushes.private_account(PRIVATE_ACCOUNT, account, asset, changes, reason, now)
            connection.send(Frame(data, PRIVATE_ACCOUNT, about={"asset": asset, "type": reason}))

    def _private(self, account: Account, channel: str) -> list[Connection]:
        return [
            connection
            for connection in self._connections
            if connection.key is not None and connection.key.account is account and channel in connection.channels
        ]
