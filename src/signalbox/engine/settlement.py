"""From a sent order to closed books: evidence, fills, position, ledger. Only the venue's word settles an order."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct, structs

from signalbox.domain.backoff import backoff
from signalbox.domain.errors import VenueRefused, VenueUnavailable
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
from signalbox.domain.positions import Position, UniqueFills, apply_fill
from signalbox.engine.asking import asked
from signalbox.engine.desk import Desk
from signalbox.engine.persist import persist

VISIBILITY_WINDOW = timedelta(seconds=5)
"""A venue's "not found" counts only after this long: a just placed order can be missing for a moment."""

ACCEPTED_WINDOW = timedelta(seconds=60)
"""The same for an order that the venue said it had taken: its look-ups contradict it, so they must do so for longer."""

FILLS_WINDOW = timedelta(seconds=30)
"""An order can be final before its trades are listed; after this long the wait is reported as degraded."""

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
    ) -> None:
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
        evidence = await self.evidence(order, sent_at, accepted=accepted)
        if evidence.state is EvidenceState.NOT_FOUND:
            return await self._record(order, evidence, [])
        fills = await self._all_fills(order, evidence) if evidence.executed_quantity else []
        return await self._record(order, evidence, fills)

    async def evidence(self, order: Order, sent_at: datetime, *, accepted: bool = False) -> OrderEvidence:
        """Ask by our client order id until the venue gives a final answer, however long that takes.

        NOT_FOUND is final only after the visibility window.
        """
        delays = backoff(first_s=0.02, longest_s=2.0)
        window = ACCEPTED_WINDOW if accepted else VISIBILITY_WINDOW
        while True:
            try:
                evidence = await asked(self._venues[order.mode].find_order(order), what=f"order {order.id}")
            except (VenueUnavailable, VenueRefused) as error:
                self._journal.health("order_query", "degraded", order_id=str(order.id), reason=str(error))
            else:
                self._journal.health("order_query", "running")
                if evidence.is_final:
                    return evidence
                if evidence.state is EvidenceState.NOT_FOUND and self._clock.now() - sent_at > window:
                    return evidence
            await asyncio.sleep(next(delays))

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
                self._journal.health("market_rules", "degraded", symbol=symbol, reason=str(error))
                found = None
            if found is not None:
                self._desk.instruments[symbol] = found
                return found
            await asyncio.sleep(next(delays))

    async def _all_fills(self, order: Order, evidence: OrderEvidence) -> Sequence[Fill]:
        """Collect executions until they add up to what the venue says was executed."""
        unique = UniqueFills()
        delays = backoff(first_s=0.02, longest_s=2.0)
        started = self._clock.now()
        while True:
            try:
                fills = self._venues[order.mode].fills(order, evidence.exchange_order_id or "")
                unique.add(await asked(fills, what=f"the fills of order {order.id}"))
            except (VenueUnavailable, VenueRefused) as error:
                self._journal.health("fills_query", "degraded", order_id=str(order.id), reason=str(error))
            quantity, _, _ = unique.totals()
            if quantity >= evidence.executed_quantity:
                self._journal.health("fills_query", "running")
                return unique.in_order()
            if self._clock.now() - started > FILLS_WINDOW:
                self._journal.health(
                    "fills_query",
                    "degraded",
                    order_id=str(order.id),
                    seen=str(quantity),
                    of=str(evidence.executed_quantity),
                )
            await asyncio.sleep(next(delays))

    async def _record(self, order: Order, evidence: OrderEvidence, fills: Sequence[Fill]) -> Settled:
        now = self._clock.now()
        result = _result(evidence, fills, now)
        position, booked = None, ZERO
        spent: Decimal | None = None
        if fills:
            instrument = await self.instrument(order.symbol)
            before = self._desk.position_for(order, opened_at=fills[0].filled_at)
            position = _after_fills(before, fills, instrument, now)
            booked = position.realised_pnl - before.realised_pnl
            if order.purpose is Purpose.ENTRY:
                spent = result.executed_quote + result.fees.get(instrument.quote, ZERO)
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
        return Settled(result=result, spent=spent or ZERO)


def _result(evidence: OrderEvidence, fills: Sequence[Fill], now: datetime) -> OrderResult:
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


def _after_fills(before: Position, fills: Sequence[Fill], instrument: Instrument, now: datetime) -> Position:
    """The position after an order's fills; closed when less than one lot is left (the remainder stays as dust)."""
    position = before
    for fill in fills:
        position = apply_fill(position, fill, quote_asset=instrument.quote, base_asset=instrument.base)
    if position.quantity < instrument.lot_size:
        # fills carry the venue's time, which may be ahead of ours
        position = structs.replace(position, closed_at=max(now, position.opened_at))
    return position
