"""Closed orders beside the venue's record of them: what came later is booked by a revision."""

from collections.abc import Callable, Mapping
from decimal import Decimal

from msgspec import structs

from signalbox.domain.errors import VenueRefused, VenueUnavailable
from signalbox.domain.explained_fills import is_explained
from signalbox.domain.ids import DecisionId, PositionId
from signalbox.domain.instruments import Instrument
from signalbox.domain.money import ZERO, plain, product, total
from signalbox.domain.orders import EvidenceState, Fill, Mode, OrderEvidence, OrderStatus, Purpose
from signalbox.domain.ports import Clock, EventSink, Ledger, OrderVenue
from signalbox.domain.position_folds import refolded
from signalbox.domain.positions import Position, UniqueFills
from signalbox.domain.reconciliation import (
    UNCERTAIN_END,
    ClosedOrder,
    Difference,
    DifferenceKind,
    ReservationState,
    Revision,
)
from signalbox.domain.venue_records import VenueOrder
from signalbox.engine.asking import asked
from signalbox.engine.books.executions import FILLS_WINDOW
from signalbox.engine.books.settlement import Settlement, result_of
from signalbox.engine.desk import Desk
from signalbox.engine.persist import persist

QUOTE_NOISE = Decimal("0.000001")
"""A venue may round the quote total of an order: a difference of up to this part of it is none."""


FILLS_LIMIT_S = FILLS_WINDOW.total_seconds() + 15.0
"""How long a round waits for the executions of one order: longer than it takes to explain what is not listed. The next
round asks again."""


class LateFills:
    """Compares and revises closed live orders of one account. `on_changed` is called after each revision: positions
    may be open again."""

    def __init__(
        self,
        desk: Desk,
        ledger: Ledger,
        settlement: Settlement,
        venues: Mapping[Mode, OrderVenue],
        *,
        clock: Clock,
        journal: EventSink,
        on_changed: Callable[[], None],
    ) -> None:
        self._desk = desk
        self._ledger = ledger
        self._settlement = settlement
        self._venues = venues
        self._clock = clock
        self._journal = journal
        self._on_changed = on_changed
        self._counted: set[DecisionId] = set()

    async def compare(self, closed: ClosedOrder, listed: VenueOrder | None) -> Difference | None:
        """What differs, corrected where the venue's record proves more than ours. Raises VenueUnavailable."""
        evidence = listed.evidence if listed is not None else await self._looked_up(closed)
        if evidence is None or closed.is_being_entered:
            return None
        if evidence.state is EvidenceState.NOT_FOUND:
            return _found(closed, DifferenceKind.MISSING, "the venue does not show an order that it had filled")
        if evidence.state is EvidenceState.OPEN:
            return await self._end_it(closed)
        if evidence.executed_quantity > closed.executed_quantity:
            return await self._book(closed, evidence)
        if evidence.executed_quantity < closed.executed_quantity:
            return _found(closed, DifferenceKind.LESS_EXECUTED, _executed(closed, evidence))
        return await self._compare_equal(closed, evidence)

    async def _looked_up(self, closed: ClosedOrder) -> OrderEvidence | None:
        """An order that the venue's list does not have: only one that was filled must be there."""
        if not closed.executed_quantity:
            return None
        try:
            return await asked(self._venues[Mode.LIVE].find_order(closed.order), what=f"order {closed.order.id}")
        except VenueRefused as error:
            raise VenueUnavailable(str(error)) from error

    async def _end_it(self, closed: ClosedOrder) -> Difference:
        """We gave it up, so it must not trade any more; what it did until then is booked by the next comparison."""
        try:
            await asked(self._venues[Mode.LIVE].cancel(closed.order), what="a cancel")
        except (VenueUnavailable, VenueRefused) as error:
            told = f"still open at the venue, and it could not be cancelled: {error}"
        else:
            told = "still open at the venue; it was asked to cancel it"
        return _found(closed, DifferenceKind.STILL_OPEN, told)

    async def _compare_equal(self, closed: ClosedOrder, evidence: OrderEvidence) -> Difference | None:
        if not closed.executed_quantity:
            uncertain = closed.status is OrderStatus.FAILED or closed.error_code in UNCERTAIN_END
            return await self._book_empty(closed, evidence) if uncertain else None
        if any(is_explained(fill) for fill in closed.fills):
            return await self._book_real_ones(closed, evidence)
        noise = product(evidence.executed_quote, QUOTE_NOISE)
        if abs(evidence.executed_quote - closed.executed_quote) > noise:
            told = f"moved {plain(closed.executed_quote)} in our books, {plain(evidence.executed_quote)} at the venue"
            return _found(closed, DifferenceKind.QUOTE_DIFFERS, told)
        return None

    async def _book(self, closed: ClosedOrder, evidence: OrderEvidence) -> Difference:
        instrument = await self._instrument(closed)
        question = self._settlement.executions.complete(
            closed.order, evidence, instrument, known=closed.fills, revision=closed.revision + 1
        )
        fills = await asked(question, what=f"the fills of order {closed.order.id}", within_s=FILLS_LIMIT_S)
        await self._revise(closed, evidence, tuple(fills), instrument)
        told = _executed(closed, evidence)
        self._tell(closed, f"{told}: booked as revision {closed.revision + 1}", evidence)
        kind = DifferenceKind.LATE_FILL if closed.status is OrderStatus.FILLED else DifferenceKind.LATE_ORDER
        return _found(closed, kind, told, settled=True)

    async def _book_empty(self, closed: ClosedOrder, evidence: OrderEvidence) -> Difference:
        """It was there after all, and nothing of it was executed."""
        await self._revise(closed, evidence, (), None)
        told = f"{closed.status} in our books as {closed.error_code}; the venue had it, and cancelled it without a fill"
        self._tell(closed, told, evidence)
        return _found(closed, DifferenceKind.LATE_ORDER, told, settled=True)

    async def _book_real_ones(self, closed: ClosedOrder, evidence: OrderEvidence) -> Difference | None:
        """A fill stands for executions that were not listed: are they now?"""
        unique = UniqueFills()
        unique.add(fill for fill in closed.fills if not is_explained(fill))
        try:
            unique.add(await self._settlement.executions.listed(closed.order, evidence.exchange_order_id or ""))
        except VenueRefused as error:
            raise VenueUnavailable(str(error)) from error
        if unique.totals()[0] < evidence.executed_quantity:
            return None
        instrument = await self._instrument(closed)
        await self._revise(closed, evidence, tuple(unique.in_order()), instrument)
        told = "the executions that one fill stood for are listed now; they replace it"
        self._journal.event(
            "info", "trading", f"{closed.order.symbol}: {told}", order_id=str(closed.order.id), fills=len(unique)
        )
        return _found(closed, DifferenceKind.EXECUTIONS_FOUND, told, settled=True)

    async def _instrument(self, closed: ClosedOrder) -> Instrument:
        """The market's rules; a market that the venue does not know any more must not hold up the others."""
        symbol = closed.order.symbol
        return await asked(self._settlement.instrument(symbol), what=f"the rules of {symbol}")

    async def _revise(
        self, closed: ClosedOrder, evidence: OrderEvidence, fills: tuple[Fill, ...], instrument: Instrument | None
    ) -> None:
        """Write the next version of an order, and take over what it changes."""
        order = closed.order
        kept = {fill.exchange_trade_id for fill in fills}
        async with self._settlement.booking(order):
            before: Position | None = None
            position: Position | None = None
            more_spent: Decimal | None = None
            if instrument is not None:
                before, position = await self._positions(closed, fills, instrument)
                if order.purpose is Purpose.ENTRY:
                    more_spent = _spent(fills, instrument) - _spent(closed.fills, instrument)
            revision = Revision(
                order=order,
                number=closed.revision + 1,
                at=self._clock.now(),
                evidence=evidence,
                fills=fills,
                replaced=tuple(f.exchange_trade_id for f in closed.fills if f.exchange_trade_id not in kept),
                result=result_of(evidence, fills, closed.completed_at),
                position=position,
                more_spent=more_spent,
            )
            await persist(lambda: self._ledger.revise(revision), self._journal, f"a revision of order {order.id}")
            if position is not None:
                booked = position.realised_pnl - (before.realised_pnl if before else ZERO)
                self._desk.take_position(position, booked=booked, at=closed.completed_at)
                for held in [held for held in self._desk.positions.values() if held.symbol == order.symbol]:
                    self._desk.take_position(held)  # exposure is counted by symbol
            if more_spent is not None:
                self._count_spend(closed, more_spent)
        self._settlement.hints.ended(order, evidence.executed_quantity)
        self._on_changed()

    async def _positions(
        self, closed: ClosedOrder, fills: tuple[Fill, ...], instrument: Instrument
    ) -> tuple[Position | None, Position]:
        """The position before and after: all fills of all its orders, counted anew."""
        order = closed.order
        position_id = order.position_id or PositionId(order.decision_id)
        other = self._other_open(order.symbol, order.mode, position_id)
        history = await self._history(position_id)
        if history is None and other is not None:  # one position of a symbol is open at a time
            history = await self._history(other.id)
            other = None
        if history is None:
            if closed.exit_plan is not None:
                self._desk.exit_plans.setdefault(order.decision_id, closed.exit_plan)
            fresh = self._desk.position_for(order, opened_at=fills[0].filled_at)
            self._desk.exit_plans.pop(order.decision_id, None)
            return None, refolded(fresh, fills, instrument, now=self._clock.now())
        known, counted = history
        before = self._desk.positions.get(known.id, known)
        others = [fill for order_id, fill in counted if order_id != order.id]
        after = refolded(before, [*others, *fills], instrument, now=self._clock.now())
        if other is not None and after.closed_at is None:
            after = structs.replace(after, closed_at=before.closed_at or max(self._clock.now(), before.opened_at))
            self._journal.alert(
                "late_fill",
                f"{order.client_order_id} unwatched",
                f"{order.symbol}: {plain(after.quantity)} came late to a closed position while another one is open;"
                " no exit watches it: sell it by hand, then acknowledge this",
                severity="critical",
            )
        return before, after

    async def _history(self, position_id: PositionId) -> "tuple[Position, tuple[tuple[object, Fill], ...]] | None":
        found = await persist(
            lambda: self._ledger.position_history(position_id), self._journal, f"position {position_id}"
        )
        return None if found is None else (found.position, found.fills)

    def _other_open(self, symbol: str, mode: Mode, position_id: PositionId) -> Position | None:
        held = self._desk.positions.values()
        return next((p for p in held if p.symbol == symbol and p.mode is mode and p.id != position_id), None)

    def _count_spend(self, closed: ClosedOrder, more_spent: Decimal) -> None:
        reservation, decision_id = closed.reservation, closed.order.decision_id
        if reservation is None:
            return
        if decision_id in self._counted:
            reservation = structs.replace(reservation, state=ReservationState.SETTLED)
        self._counted.add(decision_id)
        self._desk.spend_more(closed.order.mode, reservation, more_spent)

    def _tell(self, closed: ClosedOrder, told: str, evidence: OrderEvidence) -> None:
        self._journal.alert(
            "late_fill",
            closed.order.client_order_id,
            f"{closed.order.side} order for {closed.order.symbol}: {told}",
            order_id=str(closed.order.id),
            exchange_order_id=evidence.exchange_order_id,
        )


def _spent(fills: tuple[Fill, ...], instrument: Instrument) -> Decimal:
    """Quote that left the account for these buys, fees in the quote asset included."""
    fees = (fill.fee for fill in fills if fill.fee_asset == instrument.quote)
    return total((*(fill.quote_quantity for fill in fills), *fees))


def _executed(closed: ClosedOrder, evidence: OrderEvidence) -> str:
    ours, theirs = plain(closed.executed_quantity), plain(evidence.executed_quantity)
    return f"executed {ours} in our books, {theirs} at the venue"


def _found(closed: ClosedOrder, kind: DifferenceKind, told: str, *, settled: bool = False) -> Difference:
    return Difference(
        kind=kind,
        subject=closed.order.symbol,
        message=told,
        settled=settled,
        details={"order_id": str(closed.order.id), "client_order_id": closed.order.client_order_id},
    )
