"""From a sent order to closed books: evidence, fills, position, ledger. Only the venue's word settles an order."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct

from signalbox.domain.backoff import backoff
from signalbox.domain.errors import VenueRefused, VenueUnavailable
from signalbox.domain.ids import PositionId
from signalbox.domain.instruments import Instrument
from signalbox.domain.money import ZERO
from signalbox.domain.orders import (
    EvidenceState,
    Fill,
    Mode,
    Order,
    OrderEvidence,
    OrderResult,
    OrderStatus,
    Purpose,
)
from signalbox.domain.ports import Clock, EventSink, Ledger, MarketData, OrderVenue
from signalbox.domain.position_folds import after_fills
from signalbox.domain.positions import Position, UniqueFills
from signalbox.engine.asking import asked
from signalbox.engine.books.executions import Executions
from signalbox.engine.books.hints import Hints, pause
from signalbox.engine.desk import Desk
from signalbox.engine.persist import persist

VISIBILITY_WINDOW = timedelta(seconds=5)
"""A venue's "not found" counts only after this long: a just placed order can be missing for a moment."""

ACCEPTED_WINDOW = timedelta(seconds=60)
"""The same for an order that the venue said it had taken: its look-ups contradict it, so they must do so for longer."""

CANCELLED_BY_VENUE = "CANCELLED_BY_VENUE"
NOT_FOUND_AT_VENUE = "NOT_FOUND_AT_VENUE"


class Settled(Struct, frozen=True, kw_only=True):
    """How an order ended. `spent` is the quote that left the account, fees included (entries only)."""

    result: OrderResult
    spent: Decimal = ZERO


class Settlement:
    """Closes the books of sent orders of one account."""

    def __init__(
        self,
        desk: Desk,
        ledger: Ledger,
        venues: Mapping[Mode, OrderVenue],
        market: MarketData,
        *,
        clock: Clock,
        journal: EventSink,
        hints: Hints | None = None,
    ) -> None:
        self.hints = hints or Hints()
        self.executions = Executions(venues, self.hints, clock=clock, journal=journal)
        self._turns: defaultdict[tuple[Mode, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._desk = desk
        self._ledger = ledger
        self._venues = venues
        self._market = market
        self._clock = clock
        self._journal = journal

    async def finish(self, order: Order, sent_at: datetime, *, accepted: bool = False) -> Settled:
        """Wait until the venue says how a sent order ended, then write it down. Repeating it changes nothing.

        `accepted`: the venue had said that it took the order.
        """
        with self.hints.following(order):
            evidence = await self.evidence(order, sent_at, accepted=accepted)
            fills: Sequence[Fill] = ()
            if evidence.executed_quantity:
                instrument = await self.instrument(order.symbol)
                fills = await self.executions.complete(order, evidence, instrument)
            async with self.booking(order):
                return await self._record(order, evidence, fills)

    def booking(self, order: Order) -> asyncio.Lock:
        """To be held from reading a position until its change is stored: two orders of one market must not both count
        from the same state."""
        return self._turns[order.mode, order.symbol]

    async def evidence(self, order: Order, sent_at: datetime, *, accepted: bool = False) -> OrderEvidence:
        """Ask by our client order id until the venue gives a final answer, however long that takes.

        NOT_FOUND is final only after the visibility window.
        """
        delays = backoff(first_s=0.02, longest_s=2.0)
        window = ACCEPTED_WINDOW if accepted else VISIBILITY_WINDOW
        with self.hints.following(order) as hinted:
            while True:
                hinted.clear()
                evidence = await self._ask(order)
                if evidence is not None and evidence.is_final:
                    return evidence
                missing = evidence is not None and evidence.state is EvidenceState.NOT_FOUND
                if evidence is not None and missing and self._clock.now() - sent_at > window:
                    return evidence
                await pause(hinted, next(delays))

    async def _ask(self, order: Order) -> OrderEvidence | None:
        try:
            evidence = await asked(self._venues[order.mode].find_order(order), what=f"order {order.id}")
        except (VenueUnavailable, VenueRefused) as error:
            self._journal.health("order_query", "degraded", order_id=str(order.id), reason=str(error))
            return None
        self._journal.health("order_query", "running")
        return evidence

    async def instrument(self, symbol: str) -> Instrument:
        """The market's rules, asked for until the venue gives them."""
        delays = backoff(first_s=0.1, longest_s=5.0)
        while True:
            known = self._desk.instruments.get(symbol)
            if known is not None:
                return known
            try:
                found = await asked(self._market.instrument(symbol), what=f"the rules of {symbol}")
            except (VenueUnavailable, VenueRefused) as error:
                reason, found = str(error), None
            else:
                reason = "the venue does not know it (any more), so what is held of it cannot be sold"
            if found is not None:
                self._journal.health("market_rules", "running")
                self._desk.instruments[symbol] = found
                return found
            self._journal.health("market_rules", "degraded", symbol=symbol, reason=reason)
            await asyncio.sleep(next(delays))

    async def _record(self, order: Order, evidence: OrderEvidence, fills: Sequence[Fill]) -> Settled:
        now = self._clock.now()
        result = result_of(evidence, fills, now)
        if fills and self.hints.has_ended(order):
            return Settled(result=result, spent=await self._spent(order, result))
        position, booked = None, ZERO
        spent: Decimal | None = None
        if fills:
            instrument = await self.instrument(order.symbol)
            before = await self._position(order, fills)
            position = after_fills(before, fills, instrument, now=now)
            booked = position.realised_pnl - before.realised_pnl
            if order.purpose is Purpose.ENTRY:
                spent = await self._spent(order, result)
        venue = self._venues[order.mode]
        await persist(
            lambda: self._ledger.record_result(
                order,
                evidence=evidence,
                fills=fills,
                result=result,
                position=position,
                spent=spent,  # an entry that bought anything has no further attempt: position and spend appear together
                fill_model=venue.fill_model,
            ),
            self._journal,
            f"the result of order {order.id}",
        )
        if position is not None:
            self._desk.take_position(position, booked=booked, at=now)
        if evidence.is_final:
            self.hints.ended(order, evidence.executed_quantity)
        return Settled(result=result, spent=spent or ZERO)

    async def _spent(self, order: Order, result: OrderResult) -> Decimal:
        if order.purpose is not Purpose.ENTRY:
            return ZERO
        instrument = await self.instrument(order.symbol)
        return result.executed_quote + result.fees.get(instrument.quote, ZERO)

    async def _position(self, order: Order, fills: Sequence[Fill]) -> Position:
        """As it is before these fills: on the desk, or closed meanwhile and only in the ledger, or new."""
        position_id = order.position_id or PositionId(order.decision_id)
        if position_id not in self._desk.positions:
            known = await persist(
                lambda: self._ledger.position_history(position_id), self._journal, f"position {position_id}"
            )
            if known is not None:
                return known.position
        return self._desk.position_for(order, opened_at=fills[0].filled_at)


def result_of(evidence: OrderEvidence, fills: Sequence[Fill], now: datetime) -> OrderResult:
    """How an order ended, from the venue's record and its fills."""
    if not fills:
        missing = evidence.state is EvidenceState.NOT_FOUND
        return OrderResult(
            status=OrderStatus.REJECTED,
            completed_at=now,
            error_code=NOT_FOUND_AT_VENUE if missing else CANCELLED_BY_VENUE,
            error_reason="the venue does not know the order"
            if missing
            else "the venue cancelled the order without any fill",
        )
    unique = UniqueFills()
    unique.add(fills)
    quantity, quote, fees = unique.totals()
    return OrderResult(
        status=OrderStatus.FILLED, completed_at=now, executed_quantity=quantity, executed_quote=quote, fees=fees
    )
