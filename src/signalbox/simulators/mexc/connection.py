"""One websocket connection: its subscriptions, its outgoing queue, and when it is closed for silence."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import msgspec
from aiohttp import WSMsgType, web

from signalbox.simulators.faults import Fault, FaultBoard, FaultKind
from signalbox.simulators.mexc.channels import Channel
from signalbox.simulators.mexc.clock import Clock
from signalbox.simulators.mexc.listen_keys import ListenKey

SEND_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Frame:
    """Something to send: bytes are a push, text is an acknowledgement. `fresh` names new listings in it; `about` is
    what faults may be narrowed down to."""

    data: bytes | str
    channel: str = ""
    fresh: tuple[str, ...] = ()
    about: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FirstFrame:
    """The first push that told one connection of a new listing; the time was taken right before the write."""

    symbol: str
    channel: str
    connection: int
    monotonic_ns: int
    utc_ms: int


@dataclass(slots=True, eq=False)
class Connection:
    """Owned by the hub. `send` only queues; a task of the connection writes, in the order of the queue."""

    number: int
    socket: web.WebSocketResponse
    clock: Clock
    faults: FaultBoard
    on_first_frame: Callable[[FirstFrame], None]
    queue_limit: int
    transport: asyncio.Transport | None
    key: ListenKey | None = None
    channels: dict[str, Channel] = field(default_factory=dict)
    last_active_s: float = 0.0
    _queue: "asyncio.Queue[Frame]" = field(init=False)
    _seen: set[str] = field(default_factory=set)
    _messages: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        self._queue = asyncio.Queue(self.queue_limit)

    def send(self, frame: Frame) -> None:
        """Queue a frame; a client that reads too slowly is cut off. Push faults strike here."""
        if isinstance(frame.data, str) or self.faults.idle:
            self._put(frame)
            return
        half = frame.data[: len(frame.data) // 2]
        if self._strikes("push_malformed", frame):
            frame = replace(frame, data=b"\xff\xff\xff" + half)
        elif self._strikes("push_truncated", frame):
            frame = replace(frame, data=half)
        delayed = self._strikes("push_delayed", frame)
        for _ in range(self._copies(frame)):
            if delayed is None:
                self._put(frame)
            else:
                delay_s = self.faults.wait_ms(delayed) / 1000
                asyncio.get_running_loop().call_later(delay_s, self._put, frame)

    def _strikes(self, kind: FaultKind, frame: Frame) -> Fault | None:
        return self.faults.take(kind, frame.channel, about=frame.about)

    def _put(self, frame: Frame) -> None:
        try:
            self._queue.put_nowait(frame)
        except asyncio.QueueFull:
            self.cut()

    def acknowledge(self, identifier: object, message: str) -> None:
        """Queue a JSON acknowledgement."""
        number = identifier if isinstance(identifier, int) else 0
        text = msgspec.json.encode({"id": number, "code": 0, "msg": message}).decode()
        self.send(Frame(text))

    def count_message(self, second: int) -> int:
        """Count a message of the client; how many there were within this second."""
        counted = self._messages[1] + 1 if self._messages[0] == second else 1
        self._messages = (second, counted)
        return counted

    def cut(self) -> None:
        """Drop the connection without a goodbye."""
        if self.transport is not None:
            self.transport.abort()

    async def write_forever(self) -> None:
        """Send what is queued, in order, until the connection ends."""
        loop = asyncio.get_running_loop()
        while not self.socket.closed:
            frame = await self._queue.get()
            if frame.fresh:
                self._note(frame)
            try:
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    if isinstance(frame.data, bytes):
                        await self.socket.send_bytes(frame.data)
                    else:
                        await self.socket.send_str(frame.data)
            except (ConnectionError, TimeoutError):
                self.cut()  # the reader sees the end and cleans up
                return
            self.last_active_s = loop.time()

    async def read(self, on_text: Callable[["Connection", str], None], ping_answered: Callable[[], bool]) -> None:
        """Hand every text message to `on_text` until the client goes."""
        async for message in self.socket:
            if message.type is WSMsgType.TEXT:
                on_text(self, message.data)
            elif message.type is WSMsgType.PING and ping_answered():
                await self.socket.pong(message.data)

    def _copies(self, frame: Frame) -> int:
        if self._strikes("disconnect", frame):
            self.cut()
            return 0
        if self._strikes("push_missing", frame):
            return 0
        return 2 if self._strikes("push_duplicated", frame) else 1

    def _note(self, frame: Frame) -> None:
        for symbol in frame.fresh:
            if symbol not in self._seen:
                self._seen.add(symbol)
                at_ns = self.clock.monotonic_ns()
                first = FirstFrame(symbol, frame.channel, self.number, at_ns, self.clock.utc_ms())
                self.on_first_frame(first)
