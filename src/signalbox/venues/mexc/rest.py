"""Reads from MEXC's REST interface: within the venue's limits, answered or one of our errors.

A GET is repeated once when its connection broke, because reading twice harms nobody.
"""

import asyncio
from collections.abc import Callable, Mapping

from signalbox.domain.errors import CredentialsRefused, VenueThrottled
from signalbox.domain.ports import Clock
from signalbox.venues.http import AnswerUnclear, HttpResponse, RequestNotSent, header_block
from signalbox.venues.http_pool import HttpPool
from signalbox.venues.mexc.errors import read_error
from signalbox.venues.mexc.limits import Lane

READ_TIMEOUT_S = 5.0
_SHORTEST_RETRY_S = 0.5
_NS = 1_000_000_000


class RestReader:
    """Sends reads over one pool in one lane and turns every failure into an error of our own tree."""

    def __init__(
        self,
        pool: HttpPool,
        clock: Clock,
        lane: Lane,
        *,
        headers: Mapping[str, str],
        timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        self.pool = pool
        self.lane = lane
        self._clock = clock
        self._tail = header_block(pool.target, headers)
        self._timeout_s = timeout_s
        self.when_refused: Callable[[str, CredentialsRefused], None] | None = None
        """Called with the path and the refusal when the venue refuses the credentials."""

    def use_headers(self, headers: Mapping[str, str]) -> None:
        """Send these from the next request on."""
        self._tail = header_block(self.pool.target, headers)

    async def get(
        self,
        path: str,
        query: Callable[[], str] | str = "",
        *,
        weight: int,
        poll: bool = False,
        for_orders: bool = False,
        method: str = "GET",
    ) -> HttpResponse:
        """The good answer to a request without a body. `query` as a function is called anew for each try, so that a
        signature is fresh. `poll` marks a read that may wait for a better time, `for_orders` one without which orders
        are refused.

        Raises VenueThrottled, VenueUnavailable, VenueRefused or CredentialsRefused.
        """
        await self._wait_for_turn(weight, poll=poll, for_orders=for_orders)

        def build() -> bytes:
            return self.request(method, path, query() if callable(query) else query)

        try:
            response = await self._try_twice(build, weight, repeat=method == "GET")
        except (RequestNotSent, AnswerUnclear) as error:
            self.lane.failed(error)
            raise
        self.lane.heard(response)
        refusal = read_error(response, f"{method} {path}")
        if refusal is None:
            return response
        if isinstance(refusal, VenueThrottled):
            refusal.retry_after_s = max(refusal.retry_after_s or 0.0, self.lane.pause_s())
        if isinstance(refusal, CredentialsRefused) and self.when_refused is not None:
            self.when_refused(path, refusal)
        raise refusal

    def request(self, method: str, path: str, query: str = "") -> bytes:
        """The bytes of a request without a body."""
        head = f"{method} {self.pool.target.prefix}{path}{'?' if query else ''}{query}"
        return head.encode("ascii") + self._tail

    async def _wait_for_turn(self, weight: int, *, poll: bool, for_orders: bool) -> None:
        patience_s = self._timeout_s
        while (wait_s := self.lane.wait_s(weight, poll=poll, for_orders=for_orders)) > 0:
            if wait_s > patience_s:
                text = f"nothing was sent: {self.lane.why()}, {wait_s:.1f} s left"
                raise VenueThrottled(text, retry_after_s=wait_s)
            patience_s -= wait_s
            await asyncio.sleep(wait_s)
        self.lane.spend(weight)

    async def _try_twice(self, build: Callable[[], bytes], weight: int, *, repeat: bool) -> HttpResponse:
        started_ns = self._clock.monotonic_ns()
        try:
            return await self.pool.request(build(), timeout_s=self._timeout_s, admit=self.lane.admit)
        except (RequestNotSent, AnswerUnclear) as error:
            left_s = self._timeout_s - (self._clock.monotonic_ns() - started_ns) / _NS
            if left_s < _SHORTEST_RETRY_S or not (repeat or isinstance(error, RequestNotSent)):
                raise
        self.lane.spend(weight)
        return await self.pool.request(build(), timeout_s=left_s, admit=self.lane.admit)
