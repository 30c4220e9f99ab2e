"""The attempts of one entry: each durable before it is sent, each under ids of its own, never two at a time."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from msgspec import Struct, structs

from signalbox.domain.configuration import BotConfiguration
from signalbox.domain.decisions import IntentResult
from signalbox.domain.errors import LedgerUnavailable, VenueRefused, VenueUnavailable
from signalbox.domain.money import ZERO, total
from signalbox.domain.order_shapes import OrderShape, ioc_shape
from signalbox.domain.orders import Order, Rejected, StageTimes
from signalbox.domain.ports import Clock, EventSink, Ledger, MarketData
from signalbox.engine.asking import asked
from signalbox.engine.books.settlement import Settlement
from signalbox.engine.desk import Desk
from signalbox.engine.orders.burst import Again, AsLimit, Burst, Over, Step
from signalbox.engine.orders.dispatch import LEDGER_UNAVAILABLE, Attempt, Dispatcher, Way, refuse_fenced_out
from signalbox.engine.orders.openings import Opening
from signalbox.engine.orders.pacing import Place
from signalbox.engine.persist import persist

PRICE_INTERVAL_NS = 500_000_000
"""Pause between looks at a book that has no price yet: each look costs 10 of 300 weight in ten seconds."""


class EntryParts(Struct, frozen=True, kw_only=True):
    """What carries an account's entries."""

    desk: Desk
    ledger: Ledger
    dispatcher: Dispatcher
    settlement: Settlement
    market: MarketData
    clock: Clock
    journal: EventSink


class Attempts:
    """One entry's attempts, from the first order on."""

    def __init__(self, parts: EntryParts, configuration: BotConfiguration, opening: Opening, burst: Burst) -> None:
        self._parts = parts
        self._configuration = configuration
        self._opening = opening
        self._burst = burst
        self._look_ns = 0

    async def run(self, first: Order, stages: StageTimes) -> tuple[bool, Decimal]:
        """Try until it is bought or over. True when anything was sent, and what was spent."""
        order, place, sent, spent = first, None, False, ZERO
        while True:
            attempt, step = await self._one(order, stages, place)
            sent, spent = sent or attempt.sent, total((spent, attempt.spent))
            following = await self._following(order, step)
            if following is None:
                return sent, spent
            order, place = following
            now = self._parts.clock.at(self._parts.clock.monotonic_ns())
            stages = structs.replace(
                stages, decided_at=now, durable_at=now, due_at=self._due_at(step), sent_at=None, acknowledged_at=None
            )

    async def _one(self, order: Order, stages: StageTimes, place: Place | None) -> tuple[Attempt, Step]:
        """One attempt, and what to do after it. Whatever was bought ends the entry: the rest is not chased."""
        steps: list[Step] = []

        def judge(refusal: Rejected) -> Rejected:
            steps.append(self._burst.after_refusal(order, refusal))
            return self._burst.explained(refusal, steps[-1])

        way = Way(opening=self._opening, judge=judge, place=place)
        attempt = await self._parts.dispatcher.attempt(order, stages, not_after=self._burst.until, way=way)
        if attempt.refusal is not None and steps:
            return attempt, steps[-1]
        if attempt.filled or not attempt.sent:
            return attempt, Over()
        return attempt, self._burst.after_nothing_bought(order, unclear=attempt.not_found)

    async def _following(self, order: Order, step: Step) -> tuple[Order, Place] | None:
        """The next attempt, durable, with room for it on the wire; None when there is none."""
        shape = await self._next_shape(order, step)
        if shape is None:
            return None
        place = await self._parts.dispatcher.pacer.place(order.mode, self._burst.until)
        if place is None:
            return None
        following: Order | None = None
        try:
            if not self._is_over(order):
                following = await self._durable(self._parts.desk.next_attempt(order, shape))
        finally:
            if following is None:
                place.give_back()
        return None if following is None else (following, place)

    async def _durable(self, order: Order) -> Order | None:
        parts = self._parts
        try:
            result = await parts.ledger.follow_up(order, parts.desk.rules.fence)
        except LedgerUnavailable as error:
            now = parts.clock.now()
            reason = str(error)
            what = f"the attempt before order {order.id}"  # when it can be read, the new one is there or never will be
            await persist(lambda: parts.ledger.lookup(order.decision_id), parts.journal, what)
            await persist(
                lambda: parts.ledger.record_unsent(order, at=now, code=LEDGER_UNAVAILABLE, reason=reason),
                parts.journal,
                f"the stop of order {order.id}",
            )
            return None
        refuse_fenced_out(result, order.account_id)
        if result is IntentResult.KILL_SWITCH:
            parts.desk.kill_switch = True
        return order if result is IntentResult.INSERTED else None

    async def _next_shape(self, order: Order, step: Step) -> OrderShape | None:
        """How to try again, when its time has come; None when it is over by then."""
        match step:
            case Over():
                return None
            case Again(at_ns=at_ns):
                return await self._same_at(order, at_ns)
            case AsLimit():
                return await self._as_limit(order, step)

    async def _same_at(self, order: Order, at_ns: int) -> OrderShape | None:
        await self._opening.reached(lambda: at_ns)
        return None if self._is_over(order) else _shape_of(order)

    async def _as_limit(self, order: Order, step: AsLimit) -> OrderShape | None:
        """A limit order at a price that the book shows, waited for until the deadline."""
        while not self._is_over(order):
            now_ns = self._parts.clock.monotonic_ns()
            if step.or_again is not None and now_ns < self._look_ns:
                return await self._same_at(order, step.or_again)
            self._look_ns = now_ns + PRICE_INTERVAL_NS
            try:
                async with asyncio.timeout(self._left_s()):
                    ask = await self._ask(order.symbol)
                    known = order.limit_price is not None  # a lower cap needs no other price: ours was allowed
                    if ask is not None or known:
                        return self._changed(order, await self._limit_shape(order, ask, step.price_cap))
            except TimeoutError:
                return None
            if step.or_again is not None:
                return await self._same_at(order, step.or_again)
            if self._parts.clock.at(self._look_ns) > self._burst.until:
                return None
            await self._opening.reached(_always(self._look_ns))
        return None

    async def _limit_shape(self, order: Order, ask: Decimal | None, cap: Decimal | None) -> OrderShape | None:
        return ioc_shape(
            self._configuration.parameters,
            self._configuration.quote_amount,
            instrument=await self._parts.settlement.instrument(order.symbol),
            price=ask if ask is not None else cap,
            price_cap=cap,
        )

    def _changed(self, order: Order, shape: OrderShape | None) -> OrderShape | None:
        """Nothing that was just refused is sent again."""
        return None if self._is_over(order) or shape == _shape_of(order) else shape

    async def _ask(self, symbol: str) -> Decimal | None:
        try:
            ticker = await asked(self._parts.market.book_ticker(symbol), what=f"the price of {symbol}")
        except (VenueUnavailable, VenueRefused) as error:
            self._parts.journal.health("prices", "degraded", symbol=symbol, reason=str(error))
            return None
        return ticker.ask

    def _is_over(self, order: Order) -> bool:
        return (
            self._opening.called_off is not None or self._left_s() <= 0 or self._parts.desk.refusal(order) is not None
        )

    def _left_s(self) -> float:
        return (self._burst.until - self._parts.clock.now()).total_seconds()

    def _due_at(self, step: Step) -> datetime | None:
        """When the next attempt was to arrive. Only scheduled entries are due at an instant."""
        if not self._opening.scheduled:
            return None
        return self._opening.arrival_of(step.at_ns if isinstance(step, Again) else self._parts.clock.monotonic_ns())


def _always(at_ns: int) -> Callable[[], int]:
    return lambda: at_ns


def _shape_of(order: Order) -> OrderShape:
    return OrderShape(
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        quote_amount=order.quote_amount,
        quantity=order.quantity,
        limit_price=order.limit_price,
    )
