"""Entries: from a decided listing to its last attempt."""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import structs

from signalbox.domain.configuration import BotConfiguration, OrderStyle
from signalbox.domain.decisions import Intent, IntentResult
from signalbox.domain.errors import InvariantError, LedgerUnavailable, VenueRefused, VenueUnavailable
from signalbox.domain.market import BookTicker
from signalbox.domain.money import ZERO, total
from signalbox.domain.order_shapes import OrderShape, ioc_shape
from signalbox.domain.orders import Order, OrderType, RefusalKind, Rejected, StageTimes
from signalbox.domain.ports import Clock, EventSink, Ledger, MarketData
from signalbox.domain.signals import ListingSignal
from signalbox.engine.asking import asked
from signalbox.engine.desk import Desk
from signalbox.engine.dispatch import LEDGER_UNAVAILABLE, Attempt, Dispatcher, refuse_fenced_out
from signalbox.engine.persist import persist
from signalbox.engine.settlement import Settlement

RETRY_INTERVAL_S = 0.2
"""Pause between attempts while the venue says "not open yet": MEXC takes 12 orders and cancels per second."""

MAX_ATTEMPTS = 40


class Entries:
    """Carries entries of one account through commit, attempts and settlement."""

    def __init__(
        self,
        desk: Desk,
        ledger: Ledger,
        dispatcher: Dispatcher,
        settlement: Settlement,
        market: MarketData,
        *,
        clock: Clock,
        journal: EventSink,
    ) -> None:
        self._desk = desk
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._settlement = settlement
        self._market = market
        self._clock = clock
        self._journal = journal

    async def carry(self, intent: Intent, configuration: BotConfiguration) -> None:
        """Take one decision to its end: record a skip or a block, or send the order and close its books."""
        if intent.order is None:
            await self._record_only(intent)
            return
        if not await self._make_durable(intent, configuration):
            return
        if intent.signal is None:
            raise InvariantError(f"entry {intent.decision.id} has no signal")
        sent, spent = await self._attempts(intent.order, intent.stages, intent.signal, configuration)
        await self._end_reservation(intent, spent)
        if sent:
            self._desk.settle(intent.order, spent)
        else:
            self._desk.release(intent.order)

    async def _end_reservation(self, intent: Intent, spent: Decimal) -> None:
        now = self._clock.now()
        await persist(
            lambda: self._ledger.settle_reservation(intent.decision.id, spent=spent, at=now),
            self._journal,
            f"the reservation of decision {intent.decision.id}",
        )

    async def _record_only(self, intent: Intent) -> None:
        """Skips and blocks leave nothing but their record."""
        result = await persist(lambda: self._ledger.commit(intent), self._journal, f"decision {intent.decision.id}")
        refuse_fenced_out(result, intent.decision.account_id)
        if intent.blocked is not None:
            self._journal.event(
                "warning",
                "trading",
                f"{intent.blocked.symbol} was not bought: {intent.decision.reason}",
                code="SAFETY_CONSTRAINT",
                limit=intent.blocked_limit,
                order_id=str(intent.blocked.id),
            )

    async def _make_durable(self, intent: Intent, configuration: BotConfiguration) -> bool:
        """Commit the intent. False when nothing may be sent; its capacity is free again then."""
        order, signal = intent.order, intent.signal
        if order is None or signal is None:
            raise InvariantError(f"decision {intent.decision.id} has nothing to make durable")
        result = await self._dispatcher.make_durable(intent)
        if result is IntentResult.INSERTED:
            return True
        self._desk.release(order)
        if result is None:
            await self._end_reservation(intent, ZERO)
        elif result is IntentResult.KILL_SWITCH:
            self._desk.kill_switch = True
            again = self._desk.on_listing(signal, configuration, received_ns=self._clock.monotonic_ns())
            await self._record_only(again)
        return False

    async def _attempts(
        self, first: Order, stages: StageTimes, signal: ListingSignal, configuration: BotConfiguration
    ) -> tuple[bool, Decimal]:
        """Try until it is bought or over. True when anything was sent, and what was spent."""
        order, sent, spent, deadline = first, False, ZERO, signal.freshness_deadline
        previous: RefusalKind | None = None
        while True:
            attempt = await self._dispatcher.attempt(order, stages, not_after=deadline)
            sent, spent = sent or attempt.sent, total((spent, attempt.spent))
            kind = _why_not(attempt)
            if kind is None or order.attempt >= MAX_ATTEMPTS or kind is previous is RefusalKind.CLOCK:
                return sent, spent
            previous = kind
            shape = await self._next_shape(order, kind, attempt.refusal, deadline, configuration)
            if shape is None:
                return sent, spent
            order = self._desk.next_attempt(order, shape)
            if not await self._follow_up(order):
                return sent, spent
            now = self._clock.at(self._clock.monotonic_ns())
            stages = structs.replace(stages, decided_at=now, durable_at=now, sent_at=None, acknowledged_at=None)

    async def _follow_up(self, order: Order) -> bool:
        try:
            result = await self._ledger.follow_up(order, self._desk.rules.fence)
        except LedgerUnavailable as error:
            now = self._clock.now()
            reason = str(error)
            what = f"the attempt before order {order.id}"  # when it can be read, the new one is there or never will be
            await persist(lambda: self._ledger.lookup(order.decision_id), self._journal, what)
            await persist(
                lambda: self._ledger.record_unsent(order, at=now, code=LEDGER_UNAVAILABLE, reason=reason),
                self._journal,
                f"the stop of order {order.id}",
            )
            return False
        refuse_fenced_out(result, order.account_id)
        if result is IntentResult.KILL_SWITCH:
            self._desk.kill_switch = True
        return result is IntentResult.INSERTED

    async def _next_shape(
        self,
        order: Order,
        kind: RefusalKind,
        refusal: Rejected | None,
        deadline: datetime,
        configuration: BotConfiguration,
    ) -> OrderShape | None:
        """How to try again, or None when that was the last attempt. Never answers after the deadline."""
        if kind in _REPEATED:
            pause_s = max(RETRY_INTERVAL_S, (refusal.retry_after_s or 0.0) if refusal else 0.0)
            if self._clock.now() + timedelta(seconds=pause_s) > deadline:
                return None
            await asyncio.sleep(pause_s)
        left_s = (deadline - self._clock.now()).total_seconds()
        if left_s < 0 or self._desk.refusal(order) is not None:
            return None
        same = _shape_of(order)
        if kind in _REPEATED:
            return same
        if kind is RefusalKind.ORDER_TYPE and order.order_type is not OrderType.MARKET:
            return None
        try:
            async with asyncio.timeout(left_s):
                shape = await self._limit_shape(order, configuration, refusal.price_cap if refusal else None)
        except TimeoutError:
            return None
        return None if shape == same else shape

    async def _limit_shape(
        self, order: Order, configuration: BotConfiguration, price_cap: Decimal | None
    ) -> OrderShape | None:
        """A market entry that the venue does not take becomes an immediate-or-cancel limit, where that is allowed."""
        if configuration.parameters.order_style is OrderStyle.MARKET or (price_cap is None and order.limit_price):
            return None
        ticker = await self._ticker(order.symbol)
        if ticker is None or ticker.ask is None:
            return None
        return ioc_shape(
            configuration.parameters,
            configuration.quote_amount,
            instrument=await self._settlement.instrument(order.symbol),
            price=ticker.ask,
            price_cap=price_cap,
        )

    async def _ticker(self, symbol: str) -> BookTicker | None:
        try:
            return await asked(self._market.book_ticker(symbol), what=f"the price of {symbol}")
        except (VenueUnavailable, VenueRefused) as error:
            self._journal.health("prices", "degraded", symbol=symbol, reason=str(error))
            return None


_REPEATED = frozenset({RefusalKind.NOT_OPEN_YET, RefusalKind.THROTTLED, RefusalKind.CLOCK})
"""Refusals after which the same order may be sent again, after a pause. A clock that is refused twice in a row stays
wrong."""

_REPRICED = frozenset({RefusalKind.ORDER_TYPE, RefusalKind.PRICE})
"""Refusals after which another kind of order, or another price, may be tried."""


def _why_not(attempt: Attempt) -> RefusalKind | None:
    """What to do something about, or None when the entry is over. A market order that ended without a fill counts as
    one that the venue does not take."""
    if attempt.filled or not (attempt.sent or attempt.refusal):
        return None
    kind = attempt.refusal.kind if attempt.refusal else RefusalKind.ORDER_TYPE
    return kind if kind in _REPEATED | _REPRICED else None


def _shape_of(order: Order) -> OrderShape:
    return OrderShape(
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        quote_amount=order.quote_amount,
        quantity=order.quantity,
        limit_price=order.limit_price,
    )
