"""Reads from MEXC's REST interface: within the weight budget, answered or one of our errors.

A GET is repeated once when its connection broke, because reading twice harms nobody.
"""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus

from signalbox.domain.errors import VenueThrottled
from signalbox.domain.ports import Clock
from signalbox.venues.http import AnswerUnclear, HttpResponse, RequestNotSent, header_block
from signalbox.venues.http_pool import HttpPool
from signalbox.venues.mexc.budget import WeightBudget
from signalbox.venues.mexc.errors import pause_s, read_error

READ_TIMEOUT_S = 5.0
_SHORTEST_RETRY_S = 0.5
_PAUSE_WITHOUT_ADVICE_S = 5.0
_NS = 1_000_000_000


class RestReader:
    """Sends reads over one pool and turns every failure into an error of our own tree."""

    def __init__(
        self,
        pool: HttpPool,
        clock: Clock,
        budget: WeightBudget,
        *,
        headers: Mapping[str, str],
        timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        self.pool = pool
        self._clock = clock
        self.budget = budget
        self._tail = header_block(pool.target, headers)
        self._timeout_s = timeout_s

    async def get(
        self,
        path: str,
        query: Callable[[], str] | str = "",
        *,
        weight: int,
        poll: bool = False,
        method: str = "GET",
    ) -> HttpResponse:
        """The good answer to a request without a body. `query` as a function is called anew for each try, so that a
        signature is fresh. `poll` marks a read that may wait for a better time.

        Raises VenueThrottled, VenueUnavailable, VenueRefused or CredentialsRefused.
        """
        await self._admit(weight, poll=poll)

        def build() -> bytes:
            return self.request(method, path, query() if callable(query) else query)

        response = await self._try_twice(build, repeat=method == "GET")
        if response.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.IM_A_TEAPOT):
            self.budget.pause(pause_s(response) or _PAUSE_WITHOUT_ADVICE_S)
        error = read_error(response, f"{method} {path}")
        if error is not None:
            raise error
        return response

    def request(self, method: str, path: str, query: str = "") -> bytes:
        """The bytes of a request without a body."""
        head = f"{method} {self.pool.target.prefix}{path}{'?' if query else ''}{query}"
        return head.encode("ascii") + self._tail

    async def _admit(self, weight: int, *, poll: bool) -> None:
        patience_s = self._timeout_s
        while (wait_s := self.budget.wait_s(weight, poll=poll)) > 0:
            if wait_s > patience_s:
                raise VenueThrottled(
                    f"our own request budget is used up for {wait_s:.1f} s (the venue limits requests per address)",
                    retry_after_s=wait_s,
                )
            patience_s -= wait_s
            await asyncio.sleep(wait_s)
        self.budget.spend(weight)

    async def _try_twice(self, build: Callable[[], bytes], *, repeat: bool) -> HttpResponse:
        started_ns = self._clock.monotonic_ns()
        try:
            return await self.pool.request(build(), timeout_s=self._timeout_s)
        except (RequestNotSent, AnswerUnclear) as error:
            left_s = self._timeout_s - (self._clock.monotonic_ns() - started_ns) / _NS
            if left_s < _SHORTEST_RETRY_S or not (repeat or isinstance(error, RequestNotSent)):
                raise
        return await self.pool.request(build(), timeout_s=left_s)
