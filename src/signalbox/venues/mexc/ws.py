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


FAILURES = (WSError, OSError, TimeoutError, SubscriptionRefused, VenueUnavailable, VenueRefused)

PushHandler = Callable[[Push, int], None]
"""Takes a decoded push and the monotonic time at which its frame was in our hands."""


class PushListener(WSListener):
    """One connection's frames: pushes go to `on_push`, the text of each reply to `on_reply`."""

    def __init__(
        self,
        clock: Clock,
        on_push: PushHandler,
        on_reply: Callable[[str], None],
        *,
        health: SourceHealth,
        most_bytes: int,
    ) -> None:
        super().__init__()
        self._clock = clock
        self._on_push = on_push
        self._on_reply = on_reply
        self._health = health
        self._most_bytes = most_bytes
        self._parts = bytearray()
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
        if reply.msg != _PONG:
            self._on_reply(reply.msg or "")


class _Subscriptions:
    """The channels that are not acknowledged yet."""

    def __init__(self, channels: Sequence[str]) -> None:
        self._pending = set(channels)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_reply(self, text: str) -> None:
        """Take an acknowledgement or a refusal; any other text is no news."""
        if self.done.done():
            return
        if is_refusal(text):
            self.done.set_exception(SubscriptionRefused(excerpt(text.encode())))
            return
        self._pending.discard(text)
        if not self._pending:
            self.done.set_result(None)


def is_refusal(text: str) -> bool:
    """Whether a reply refuses what was asked for: its code is 0 all the same (observed)."""
    return text.startswith((_REFUSED, _BAD_KEY))


def subscription(channel: str, number: int, *, end: bool = False) -> bytes:
    """The request that begins, or ends, a subscription."""
    method = "UNSUBSCRIPTION" if end else "SUBSCRIPTION"
    return msgspec.json.encode({"method": method, "params": [channel], "id": number})


async def open_connection(url: str, listener: PushListener, limits: StreamLimits) -> WSTransport:
    """Connect. Raises WSError, OSError or TimeoutError."""
    async with asyncio.timeout(limits.connect_timeout_s):
        transport, _ = await ws_connect(
            lambda: listener,
            url,
            websocket_handshake_timeout=limits.connect_timeout_s,
            max_frame_size=limits.max_frame_bytes,
        )
    return transport


async def keep_alive(transport: WSTransport, listener: PushListener, clock: Clock, limits: StreamLimits) -> str:
    """Ping now and then; return why the connection is of no use any more."""
    pause_s = min(limits.ping_s, limits.push_idle_s)
    while True:
        try:
            async with asyncio.timeout(pause_s):
                await transport.wait_disconnected()
                return "closed by the venue"
        except TimeoutError:
            now_ns = clock.monotonic_ns()
        if now_ns - listener.last_frame_ns > limits.idle_s * _NS:
            return f"nothing came for {limits.idle_s:g} s"
        if now_ns - listener.last_push_ns > limits.push_idle_s * _NS:
            return f"subscribed, but no push came for {limits.push_idle_s:g} s"
        transport.send(WSMsgType.TEXT, _PING)


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
        self.on_open = on_open
        self._channels = tuple(channels)
        self._clock = clock
        self._backoff = Backoff(jitter)
        self._health = health
        self._limits = limits or StreamLimits()

    async def run(self, on_push: PushHandler) -> None:
        """Connect, subscribe, watch; after any failure wait 1, 2, 4 … 30 s and begin again. Raises only what
        `on_push` raises."""
        while True:
            wanted = _Subscriptions(self._channels)
            listener = PushListener(
                self._clock,
                on_push,
                wanted.on_reply,
                health=self._health,
                most_bytes=self._limits.max_frame_bytes,
            )
            try:
                reason = await self._one_connection(listener, wanted)
            except FAILURES as error:
                reason = f"{type(error).__name__} {error}".strip()
            if listener.pushes:
                self._backoff.reset()
            self._health.bad(f"{self._url}: {reason}")
            await asyncio.sleep(self._backoff.next_s())

    async def _one_connection(self, listener: PushListener, wanted: _Subscriptions) -> str:
        url = self._url if self._address is None else await self._address()
        transport = await open_connection(url, listener, self._limits)
        try:
            for number, channel in enumerate(self._channels, start=1):
                transport.send(WSMsgType.TEXT, subscription(channel, number))
            await self._subscribed(transport, wanted)
            self._health.good()
            if self.on_open is not None:
                self.on_open()
            return await keep_alive(transport, listener, self._clock, self._limits)
        finally:
            transport.disconnect(graceful=False)

    async def _subscribed(self, transport: WSTransport, wanted: _Subscriptions) -> None:
        """Wait until every channel is acknowledged, or the connection is gone."""
        gone = asyncio.ensure_future(transport.wait_disconnected())
        try:
            async with asyncio.timeout(self._limits.ack_timeout_s):
                await asyncio.wait({gone, wanted.done}, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise TimeoutError(f"no acknowledgement of {', '.join(self._channels)}") from None
        finally:
            gone.cancel()
        if not wanted.done.done():
            await transport.wait_disconnected()
            raise ConnectionError("closed by the venue before the subscription was acknowledged")
        wanted.done.result()
