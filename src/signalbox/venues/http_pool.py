"""A few warm connections to one venue. Orders and reads each have a pool of their own."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable

from msgspec import Struct

from signalbox.domain.ports import Clock
from signalbox.venues.backoff import Backoff, Jitter
from signalbox.venues.http import HttpConnection, HttpResponse, HttpTarget, RequestNotSent, connect

_CLOSE_TIMEOUT_S = 2.0
_STEADY_NS = 5_000_000_000


class PoolLimits(Struct, frozen=True, kw_only=True):
    """`keep_warm` connections are held open, at most `most` are used at once. Times in seconds."""

    keep_warm: int = 1
    most: int = 4
    connect_timeout_s: float = 3.0
    max_body_bytes: int = 16 * 1024 * 1024


class HttpPool:
    """Hands out idle connections and reopens closed ones in the background, so that the next order finds a warm one.

    Owns one task (the keeper), from the first use until `close`.
    """

    def __init__(self, target: HttpTarget, clock: Clock, *, limits: PoolLimits, jitter: Jitter) -> None:
        self.target = target
        self._clock = clock
        self._limits = limits
        self._backoff = Backoff(jitter, first_s=0.25, longest_s=5.0)
        self._tls = ssl.create_default_context() if target.tls else None
        self._idle: list[HttpConnection] = []
        self._open: set[HttpConnection] = set()
        self._slots = asyncio.Semaphore(limits.most)
        self._short = asyncio.Event()
        self._drained = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def idle_connections(self) -> int:
        """How many connections a request could use at once."""
        return sum(connection.is_idle for connection in self._idle)

    async def warm(self) -> None:
        """Have the kept connections open. Raises RequestNotSent when the venue cannot be reached."""
        self._refuse_when_closing()
        while len(self._open) < self._limits.keep_warm:
            self._idle.append(await self._connect())

    async def request(
        self,
        request: bytes,
        *,
        timeout_s: float,
        on_sent: Callable[[int], None] | None = None,
        admit: Callable[[], None] | None = None,
    ) -> HttpResponse:
        """Send one request, once, on an idle connection or on a new one.

        With an idle connection the bytes are written before the first suspension. `admit` is asked right before the
        write; what it raises ends the request unsent. Raises RequestNotSent or AnswerUnclear; repeating is the
        caller's decision.
        """
        self._refuse_when_closing()
        if self._slots.locked():
            await self._wait_for_slot(timeout_s)
        else:
            await self._slots.acquire()  # does not suspend: it is not locked
        try:
            connection = self._take_idle() or await self._connect()
            try:
                if admit is not None:
                    admit()
                return await connection.exchange(request, timeout_s=timeout_s, on_sent=on_sent)
            finally:
                if connection.is_idle:
                    self._idle.append(connection)
        finally:
            self._slots.release()

    async def close(self) -> None:
        """Close every connection and end the keeper. Requests under way become unclear."""
        self._closing = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        for connection in tuple(self._open):
            connection.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                while self._open:
                    self._drained.clear()
                    await self._drained.wait()

    def _refuse_when_closing(self) -> None:
        if self._closing:
            raise RequestNotSent("this client is closed")

    async def _wait_for_slot(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._slots.acquire()
        except TimeoutError:
            raise RequestNotSent(f"all {self._limits.most} connections were busy for {timeout_s:g} s") from None

    def _take_idle(self) -> HttpConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_idle:
                return connection
            connection.abort()
        return None

    async def _connect(self) -> HttpConnection:
        limits = self._limits
        connection = await connect(
            self.target,
            self._clock,
            tls=self._tls,
            timeout_s=limits.connect_timeout_s,
            max_body_bytes=limits.max_body_bytes,
            on_closed=self._on_closed,
        )
        self._open.add(connection)
        if self._closing:
            connection.abort()
            raise RequestNotSent("this client is closed")
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep(), name=f"keep-warm {self.target.authority}")
        return connection

    def _on_closed(self, connection: HttpConnection) -> None:
        self._open.discard(connection)
        with contextlib.suppress(ValueError):
            self._idle.remove(connection)
        if not self._open:
            self._drained.set()
        self._short.set()

    async def _keep(self) -> None:
        """Reopen at once after a close; wait longer and longer while connections do not last or do not come up."""
        opened_ns = 0
        while True:
            await self._short.wait()
            self._short.clear()
            while len(self._open) < self._limits.keep_warm:
                now_ns = self._clock.monotonic_ns()
                if now_ns - opened_ns > _STEADY_NS:
                    self._backoff.reset()
                else:
                    await asyncio.sleep(self._backoff.next_s())
                opened_ns = self._clock.monotonic_ns()
                with contextlib.suppress(RequestNotSent):
                    self._idle.append(await self._connect())
