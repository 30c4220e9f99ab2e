"""MEXC's market stream: JSON acknowledgements as text, pushes as binary protobuf (MEXC spot docs, "Websocket Market
Streams"). Every push is handed on inside the frame's own callback: no queue and no task between the wire and the
caller.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from google.protobuf.message import DecodeError
from msgspec import Struct
from picows import WSCloseCode, WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from signalbox.domain.errors import VenueRefused, VenueUnavailable
from signalbox.domain.ports import Clock
from signalbox.venues.backoff import Backoff, Jitter
from signalbox.venues.mexc import wire
from signalbox.venues.mexc.errors import UNDECODABLE, excerpt
from signalbox.venues.mexc.push_pb2 import Push
from signalbox.venues.mexc.source_health import SourceHealth

_PING = b'{"method":"PING"}'
_PONG = "PONG"
_REFUSED = "Not Subscribed successfully"
_BAD_KEY = "Invalid listen key"
_NS = 1_000_000_000
_reply = msgspec.json.Decoder(wire.StreamReply)


class StreamLimits(Struct, frozen=True, kw_only=True):
    """Times in seconds. The venue closes a connection that is silent for 60 s; we give up earlier: any frame is due
    within `idle_s` (a ping's answer at the latest), a push within `push_idle_s`."""

    connect_timeout_s: float = 5.0
    ack_timeout_s: float = 5.0
    ping_s: float = 20.0
    idle_s: float = 45.0
    push_idle_s: float = 20.0
    max_frame_bytes: int = 8 * 1024 * 1024


class SubscriptionRefused(Exception):
    """The venue does not give us a channel, or does not know our listen key. It says so with code 0; only the text
    differs from an acceptance."""


_FAILURES = (WSError, OSError, TimeoutError, SubscriptionRefused, VenueUnavailable, VenueRefused)

PushHandler = Callable[[Push, int], None]
"""Takes a decoded push and the monotonic time at which its frame was in our hands."""


class _Listener(WSListener):
    """One connection's frames."""

    def __init__(
        self, clock: Clock, channels: Sequence[str], on_push: PushHandler, health: SourceHealth, most_bytes: int
    ) -> None:
        super().__init__()
        self._clock = clock
        self._on_push = on_push
        self._health = health
        self._most_bytes = most_bytes
        self._pending = set(channels)
        self._parts = bytearray()
        self.subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.last_frame_ns = self.last_push_ns = clock.monotonic_ns()
        self.pushes = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """The latency path: read the clock, decode, hand on. What the handler raises ends `run` with it."""
        received_ns = self._clock.monotonic_ns()
        self.last_frame_ns = received_ns
        kind = frame.msg_type
        if kind is WSMsgType.BINARY and frame.fin:
            self._push(frame.get_payload_as_bytes(), received_ns)
        elif kind is WSMsgType.TEXT and frame.fin:
            self._text(frame.get_payload_as_bytes())
        elif kind in (WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self._piece(transport, frame, received_ns)

    def _piece(self, transport: WSTransport, frame: WSFrame, received_ns: int) -> None:
        """A push in several frames; a fragmented text is nothing that we wait for."""
        if frame.msg_type is WSMsgType.BINARY:
            self._parts.clear()
        elif not self._parts:
            return
        self._parts += frame.get_payload_as_bytes()
        if len(self._parts) > self._most_bytes:
            transport.send_close(WSCloseCode.MESSAGE_TOO_BIG)
            transport.disconnect()
        elif frame.fin:
            whole = bytes(self._parts)
            self._parts.clear()
            self._push(whole, received_ns)

    def _push(self, payload: bytes, received_ns: int) -> None:
        try:
            push = Push.FromString(payload)
        except DecodeError:
            self._health.malformed(f"a push cannot be decoded: {payload[:64].hex()}")
            return
        self.last_push_ns = received_ns
        self.pushes += 1
        self._on_push(push, received_ns)

    def _text(self, payload: bytes) -> None:
        try:
            reply = _reply.decode(payload)
        except UNDECODABLE:
            self._health.malformed(f"a reply cannot be decoded: {excerpt(payload)}")
            return
        text = reply.msg or ""
        if text.startswith((_REFUSED, _BAD_KEY)):
            if not self.subscribed.done():
                self.subscribed.set_exception(SubscriptionRefused(excerpt(payload)))
        elif text != _PONG:
            self._pending.discard(text)
            if not self._pending and not self.subscribed.done():
                self.subscribed.set_result(None)


class MarketStream:
    """Keeps one connection with its subscriptions alive until cancelled.

    `address` is asked for where to connect each time, when it differs from `url` (which is what reports name);
    `on_open` is told each time that all channels are acknowledged.
    """

    def __init__(
        self,
        url: str,
        channels: Sequence[str],
        *,
        clock: Clock,
        jitter: Jitter,
        health: SourceHealth,
        limits: StreamLimits | None = None,
        address: Callable[[], Awaitable[str]] | None = None,
        on_open: Callable[[], None] | None = None,
    ) -> None:
        self._url = url
        self._address = address
        self._on_open = on_open
        self._channels = tuple(channels)
        self._clock = clock
        self._backoff = Backoff(jitter)
        self._health = health
        self._limits = limits or StreamLimits()

    async def run(self, on_push: PushHandler) -> None:
        """Connect, subscribe, watch; after any failure wait 1, 2, 4 … 30 s and begin again. Raises only what
        `on_push` raises."""
        while True:
            listener = _Listener(self._clock, self._channels, on_push, self._health, self._limits.max_frame_bytes)
            try:
                reason = await self._one_connection(listener)
            except _FAILURES as error:
                reason = f"{type(error).__name__} {error}".strip()
            if listener.pushes:
                self._backoff.reset()
            self._health.bad(f"{self._url}: {reason}")
            await asyncio.sleep(self._backoff.next_s())

    async def _one_connection(self, listener: _Listener) -> str:
        limits = self._limits
        url = self._url if self._address is None else await self._address()
        async with asyncio.timeout(limits.connect_timeout_s):
            transport, _ = await ws_connect(
                lambda: listener,
                url,
                websocket_handshake_timeout=limits.connect_timeout_s,
                max_frame_size=limits.max_frame_bytes,
            )
        try:
            for number, channel in enumerate(self._channels, start=1):
                request = {"method": "SUBSCRIPTION", "params": [channel], "id": number}
                transport.send(WSMsgType.TEXT, msgspec.json.encode(request))
            await self._subscribed(transport, listener)
            self._health.good()
            if self._on_open is not None:
                self._on_open()
            return await self._watch(transport, listener)
        finally:
            transport.disconnect(graceful=False)

    async def _subscribed(self, transport: WSTransport, listener: _Listener) -> None:
        """Wait until every channel is acknowledged, or the connection is gone."""
        gone = asyncio.ensure_future(transport.wait_disconnected())
        try:
            async with asyncio.timeout(self._limits.ack_timeout_s):
                await asyncio.wait({gone, listener.subscribed}, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise TimeoutError(f"no acknowledgement of {', '.join(self._channels)}") from None
        finally:
            gone.cancel()
        if not listener.subscribed.done():
            await transport.wait_disconnected()
            raise ConnectionError("closed by the venue before the subscription was acknowledged")
        listener.subscribed.result()

    async def _watch(self, transport: WSTransport, listener: _Listener) -> str:
        """Ping now and then; return why the connection is of no use any more."""
        limits = self._limits
        pause_s = min(limits.ping_s, limits.push_idle_s)
        while True:
            try:
                async with asyncio.timeout(pause_s):
                    await transport.wait_disconnected()
                    return "closed by the venue"
            except TimeoutError:
                now_ns = self._clock.monotonic_ns()
            if now_ns - listener.last_frame_ns > limits.idle_s * _NS:
                return f"nothing came for {limits.idle_s:g} s"
            if now_ns - listener.last_push_ns > limits.push_idle_s * _NS:
                return f"subscribed, but no push came for {limits.push_idle_s:g} s"
            transport.send(WSMsgType.TEXT, _PING)
