"""Before each announced opening: connections are open, the venue's distance is measured, the way to the ledger is
rehearsed, and for the last seconds the engine is kept hot."""

import asyncio
from functools import partial

from msgspec import Struct

from signalbox.domain.configuration import BotConfiguration, effective_mode, symbol_matches
from signalbox.domain.errors import LedgerUnavailable, VenueRefused, VenueUnavailable
from signalbox.domain.orders import Mode
from signalbox.domain.ports import Clock, EventSink, Ledger, OrderVenue
from signalbox.engine.asking import asked
from signalbox.engine.desk import Desk
from signalbox.engine.orders.openings import Openings
from signalbox.engine.orders.warmth import WarmPaths, Warmth

PREPARE_NS = 5_000_000_000
"""How long before an order is due everything is made ready."""

HOT_AFTER_NS = 250_000_000
"""How long after it the engine stays hot: the first answers come, and the first attempts are repeated."""

ANSWER_LIMIT_S = 2.0
_NS = 1_000_000_000


class WarmParts(Struct, frozen=True, kw_only=True):
    """What is warmed."""

    desk: Desk
    ledger: Ledger
    orders: dict[Mode, OrderVenue]
    clock: Clock
    journal: EventSink


class WarmUp:
    """Follows the announced openings of one account's run."""

    def __init__(self, openings: Openings, parts: WarmParts) -> None:
        self._openings = openings
        self._parts = parts
        self._changed = asyncio.Event()

    def on_schedule(self) -> None:
        """The announcements changed."""
        self._changed.set()

    async def follow(self, configuration: BotConfiguration) -> None:
        """Make ready for one opening after the other, until cancelled."""
        ready_for = 0
        parts = self._parts
        paths = WarmPaths(desk=parts.desk, ledger=parts.ledger, orders=parts.orders)
        warmth = Warmth(paths, configuration, parts.clock)
        while True:
            self._changed.clear()
            due_ns = self._next_due_ns(configuration)
            if due_ns is None:
                await self._changed.wait()
                continue
            if not await self._slept_until(due_ns - PREPARE_NS):
                continue
            if due_ns - ready_for > PREPARE_NS:  # several that open together are one effort
                ready_for = due_ns
                await self._make_ready(configuration)
            await self._stay_hot(warmth, due_ns, round(configuration.parameters.warm_s * _NS))

    def _next_due_ns(self, configuration: BotConfiguration) -> int | None:
        return self._openings.next_due_ns(configuration.parameters, partial(_wanted, configuration))

    async def _slept_until(self, at_ns: int) -> bool:
        """False when the announcements changed meanwhile."""
        left_ns = at_ns - self._parts.clock.monotonic_ns()
        if left_ns <= 0:
            return True
        try:
            async with asyncio.timeout(left_ns / _NS):
                await self._changed.wait()
        except TimeoutError:
            return True
        return False

    async def _make_ready(self, configuration: BotConfiguration) -> None:
        parts = self._parts
        live = parts.orders.get(Mode.LIVE)
        try:
            if live is not None and effective_mode(configuration, parts.desk.settings) is Mode.LIVE:
                await asked(live.warm(), what="the venue's time", within_s=ANSWER_LIMIT_S)
                trip = await asked(live.round_trip(), what="the venue's distance", within_s=ANSWER_LIMIT_S)
                self._openings.travel_ns = round(trip.total_seconds() * _NS) // 2
            await parts.ledger.rehearse(parts.desk.rehearsal(configuration))
        except (VenueUnavailable, VenueRefused) as error:
            parts.journal.health("order_connection", "degraded", reason=str(error))
        except LedgerUnavailable as error:
            parts.journal.health("ledger", "error", waiting_for="a rehearsal before an opening", reason=str(error))

    async def _stay_hot(self, warmth: Warmth, due_ns: int, warm_ns: int) -> None:
        """Keep hot around this instant, as long as it stays announced."""
        until_ns = due_ns + HOT_AFTER_NS
        if warm_ns and await self._slept_until(due_ns - warm_ns):
            hot = asyncio.ensure_future(warmth.keep(until_ns, due_ns=due_ns))
            changed = asyncio.ensure_future(self._changed.wait())
            try:
                await asyncio.wait({hot, changed}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (hot, changed):
                    task.cancel()
                await asyncio.gather(hot, changed, return_exceptions=True)
        if not self._changed.is_set():
            await self._slept_until(until_ns)


def _wanted(configuration: BotConfiguration, symbol: str) -> bool:
    parameters = configuration.parameters
    matched = symbol_matches(symbol, configuration.symbols) and symbol.endswith(parameters.quote_assets)
    return bool(matched) and symbol_matches(symbol, parameters.deny_symbols) is None
