"""MEXC's private stream: hints that orders and balances of the account changed (MEXC spot docs, "Websocket User Data
Streams").

The stream is opened with a listen key: valid for 60 minutes, extended every 30, at most 60 per account, and the list of
keys does not say whose they are. So we touch only the key that we made: a reconnect uses it again (five sockets may
share one), a key under which no subscription came about is deleted and replaced, and closing deletes it. A key that a
killed engine leaves behind ends by itself within the hour; keys of other programs stay.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from signalbox.domain.errors import VenueRefused, VenueUnavailable
from signalbox.domain.ports import Clock, EventSink
from signalbox.domain.venue_records import AccountUpdate, StreamOpened
from signalbox.venues.backoff import Jitter
from signalbox.venues.mexc import parse_account
from signalbox.venues.mexc.capabilities import WEIGHTS
from signalbox.venues.mexc.push_pb2 import Push
from signalbox.venues.mexc.signed import SignedRequests
from signalbox.venues.mexc.source_health import SourceHealth
from signalbox.venues.mexc.ws import MarketStream, StreamLimits

CHANNELS: Final = (
    "spot@private.orders.v3.api.pb",
    "spot@private.deals.v3.api.pb",
    "spot@private.account.v3.api.pb",
)
COMPONENT: Final = "private_stream"
EXTEND_EVERY_S: Final = 30 * 60.0
_EXTEND_AGAIN_S: Final = 60.0
_GOODBYE_S: Final = 2.0
_PATH: Final = "/api/v3/userDataStream"


class ListenKey:
    """The one listen key that this process made, if any."""

    def __init__(self, requests: SignedRequests, *, extend_every_s: float = EXTEND_EVERY_S) -> None:
        self._requests = requests
        self._extend_every_s = extend_every_s
        self._key: str | None = None
        self._worked = False

    async def address(self, url: str) -> str:
        """The stream's address for the next connection. Raises VenueUnavailable or VenueRefused."""
        if self._key is not None and not self._worked:
            await self.delete()
        if self._key is None:
            response = await self._requests.ask(_PATH, method="POST", weight=WEIGHTS[_PATH])
            self._key = parse_account.listen_key(response.body)
        self._worked = False
        return f"{url}?listenKey={self._key}"

    def works(self) -> None:
        """The venue gave us the channels under this key."""
        self._worked = True

    async def extend(self) -> None:
        """Give the key another hour, now and then, until cancelled. One that cannot be extended is left to the stream:
        it breaks when the key ends, and asks for a new one."""
        pause_s = self._extend_every_s
        while True:
            await asyncio.sleep(pause_s)
            pause_s = self._extend_every_s
            if self._key is None:
                continue
            try:
                await self._requests.ask(_PATH, [("listenKey", self._key)], method="PUT", weight=WEIGHTS[_PATH])
            except VenueRefused:
                self._worked = False
            except VenueUnavailable:
                pause_s = min(_EXTEND_AGAIN_S, self._extend_every_s)

    async def delete(self) -> None:
        """Give the key back, as far as that goes."""
        key, self._key = self._key, None
        if key is None:
            return
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await self._requests.ask(_PATH, [("listenKey", key)], method="DELETE", weight=WEIGHTS[_PATH])
        except (VenueUnavailable, VenueRefused, TimeoutError):
            return  # it ends by itself within the hour


class PrivateStream:
    """The private stream of one account."""

    def __init__(
        self,
        url: str,
        requests: SignedRequests,
        *,
        clock: Clock,
        events: EventSink,
        jitter: Jitter,
        limits: StreamLimits | None = None,
        extend_every_s: float = EXTEND_EVERY_S,
    ) -> None:
        self._url = url
        self._key = ListenKey(requests, extend_every_s=extend_every_s)
        self._health = SourceHealth(COMPONENT, events, clock)
        self._clock = clock
        self._jitter = jitter
        self._limits = limits or StreamLimits(push_idle_s=float("inf"))

    async def run(self, on_update: Callable[[AccountUpdate], None]) -> None:
        """Hand on hints until cancelled; the key is given back then."""

        def on_push(push: Push, _received_ns: int) -> None:
            update = parse_account.account_update(push)
            if update is not None:
                on_update(update)

        def on_open() -> None:
            self._key.works()
            on_update(StreamOpened())

        stream = MarketStream(
            self._url,
            CHANNELS,
            clock=self._clock,
            jitter=self._jitter,
            health=self._health,
            limits=self._limits,
            address=lambda: self._key.address(self._url),
            on_open=on_open,
        )
        extending = asyncio.create_task(self._key.extend())
        try:
            await stream.run(on_push)
        finally:
            extending.cancel()
            await self._key.delete()
