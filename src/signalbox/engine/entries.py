"""Entries: from a decided listing to its last attempt."""

import asyncio
from datetime import datetime
from decimal import Decimal

from msgspec import structs

from signalbox.domain.configuration import BotConfiguration, OrderStyle
from signalbox.domain.decisions import Intent, IntentResult
from signalbox.domain.errors import FencedOut, InvariantError, LedgerUnavailable, VenueRefused, VenueUnavailable
from signalbox.domain.market import BookTicker
from signalbox.domain.money import ZERO
from signalbox.domain.order_shapes import OrderShape, ioc_shape
from signalbox.domain.orders import Order, OrderType, RefusalKind, StageTimes
from signalbox.domain.ports import Clock, EventSink, Ledger, MarketData
from signalbox.domain.signals import ListingSignal
from signalbox.engine.desk import Desk
from signalbox.engine.dispatch import LEDGER_UNAVAILABLE, Attempt, Dispatcher
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
        last, spent = await self._attempts(intent.order, intent.stages, intent.signal, configuration)
        now = self._clock.now()
        await persist(
            lambda: self._ledger.settle_reservation(intent.decision.id, spent=spent, at=now),
            self._journal,
            f"the reservation of decision {intent.decision.id}",
        )
        if last.sent:
            self._desk.settle(intent.order, spent)
        else:
            self._desk.release(intent.order)

    async def _record_only(self, intent: Intent) -> None:
        """Skips and blocks leave nothing but their record."""
        await persist(lambda: self._ledger.commit(intent), self._journal, f"decision {intent.decision.id}")
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
            now = self._clock.now()
            await persist(
                lambda: self._ledger.settle_reservation(intent.decision.id, spent=ZERO, at=now),
                self._journal,
                f"the reservation of decision {intent.decision.id}",
            )
        elif result is IntentResult.KILL_SWITCH:
            self._desk.kill_switch = True
            again = self._desk.on_listing(signal, configuration, received_ns=self._clock.monotonic_ns())
            await self._record_only(again)
        return False

    async def _attempts(
        self, first: Order, stages: StageTimes, signal: ListingSignal, configuration: BotConfiguration
    ) -> tuple[Attempt, Decimal]:
        order, spent = first, ZERO
        while True:
            attempt = await self._dispatcher.attempt(order, stages)
            spent += attempt.spent
            shape = await self._next_shape(order, attempt, signal.freshness_deadline, configuration)
            if shape is None:
                return attempt, spent
            order = self._desk.next_attempt(order, shape)
            if not await self._follow_up(order):
                return attempt, spent
            now = self._clock.at(self._clock.monotonic_ns())
            stages = structs.replace(stages, decided_at=now, durable_at=now, sent_at=None, acknowledged_at=None)

    async def _follow_up(self, order: Order) -> bool:
        try:
            result = await self._ledger.follow_up(order, self._desk.rules.fence)
        except LedgerUnavailable as error:
            now = self._clock.now()
            reason = str(error)
            await persist(
                lambda: self._ledger.record_unsent(order, at=now, code=LEDGER_UNAVAILABLE, reason=reason),
                self._journal,
                f"the stop of order {order.id}",
            )
            return False
        if result is IntentResult.FENCED_OUT:
            raise FencedOut(f"another engine owns account {order.account_id} now")
        return result is IntentResult.INSERTED

    async def _next_shape(
        self, order: Order, attempt: Attempt, deadline: datetime, configuration: BotConfiguration
    ) -> OrderShape | None:
        """How to try again, or None when this was the last attempt."""
        if not attempt.sent or attempt.filled or order.attempt >= MAX_ATTEMPTS:
            return None
        refusal = attempt.refusal
        kind = refusal.kind if refusal else RefusalKind.ORDER_TYPE
        if kind in {RefusalKind.NOT_OPEN_YET, RefusalKind.THROTTLED}:
            pause = refusal.retry_after_s if refusal and refusal.retry_after_s else RETRY_INTERVAL_S
            await asyncio.sleep(pause)
        if self._clock.now() > deadline or self._desk.refusal(order) is not None:
            return None
        match kind:
            case RefusalKind.NOT_OPEN_YET | RefusalKind.THROTTLED | RefusalKind.CLOCK:
                return OrderShape(
                    order_type=order.order_type,
                    time_in_force=order.time_in_force,
                    quote_amount=order.quote_amount,
                    quantity=order.quantity,
                    limit_price=order.limit_price,
                )
            case RefusalKind.ORDER_TYPE if order.order_type is OrderType.MARKET:
                return await self._limit_shape(order, configuration, None)
            case RefusalKind.PRICE:
                return await self._limit_shape(order, configuration, refusal.price_cap if refusal else None)
            case _:
                return None

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
            return await self._market.book_ticker(symbol)
        except (VenueUnavailable, VenueRefused) as error:
            self._journal.health("prices", "degraded", symbol=symbol, reason=str(error))
            return None
