"""A hand-written client of the simulated MEXC: raw HTTP, raw websocket, a generic protobuf reader.

It shares no code with the simulator nor with our adapter, so that a mistake cannot cancel itself out.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

WAIT_S = 5.0


@dataclass(frozen=True)
class Answer:
    """Status, headers and decoded body of one answer."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def code(self) -> Any:
        """The error code, None when the body has none."""
        return self.body.get("code") if isinstance(self.body, dict) else None


def sign(secret: str, payload: str) -> str:
    """The documented signature."""
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


class RawClient:
    """Requests exactly as written: query strings are sent as given."""

    def __init__(self, session: aiohttp.ClientSession, rest: str, ws: str, now_ms: Any) -> None:
        self.session = session
        self.rest = rest
        self.ws = ws
        self.now_ms = now_ms
        self.api_key = ""
        self.secret = ""

    def use(self, account: dict[str, Any]) -> None:
        """Sign with this account from now on."""
        self.api_key, self.secret = account["api_key"], account["secret"]

    async def raw(
        self, method: str, path: str, query: str = "", headers: dict[str, str] | None = None, body: str | None = None
    ) -> Answer:
        """One request."""
        url = URL(self.rest + path + (f"?{query}" if query else ""), encoded=True)
        timeout = aiohttp.ClientTimeout(total=WAIT_S)
        async with self.session.request(method, url, headers=headers, data=body, timeout=timeout) as response:
            text = await response.text()
            try:
                decoded = json.loads(text)
            except ValueError:
                decoded = text
            return Answer(response.status, decoded, dict(response.headers))

    async def get(self, path: str, query: str = "") -> Answer:
        """A public GET."""
        return await self.raw("GET", path, query)

    async def signed(self, method: str, path: str, query: str = "", **overrides: Any) -> Answer:
        """A signed request; `timestamp` and `recvWindow` are added unless overridden."""
        timestamp = overrides.get("timestamp", self.now_ms())
        window = overrides.get("recv_window", 1000)
        total = "&".join(part for part in (query, f"recvWindow={window}", f"timestamp={timestamp}") if part)
        return await self.raw(method, path, f"{total}&signature={sign(self.secret, total)}", self.headers())

    def headers(self) -> dict[str, str]:
        """Key and content type."""
        return {"X-MEXC-APIKEY": self.api_key, "Content-Type": "application/json"}

    async def order(self, query: str) -> Answer:
        """POST /api/v3/order."""
        return await self.signed("POST", "/api/v3/order", query)

    async def raw_bytes_status(self, query: str) -> int:
        """POST /api/v3/order; only the HTTP status, whatever the body is."""
        total = f"{query}&timestamp={self.now_ms()}"
        url = URL(f"{self.rest}/api/v3/order?{total}&signature={sign(self.secret, total)}", encoded=True)
        async with self.session.post(url, headers=self.headers()) as response:
            await response.read()
            return response.status

    async def control(self, path: str, body: Any = None, method: str = "POST") -> Any:
        """A control request; its answer must be 200."""
        payload = None if body is None else json.dumps(body)
        answer = await self.raw(method, f"/control/{path}", body=payload)
        assert answer.status == 200, answer
        return answer.body

    async def balances(self) -> dict[str, tuple[str, str]]:
        """Free and locked per asset."""
        answer = await self.signed("GET", "/api/v3/account")
        return {entry["asset"]: (entry["free"], entry["locked"]) for entry in answer.body["balances"]}

    @asynccontextmanager
    async def socket(self, query: str = "") -> AsyncIterator["RawSocket"]:
        """A websocket connection."""
        async with self.session.ws_connect(self.ws + query, autoping=False) as socket:
            yield RawSocket(socket)


class RawSocket:
    """A websocket whose messages are read one by one."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, message: Any) -> None:
        """Send JSON, or a bare text."""
        await self.socket.send_str(message if isinstance(message, str) else json.dumps(message))

    async def subscribe(self, *channels: str, identifier: int = 1) -> Any:
        """Subscribe and return the acknowledgement."""
        await self.send({"method": "SUBSCRIPTION", "params": list(channels), "id": identifier})
        return await self.text()

    async def message(self) -> aiohttp.WSMessage:
        """The next message of any kind."""
        async with asyncio.timeout(WAIT_S):
            return await self.socket.receive()

    async def text(self) -> Any:
        """The next text message, decoded; pushes before it are skipped."""
        while True:
            message = await self.message()
            if message.type is aiohttp.WSMsgType.TEXT:
                return json.loads(message.data)
            assert message.type is aiohttp.WSMsgType.BINARY, message

    async def push(self) -> dict[int, list[Any]]:
        """The next push as raw protobuf fields; texts before it are skipped."""
        while True:
            message = await self.message()
            if message.type is aiohttp.WSMsgType.BINARY:
                return read_fields(message.data)
            assert message.type is aiohttp.WSMsgType.TEXT, message


def read_fields(data: bytes) -> dict[int, list[Any]]:
    """Protobuf fields by number: whole numbers for varints, bytes for everything with a length."""
    fields: dict[int, list[Any]] = {}
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire_type = tag >> 3, tag & 7
        value: Any
        if wire_type == 0:
            value, position = _varint(data, position)
        else:
            assert wire_type == 2, f"unexpected wire type {wire_type}"
            length, position = _varint(data, position)
            value = data[position : position + length]
            position += length
        fields.setdefault(number, []).append(value)
    return fields


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
        shift += 7
