"""One order's way to the wire: the gate, the send, the record of its outcome. The intent is durable before."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct

from signalbox.domain.decisions import Intent, IntentResult
from signalbox.domain.errors import FencedOut, LedgerUnavailable, VenueRefused, VenueUnavailable
from signalbox.domain.ids import AccountId, DecisionId, OrderId
from signalbox.domain.money import ZERO
from signalbox.domain.orders import (
    Accepted,
    Mode,
    Order,
    OrderResult,
    OrderStatus,
    Purpose,
    RefusalKind,
    Rejected,
    StageTimes,
    SubmitOutcome,
    Unknown,
)
from signalbox.domain.ports import Clock, EventSink, Ledger, OrderVenue
from signalbox.engine.asking import asked
from signalbox.engine.books.settlement import NOT_FOUND_AT_VENUE, Settlement
from signalbox.engine.desk import Desk
from signalbox.engine.orders.blocked import SAFETY_CONSTRAINT, tell_blocked
from signalbox.engine.orders.openings import Opening
from signalbox.engine.orders.pacing import Pacer, Place
from signalbox.engine.persist import persist

RUN_ACTIVE = "run_active"
NO_CREDENTIALS = "NO_CREDENTIALS"
LEDGER_UNAVAILABLE = "LEDGER_UNAVAILABLE"
STALE = "STALE"
CALLED_OFF = "CALLED_OFF"
ORDER_RATE = "ORDER_RATE"

SEND_LIMIT_S = 15.0
"""Longer than an adapter's own time limits. A send that takes longer is cut off, and its outcome is unknown."""

CANCEL_LIMIT_S = 2.0

SEND_WITHIN = timedelta(seconds=3)
"""The age at which an order does not go out any more. A new owner of the account takes an order for never sent that the
venue does not know 5 s after it was made, and a venue may execute what it gets up to 1 s after the send: an engine
that was held up between commit and send must not prove it wrong. An order that waits for its opening is made half a
second ahead, so that it is bound by the same age."""

TURN_MARGIN = timedelta(milliseconds=200)
"""An order whose turn in the account's pace does not come is given up this much before it is too old to go: it surely
never left, so that the next attempt may."""

CONFIRM_NS = 100_000_000
"""How long before it is due a waiting order has the ledger's switches read once more: its commit, the last gate of
every other order, lies behind it."""


class Attempt(Struct, frozen=True, kw_only=True):
    """How one attempt ended. Not sent: `sent` is False. Refused: `refusal`, by the venue, or by its adapter before
    anything was sent. Else `result` says what was filled."""

    sent: bool
    refusal: Rejected | None = None
    result: OrderResult | None = None
    spent: Decimal = ZERO

    @property
    def not_found(self) -> bool:
        """True when the answer was unclear and the venue does not know the order."""
        return self.result is not None and self.result.error_code == NOT_FOUND_AT_VENUE

    @property
    def filled(self) -> bool:
        """True when anything was bought or sold."""
        return self.result is not None and self.result.status is OrderStatus.FILLED


class Way(Struct, frozen=True, kw_only=True):
    """How an entry's attempt goes: it waits for `opening`, `judge` may explain a refusal before it is recorded, and
    `place` is its room in the account's pace, given back on the wire."""

    opening: Opening
    judge: Callable[[Rejected], Rejected]
    place: Place | None = None


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
        self.pacer = Pacer(venues, clock)
        self._settlement = settlement
        self._clock = clock
        self._journal = journal
        self._in_flight: dict[OrderId, Order] = {}

    async def make_durable(self, intent: Intent) -> IntentResult | None:
        """Commit an intent. None means: the ledger was away, the commit was not certain, so nothing may be sent; the
        record has been set right by then. Raises FencedOut when another engine owns the account."""
        order = intent.order
        if order is not None and order.mode in self._venues:  # signed while this waits for the ledger
            asyncio.get_running_loop().call_soon(self._get_ready, order)
        try:
            result = await self._ledger.commit(intent)
        except LedgerUnavailable as error:
            if order is not None:
                await self._undo(intent.decision.id, order, str(error))
            return None
        refuse_fenced_out(result, intent.decision.account_id)
        if result is IntentResult.INSERTED:
            intent.stages.durable_at = self._clock.at(self._clock.monotonic_ns())
        return result

    def _get_ready(self, order: Order) -> None:
        """Sign the request, and walk through the gate without obeying it: code that just ran is fast when it counts."""
        self._venues[order.mode].prepare(order)
        self._stopped(order, None, None)

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

    async def attempt(
        self, order: Order, stages: StageTimes, *, not_after: datetime | None = None, way: Way | None = None
    ) -> Attempt:
        """Send an order that is durable already, and follow it to its end.

        The gate is asked right before the wire; an order that got there later than `not_after` stays here. An unclear
        send is never repeated: only the venue's evidence, asked for by client order id, says how it ended.
        """
        held_back = await self._to_the_wire(order, not_after, way)
        if held_back is not None:
            return held_back
        self._in_flight[order.id] = order
        try:
            outcome = await self._submit(order, stages)  # nothing was waited for since the gate
            if isinstance(outcome, Rejected) and way is not None:
                outcome = way.judge(outcome)
            if isinstance(outcome, Rejected) and not outcome.sent:
                await self._unsent(order, outcome.code, outcome.message)
                return Attempt(sent=False, refusal=outcome)
            await self._record(order, outcome, stages)
            if isinstance(outcome, Rejected):
                return Attempt(sent=True, refusal=outcome)
            sent_at = stages.sent_at or self._clock.now()
            settled = await self._settlement.finish(order, sent_at, accepted=isinstance(outcome, Accepted))
            return Attempt(sent=True, result=settled.result, spent=settled.spent)
        finally:
            self._in_flight.pop(order.id, None)

    async def _to_the_wire(self, order: Order, not_after: datetime | None, way: Way | None) -> Attempt | None:
        """Wait for the opening and for the account's pace, then ask the gate. None: it may go, at once."""
        stopped, missing_s = None, 0.0
        if way is not None:
            stopped = await self._opened(way.opening)
            if stopped is None and order.mode in self._venues:
                missing_s = await self.pacer.turn(order, self._goes_until(order, not_after))
            if way.place is not None:
                way.place.give_back()
        stopped = stopped or self._stopped(order, not_after, way)
        if stopped is not None:
            await self._unsent(order, *stopped)
            return Attempt(sent=False)
        if way is not None and missing_s > 0:
            refusal = way.judge(_paced(missing_s))
            await self._unsent(order, refusal.code, refusal.message)
            return Attempt(sent=False, refusal=refusal)
        return None

    async def _opened(self, opening: Opening) -> tuple[str, str] | None:
        """Wait for a scheduled opening. Code and reason when the ledger says, or cannot say, that no order may go."""
        if not opening.scheduled or not await opening.reached(lambda: opening.due_ns() - CONFIRM_NS):
            return None
        left_s = (opening.due_ns() - self._clock.monotonic_ns()) / 1_000_000_000
        if left_s > 0:
            try:
                async with asyncio.timeout(left_s):
                    system = await self._ledger.system_state()
            except LedgerUnavailable as error:
                return LEDGER_UNAVAILABLE, str(error)
            except TimeoutError:
                pass  # the desk hears of a switch by notification all the same
            else:
                if system.kill_switch:
                    return SAFETY_CONSTRAINT, "kill_switch"
        await opening.reached(opening.due_ns)
        return None

    def _goes_until(self, order: Order, not_after: datetime | None) -> datetime:
        latest = order.created_at + SEND_WITHIN - TURN_MARGIN
        return latest if not_after is None else min(latest, not_after)

    def _stopped(self, order: Order, not_after: datetime | None, way: Way | None) -> tuple[str, str] | None:
        """Code and reason why an order may not go out now, or None."""
        limit = self._desk.refusal(order)
        if limit is not None:
            return SAFETY_CONSTRAINT, limit
        if way is not None and way.opening.called_off is not None:
            return CALLED_OFF, way.opening.called_off
        if order.mode not in self._venues:
            return NO_CREDENTIALS, f"no credentials for {order.mode} orders of this account"
        now = self._clock.now()
        if not_after is not None and now > not_after:
            return STALE, f"it was ready only after its deadline, {not_after.isoformat()}"
        if now - order.created_at > SEND_WITHIN:
            return STALE, f"it was ready only {(now - order.created_at).total_seconds():.1f} s after it was made"
        return None

    async def _submit(self, order: Order, stages: StageTimes) -> SubmitOutcome:
        try:
            async with asyncio.timeout(SEND_LIMIT_S):
                return await self._venues[order.mode].submit(order, stages)
        except TimeoutError:
            return Unknown(reason=f"the send did not return within {SEND_LIMIT_S:g} s")

    def carries(self, client_order_id: str) -> bool:
        """True while an order of this name is between the gate and its end."""
        return any(order.client_order_id == client_order_id for order in self._in_flight.values())

    async def cancel_in_flight(self) -> None:
        """Ask the venue to cancel every entry that is not settled yet, all at once and not for longer than 2 s. What
        it filled meanwhile is settled as usual."""
        entries = [order for order in self._in_flight.values() if order.purpose is Purpose.ENTRY]
        await asyncio.gather(*(self._cancel(order) for order in entries))

    async def _cancel(self, order: Order) -> None:
        try:
            await asked(self._venues[order.mode].cancel(order), what="a cancel", within_s=CANCEL_LIMIT_S)
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
        message, order_id = (
            f"{order.side} order for {order.symbol} was stopped before the wire: {reason}",
            str(order.id),
        )
        if code == SAFETY_CONSTRAINT and reason != RUN_ACTIVE:  # a run that was asked to stop is no limit that was hit
            tell_blocked(self._journal, self._desk.rules.account.label, reason, message, order_id=order_id)
        else:
            self._journal.event("warning", "trading", message, order_id=order_id, code=code)
        await persist(
            lambda: self._ledger.record_unsent(order, at=self._clock.now(), code=code, reason=reason),
            self._journal,
            f"the stop of order {order.id}",
        )


def refuse_fenced_out(result: IntentResult, account_id: AccountId) -> None:
    """Raise FencedOut when the ledger says that another engine owns the account."""
    if result is IntentResult.FENCED_OUT:
        raise FencedOut(f"another engine owns account {account_id} now")


def _paced(missing_s: float) -> Rejected:
    return Rejected(
        code=ORDER_RATE,
        message=f"nothing was sent: the venue's limits leave no room for {missing_s:.1f} s more",
        kind=RefusalKind.THROTTLED,
        response={},
        retry_after_s=missing_s,
        sent=False,
    )


def latency_ms(stages: StageTimes) -> Decimal | None:
    """Milliseconds until an order was on the wire: from the instant at which it was due, else from the first thing we
    know of it (reception, else decision)."""
    start: datetime | None = stages.due_at or stages.received_at or stages.decided_at
    if start is None or stages.sent_at is None:
        return None
    micros = (stages.sent_at - start).total_seconds() * 1_000_000
    return (Decimal(max(0, round(micros))) / 1000).quantize(Decimal("0.001"))
