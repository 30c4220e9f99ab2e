"""One order's way to the wire: the gate, the send, the record of its outcome. The intent is durable before."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from signalbox.domain.decisions import Intent, IntentResult
from signalbox.domain.errors import FencedOut, LedgerUnavailable, VenueRefused, VenueUnavailable
from signalbox.domain.ids import DecisionId, OrderId
from signalbox.domain.money import ZERO
from signalbox.domain.orders import (
    Accepted,
    Mode,
    Order,
    OrderResult,
    OrderStatus,
    Purpose,
    Rejected,
    StageTimes,
    SubmitOutcome,
    Unknown,
)
from signalbox.domain.ports import Clock, EventSink, Ledger, OrderVenue
from signalbox.engine.desk import Desk
from signalbox.engine.persist import persist
from signalbox.engine.settlement import Settlement

SAFETY_CONSTRAINT = "SAFETY_CONSTRAINT"
NO_CREDENTIALS = "NO_CREDENTIALS"
LEDGER_UNAVAILABLE = "LEDGER_UNAVAILABLE"


class Attempt(Struct, frozen=True, kw_only=True):
    """How one attempt ended. Not sent: `sent` is False. Refused: `refusal`. Else `result` says what was filled."""

    sent: bool
    refusal: Rejected | None = None
    result: OrderResult | None = None
    spent: Decimal = ZERO

    @property
    def filled(self) -> bool:
        """True when anything was bought or sold."""
        return self.result is not None and self.result.status is OrderStatus.FILLED


class Dispatcher:
    """Sends the orders of one account, each once."""

    def __init__(
        self,
        desk: Desk,
        ledger: Ledger,
        venues: Mapping[Mode, OrderVenue],
        settlement: Settlement,
        *,
        clock: Clock,
        journal: EventSink,
    ) -> None:
        self._desk = desk
        self._ledger = ledger
        self._venues = venues
        self._settlement = settlement
        self._clock = clock
        self._journal = journal
        self._in_flight: dict[OrderId, Order] = {}

    async def make_durable(self, intent: Intent) -> IntentResult | None:
        """Commit an intent. None means: the ledger was away, the commit was not certain, so nothing may be sent; the
        record has been set right by then. Raises FencedOut when another engine owns the account."""
        order = intent.order
        try:
            result = await self._ledger.commit(intent)
        except LedgerUnavailable as error:
            if order is not None:
                await self._undo(intent.decision.id, order, str(error))
            return None
        if result is IntentResult.FENCED_OUT:
            raise FencedOut(f"another engine owns account {intent.decision.account_id} now")
        if result is IntentResult.INSERTED:
            intent.stages.durable_at = self._clock.at(self._clock.monotonic_ns())
        return result

    async def _undo(self, decision_id: DecisionId, order: Order, reason: str) -> None:
        """Nothing was sent, but the intent may be in the ledger: if it is, say there that it never left."""
        self._journal.event(
            "error",
            "trading",
            f"{order.side} order for {order.symbol} was not sent: the ledger is away",
            order_id=str(order.id),
            code=LEDGER_UNAVAILABLE,
            reason=reason,
        )
        written = await persist(lambda: self._ledger.lookup(decision_id), self._journal, f"decision {decision_id}")
        if written:
            await self._unsent(order, LEDGER_UNAVAILABLE, reason)

    async def attempt(self, order: Order, stages: StageTimes) -> Attempt:
        """Send an order that is durable already, and follow it to its end.

        The gate is asked right before the wire. An unclear send is never repeated here: only the venue's evidence,
        asked for by client order id, says how it ended.
        """
        limit = self._desk.refusal(order)
        if limit is not None:
            await self._unsent(order, SAFETY_CONSTRAINT, limit)
            return Attempt(sent=False)
        venue = self._venues.get(order.mode)
        if venue is None:
            await self._unsent(order, NO_CREDENTIALS, f"no credentials for {order.mode} orders of this account")
            return Attempt(sent=False)
        self._in_flight[order.id] = order
        try:
            outcome = await venue.submit(order, stages)
            await self._record(order, outcome, stages)
            match outcome:
                case Rejected():
                    return Attempt(sent=True, refusal=outcome)
                case Accepted() | Unknown():
                    settled = await self._settlement.finish(order, stages.sent_at or self._clock.now())
                    return Attempt(sent=True, result=settled.result, spent=settled.spent)
        finally:
            self._in_flight.pop(order.id, None)

    async def cancel_in_flight(self) -> None:
        """Ask the venue to cancel every entry that is not settled yet. What it filled meanwhile is settled as usual."""
        for order in [order for order in self._in_flight.values() if order.purpose is Purpose.ENTRY]:
            try:
                await self._venues[order.mode].cancel(order)
            except (VenueUnavailable, VenueRefused) as error:
                self._journal.event(
                    "error",
                    "trading",
                    f"the order for {order.symbol} could not be cancelled: {error}",
                    order_id=str(order.id),
                )

    async def _record(self, order: Order, outcome: SubmitOutcome, stages: StageTimes) -> None:
        latency = latency_ms(stages)
        await persist(
            lambda: self._ledger.record_submission(order, outcome, stages, latency_ms=latency),
            self._journal,
            f"the outcome of order {order.id}",
        )
        match outcome:
            case Accepted(exchange_order_id=exchange_order_id):
                self._journal.event(
                    "info",
                    "trading",
                    f"{order.side} order for {order.symbol} accepted",
                    order_id=str(order.id),
                    exchange_order_id=exchange_order_id,
                    latency_ms=None if latency is None else str(latency),
                )
            case Rejected(code=code, message=message):
                self._journal.event(
                    "warning",
                    "trading",
                    f"{order.side} order for {order.symbol} refused by the venue: {code} {message}",
                    order_id=str(order.id),
                )
            case Unknown(reason=reason):
                self._journal.event(
                    "warning",
                    "trading",
                    f"{order.side} order for {order.symbol}: outcome unknown, asking the venue",
                    order_id=str(order.id),
                    reason=reason,
                )

    async def _unsent(self, order: Order, code: str, reason: str) -> None:
        self._journal.event(
            "warning",
            "trading",
            f"{order.side} order for {order.symbol} was stopped before the wire: {reason}",
            order_id=str(order.id),
            code=code,
        )
        await persist(
            lambda: self._ledger.record_unsent(order, at=self._clock.now(), code=code, reason=reason),
            self._journal,
            f"the stop of order {order.id}",
        )


def latency_ms(stages: StageTimes) -> Decimal | None:
    """Milliseconds from the first thing we know of an order (reception, else decision) until it was on the wire."""
    start: datetime | None = stages.received_at or stages.decided_at
    if start is None or stages.sent_at is None:
        return None
    micros = (stages.sent_at - start).total_seconds() * 1_000_000
    return (Decimal(max(0, round(micros))) / 1000).quantize(Decimal("0.001"))
