"""The yardsticks of the latency benches: what a bare asyncio program needs from a listing to its order.

`--dsn` absent: client A, no database and no checks. With it: client B, the same plus one durable PostgreSQL commit
before the order is sent, which is the practical floor of any ledger-first design. Same event loop (uvloop), same
websocket library and same machine as the engine; one warm connection, signature by hmac, nothing else.

`--poll-s`: instead of listening to pushes, read the list of all prices so often over a second warm connection. At its
end it prints, for each order, the microseconds from the answer that showed the pair to the order's write.
"""

import argparse
import asyncio
import hashlib
import hmac
import json
import sys
import time
from typing import Any, cast
from urllib.parse import urlsplit

import asyncpg
import httptools
import msgspec
import picows
import uvloop

from signalbox.venues.mexc import push_pb2

CHANNEL = "spot@public.miniTickers.v3.api.pb@UTC+0"
INSERT = """INSERT INTO bench_orders (id, symbol, side, quote_amount, request, created_at)
VALUES ($1, $2, 'buy', $3::text::numeric, $4, now())"""


class Price(msgspec.Struct):
    """An entry of the list of prices."""

    symbol: str
    price: str


class Rest(asyncio.Protocol):
    """One warm HTTP connection; answers are read and thrown away."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by type


class Prices(asyncio.Protocol):
    """The connection that asks for all prices."""

    transport: asyncio.Transport

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._parser = httptools.HttpResponseParser(self)
        self._body = bytearray()
        self._decode = msgspec.json.Decoder(list[Price]).decode

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """A piece of the answer."""
        self._body += body

    def on_message_complete(self) -> None:
        """The whole answer."""
        self._client.received_ns = time.monotonic_ns()  # noqa: TID251 - a bench reads the clock itself
        shown = {entry.symbol for entry in self._decode(bytes(self._body))}
        self._body.clear()
        self._client.on_symbols(shown)


class Feed(picows.WSListener):
    """Watches all mini-tickers."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    def on_ws_connected(self, transport: Any) -> None:
        transport.send(
            picows.WSMsgType.TEXT, json.dumps({"method": "SUBSCRIPTION", "params": [CHANNEL], "id": 1}).encode()
        )

    def on_ws_frame(self, transport: Any, frame: Any) -> None:  # noqa: ARG002 - the library's signature
        if frame.msg_type is not picows.WSMsgType.BINARY:
            return
        push = push_pb2.Push.FromString(frame.get_payload_as_bytes())
        for ticker in push.public_mini_tickers.items:
            if ticker.symbol not in self._client.known:
                self._client.known.add(ticker.symbol)
                self._client.on_listing(ticker.symbol)


class Client:
    """Signs and sends a MARKET buy for a listing, after a commit when it has a database."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.received_ns = 0
        self.known: set[str] = set(options.known.split(","))
        self._key, self._host = options.key, urlsplit(options.rest).netloc
        self._mac = hmac.new(options.secret.encode(), digestmod=hashlib.sha256)
        self._db: asyncpg.Connection[asyncpg.Record] | None = None
        self._rest = Rest()
        self._number = 0
        self._polls = bool(options.poll_s)
        self._seen_ns: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, options: argparse.Namespace) -> None:
        loop = asyncio.get_running_loop()
        url = urlsplit(options.rest)
        await loop.create_connection(lambda: self._rest, url.hostname, url.port)
        if options.dsn:
            self._db = await asyncpg.connect(options.dsn)
            await self._db.execute(
                "CREATE TABLE IF NOT EXISTS bench_orders (id text PRIMARY KEY, symbol text, side text,"
                " quote_amount numeric, request text, created_at timestamptz)"
            )
            await self._db.execute(INSERT, f"warm-{time.time_ns()}", "WARM", "1", "{}")  # noqa: TID251 - a bench
        if options.poll_s:
            await self._poll(str(url.hostname), url.port or 80, options.poll_s)
            return
        transport, _ = await picows.ws_connect(lambda: Feed(self), options.ws)
        print("ready", flush=True)
        await transport.wait_disconnected()

    async def _poll(self, host: str, port: int, pause_s: float) -> None:
        _, prices = await asyncio.get_running_loop().create_connection(lambda: Prices(self), host, port)
        request = f"GET /api/v3/ticker/price HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode()
        print("ready", flush=True)
        while not prices.transport.is_closing():
            prices.transport.write(request)
            await asyncio.sleep(pause_s)

    def on_symbols(self, shown: set[str]) -> None:
        """What an answer showed."""
        for symbol in shown - self.known:
            self.known.add(symbol)
            self.on_listing(symbol)

    def on_listing(self, symbol: str) -> None:
        self._seen_ns[symbol] = self.received_ns
        if self._db is None:
            self._send(symbol)
        else:
            task = asyncio.get_running_loop().create_task(self._commit_then_send(symbol))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _commit_then_send(self, symbol: str) -> None:
        assert self._db is not None
        await self._db.execute(INSERT, f"b-{symbol}", symbol, "10", json.dumps({"symbol": symbol, "side": "BUY"}))
        self._send(symbol)

    def _send(self, symbol: str) -> None:
        self._number += 1
        milliseconds = time.time_ns() // 1_000_000  # noqa: TID251 - a bench reads the clock itself
        query = (
            f"symbol={symbol}&side=BUY&type=MARKET&quoteOrderQty=10&newClientOrderId=bench-{self._number}"
            f"&recvWindow=1000&timestamp={milliseconds}"
        )
        mac = self._mac.copy()
        mac.update(query.encode())
        self._rest.transport.write(
            f"POST /api/v3/order?{query}&signature={mac.hexdigest()} HTTP/1.1\r\nHost: {self._host}\r\n"
            f"X-MEXC-APIKEY: {self._key}\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n".encode()
        )
        if self._polls:
            print((time.monotonic_ns() - self._seen_ns.pop(symbol)) / 1000, flush=True)  # noqa: TID251 - a bench


def main() -> int:
    """Run until the connection ends or the process is terminated."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("rest", "ws", "key", "secret"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--known", default="", help="symbols that are not new, comma-separated")
    parser.add_argument("--dsn", default="", help="PostgreSQL; makes this client B")
    parser.add_argument("--poll-s", type=float, default=0.0, help="read the list of prices so often")
    options = parser.parse_args()
    uvloop.run(Client(options).run(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
