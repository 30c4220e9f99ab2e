"""The best bid of a market that we hold: pushed when it changes, asked for while nothing is pushed."""

import asyncio
from collections.abc import Callable
from decimal import Decimal

from signalbox.domain.errors import VenueRefused, VenueUnavailable
from signalbox.domain.market import BookTicker
from signalbox.domain.ports import Clock, EventSink, MarketData
from signalbox.engine.asking import asked

POLL_S = 0.5
"""How often the best bid of a held symbol is asked for while nothing is pushed, up to three positions; slower with more
(rate limits)."""

PUSHED_POLL_S = 5.0
"""The same while pushes come."""

SILENCE_S = 2.0
"""Pushes that stay away for so long are not relied on: the stream may be broken, or the market quiet."""

OLD_S = 10.0
"""A price that nobody confirmed for so long is none."""

PRICE_LIMIT_S = 3.0
"""A price that takes longer is not waited for: the time limit must work without prices."""

_NS = 1_000_000_000


class LivePrice:
    """Follows one market. `on_change` is called, without waiting, whenever the best bid is another; `positions` says
    how many are held, which all share the request limit. `highest` is the best bid since this began."""

    def __init__(
        self,
        symbol: str,
        market: MarketData,
        *,
        clock: Clock,
        journal: EventSink,
        on_change: Callable[[], None],
        positions: Callable[[], int],
    ) -> None:
        self.highest: Decimal | None = None
        self._symbol = symbol
        self._market = market
        self._clock = clock
        self._journal = journal
        self._on_change = on_change
        self._positions = positions
        self._bid: Decimal | None = None
        self._seen_ns = -1
        self._pushed_ns = -1

    @property
    def bid(self) -> Decimal | None:
        """What a sale would fetch, quote per base; None when nobody bids or the last price is old."""
        return self._bid if self._is_within(self._seen_ns, OLD_S) else None

    async def follow(self) -> None:
        """Keep the price up to date until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._market.watch_ticker(self._symbol, self._on_push))
            tasks.create_task(self._poll())

    def _on_push(self, ticker: BookTicker) -> None:
        self._pushed_ns = self._clock.monotonic_ns()
        self._take(ticker)

    def _take(self, ticker: BookTicker) -> None:
        before = self.bid
        self._bid, self._seen_ns = ticker.bid, self._clock.monotonic_ns()
        if ticker.bid is not None and (self.highest is None or ticker.bid > self.highest):
            self.highest = ticker.bid
        if ticker.bid != before:
            self._on_change()

    async def _poll(self) -> None:
        asked_ns = -1
        while True:
            pushed = self._is_within(self._pushed_ns, SILENCE_S)
            if not (pushed and self._is_within(asked_ns, PUSHED_POLL_S)):
                asked_ns = self._clock.monotonic_ns()
                await self._ask(asked_ns)
            await asyncio.sleep(POLL_S * max(1.0, self._positions() / 3))

    async def _ask(self, asked_ns: int) -> None:
        """An answer that a push overtook is older than that."""
        question = self._market.book_ticker(self._symbol)
        try:
            ticker = await asked(question, what=f"the price of {self._symbol}", within_s=PRICE_LIMIT_S)
        except (VenueUnavailable, VenueRefused) as error:
            self._journal.health("prices", "degraded", symbol=self._symbol, reason=str(error))
            return
        self._journal.health("prices", "running")
        if self._pushed_ns < asked_ns:
            self._take(ticker)

    def _is_within(self, instant_ns: int, seconds: float) -> bool:
        return instant_ns >= 0 and self._clock.monotonic_ns() - instant_ns <= seconds * _NS
