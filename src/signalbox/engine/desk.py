"""The desk: single writer of one account's state. Plain functions only; whatever waits happens outside.

Because one step looks at the limits and takes the capacity, no burst and no interleaving can exceed a limit.
"""

from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from signalbox.domain.configuration import (
    Account,
    AccountSettings,
    BotConfiguration,
    ListingSniperParameters,
    Strategy,
    effective_mode,
    live_allowed,
)
from signalbox.domain.decisions import Cause, Decision, Intent, Verdict
from signalbox.domain.errors import InvariantError
from signalbox.domain.ids import DecisionId, OrderId, PositionId, SignalId, client_order_id
from signalbox.domain.instruments import Instrument
from signalbox.domain.money import ONE, ZERO, product, total
from signalbox.domain.order_shapes import OrderShape, first_shape
from signalbox.domain.orders import Mode, Order, OrderType, Purpose, Side, StageTimes
from signalbox.domain.ports import CapacityHistory, Clock, IdSource
from signalbox.domain.positions import ExitPlan, Position
from signalbox.domain.reconciliation import ReservationEnd, ReservationState
from signalbox.domain.risk.capacity import Capacity, Reservation
from signalbox.domain.risk.checks import EntryInputs
from signalbox.domain.risk.entry_rules import account_agrees
from signalbox.domain.runs import Run
from signalbox.domain.signals import DetectionSource, ListingSignal, Sighting, signal_from
from signalbox.domain.strategies.exits import ExitInputs, ExitVerdict
from signalbox.domain.strategies.listing_sniper import EntryVerdict, decide_at_once, entry_mode


class DeskRules(Struct, frozen=True, kw_only=True):
    """What a desk is told once. `taker_rate` is reserved on top of an entry when its market's rate is not known."""

    account: Account
    fence: int
    code_version: str
    taker_rate: Decimal = Decimal("0.002")


class Desk:
    """State and decisions of one account: capacity by mode, positions, markets, switches."""

    def __init__(self, rules: DeskRules, settings: AccountSettings, clock: Clock, ids: IdSource) -> None:
        self.rules = rules
        self.settings = settings
        self.kill_switch = False
        self.freeze = False
        self.credentials_refusal: str | None = None
        self.run: Run | None = None
        self.run_active = False
        self.instruments: dict[str, Instrument] = {}
        self.positions: dict[PositionId, Position] = {}
        self.exit_plans: dict[DecisionId, ExitPlan] = {}
        self._capacity = {mode: Capacity() for mode in Mode}
        self._agreed: tuple[EntryInputs, bool] | None = None
        self._clock = clock
        self._ids = ids

    def restore(self, mode: Mode, history: CapacityHistory) -> None:
        """Take over what the ledger knows before the first decision."""
        capacity = self._capacity[mode]
        for reservation in history.held:
            capacity.reserve(reservation)
        capacity.restore(entries=history.entries, spent=history.spent, realised=history.realised)

    def on_listing(
        self, signal: ListingSignal, configuration: BotConfiguration, *, received_ns: int, price: Decimal | None = None
    ) -> Intent:
        """Decide on a listing and, when it is executed, take its capacity at once. An entry that outlived its run is
        none of the next run's, which has a configuration of its own."""
        active = self.run_active and (self.run is None or self.run.configuration.id == configuration.id)
        intent = self._propose(signal, configuration, received_ns=received_ns, price=price, run_active=active)
        if intent.order is not None and intent.reservation is not None:
            self._capacity[intent.order.mode].reserve(intent.reservation)
            self.exit_plans[intent.decision.id] = configuration.parameters.exit_plan
        return intent

    def rehearsal(self, configuration: BotConfiguration) -> Intent:
        """An intent like the next one, for a listing that does not exist; it takes no capacity."""
        symbol = configuration.symbols[0].replace("*", "REHEARSAL").replace("?", "X")
        now = self._clock.now()
        sighting = Sighting(
            symbol=symbol, source=DetectionSource.WEBSOCKET, seen_at=now, received_ns=self._clock.monotonic_ns()
        )
        return self._propose(
            signal_from(sighting), configuration, received_ns=sighting.received_ns, price=None, run_active=True
        )

    def think_ahead(self) -> None:
        """Ask now what the next decision of the run does not have to wait for: a listing asks for the rest."""
        if self.run is not None and self.run_active:
            self.rehearsal(self.run.configuration)

    def _propose(
        self,
        signal: ListingSignal,
        configuration: BotConfiguration,
        *,
        received_ns: int,
        price: Decimal | None,
        run_active: bool,
    ) -> Intent:
        now = self._clock.now()
        mode = entry_mode(signal.detection_source, effective_mode(configuration, self.settings))
        instrument = self.instruments.get(signal.symbol)
        rate = max(self.rules.taker_rate, instrument.taker_rate if instrument else ZERO)
        inputs = EntryInputs(
            signal=signal,
            configuration=configuration,
            settings=self.settings,
            usage=self._capacity[mode].usage(now),
            mode=mode,
            now=now,
            amount=product(configuration.quote_amount, total((ONE, rate))),
            run_active=run_active,
            kill_switch=self.kill_switch,
            credentials_refused=self.credentials_refusal is not None,
            instrument=instrument,
            reference_price=price if price is not None else signal.price,
        )
        verdict = decide_at_once(inputs, account_agreed=self._account_agrees(inputs))
        decision = self._entry_decision(inputs, verdict)
        stages = StageTimes(
            exchange_event_at=signal.exchange_event_at,
            received_at=self._clock.at(received_ns),
            decided_at=self._clock.at(self._clock.monotonic_ns()),
        )
        order = self._entry_order(inputs, decision) if verdict.execute or verdict.blocked_limit else None
        reservation = None
        if order is not None and verdict.execute:
            reservation = Reservation(
                decision_id=decision.id,
                account_id=decision.account_id,
                symbol=signal.symbol,
                amount=inputs.amount,
                created_at=now,
            )
        return Intent(
            decision=decision,
            fence=self.rules.fence,
            signal=signal,
            order=order if verdict.execute else None,
            reservation=reservation,
            blocked=None if verdict.execute else order,
            blocked_limit=verdict.blocked_limit,
            stages=stages,
        )

    def _account_agrees(self, inputs: EntryInputs) -> bool:
        """Asked once for as long as nothing about the account changes; `think_ahead` has mostly asked before."""
        if self._agreed is not None and _same_account(self._agreed[0], inputs):
            return self._agreed[1]
        self._agreed = inputs, account_agrees(inputs)
        return self._agreed[1]

    def next_attempt(self, order: Order, shape: OrderShape) -> Order:
        """A further attempt of the same decision, under ids of its own."""
        return self._order(
            shape,
            decision_id=order.decision_id,
            symbol=order.symbol,
            mode=order.mode,
            recv_window_ms=order.recv_window_ms,
            attempt=order.attempt + 1,
            signal=order.signal_id,
        )

    def on_exit(self, inputs: ExitInputs, verdict: ExitVerdict, shape: OrderShape) -> Intent:
        """The intent that sells a position, or a part of it, by a rule."""
        position = inputs.position
        decision = Decision(
            id=DecisionId(self._ids.new_id()),
            account_id=self.rules.account.id,
            strategy=Strategy.LISTING_SNIPER,
            decided_at=inputs.now,
            verdict=Verdict.EXECUTE,
            reason=verdict.reason,
            checks=verdict.checks,
            cause=Cause(exit_rule=verdict.rule, position_id=position.id),
            settings_snapshot=self.settings,
            inputs=inputs,
            code_version=self.rules.code_version,
            run_id=self.run.id if self.run else None,
            configuration_id=self.run.configuration.id if self.run else None,
        )
        order_id = OrderId(self._ids.new_id())
        order = Order(
            id=order_id,
            client_order_id=client_order_id(order_id),
            account_id=decision.account_id,
            decision_id=decision.id,
            symbol=position.symbol,
            side=Side.SELL,
            purpose=Purpose.EXIT,
            order_type=shape.order_type,
            time_in_force=shape.time_in_force,
            mode=position.mode,
            created_at=inputs.now,
            run_id=decision.run_id,
            position_id=position.id,
            quantity=shape.quantity,
            limit_price=shape.limit_price,
            reduce_only=True,
        )
        return Intent(decision=decision, fence=self.rules.fence, order=order, stages=StageTimes(decided_at=inputs.now))

    def position_for(self, order: Order, opened_at: datetime) -> Position:
        """The position that an order changes: an exit's own, or the one that the entry's decision opens."""
        position_id = order.position_id or PositionId(order.decision_id)
        known = self.positions.get(position_id)
        if known is not None:
            return known
        return Position(
            id=position_id,
            account_id=order.account_id,
            symbol=order.symbol,
            mode=order.mode,
            opened_at=opened_at,
            exit_plan=self.exit_plans.get(order.decision_id, ListingSniperParameters().exit_plan),
            signal_id=order.signal_id,
        )

    def take_position(self, position: Position, *, booked: Decimal = ZERO, at: datetime | None = None) -> None:
        """Replace a position by its newer state; `booked` is the result that the change realised."""
        capacity = self._capacity[position.mode]
        if position.closed_at is None and position.quantity > 0:
            self.positions[position.id] = position
            capacity.set_position(position.symbol, position.cost)
        else:
            self.positions.pop(position.id, None)
            capacity.set_position(position.symbol, ZERO)
        if booked and at is not None:
            capacity.book(at.date(), booked)

    def settle(self, order: Order, spent: Decimal) -> None:
        """The entry of this order's decision ended; free what it did not spend."""
        self.end_reservation(order.mode, order.decision_id, spent)

    def end_reservation(self, mode: Mode, decision_id: DecisionId, spent: Decimal) -> None:
        """The same for a decision whose order is not at hand."""
        self._capacity[mode].settle(decision_id, spent=spent)
        self.exit_plans.pop(decision_id, None)

    def spend_more(self, mode: Mode, reservation: ReservationEnd, amount: Decimal) -> None:
        """An entry that had ended spent more than was counted."""
        released = reservation.state is ReservationState.RELEASED
        self._capacity[mode].spend_more(reservation.created_at, amount, counts_anew=released)

    def release(self, order: Order) -> None:
        """The entry surely never left: it counts for nothing."""
        self._capacity[order.mode].release(order.decision_id)
        self.exit_plans.pop(order.decision_id, None)

    def refusal(self, order: Order) -> str | None:
        """The dispatch gate, asked right before the wire: why this order may not go now, or None."""
        if order.purpose is Purpose.EXIT:
            return "kill_switch" if self.freeze else None
        if self.kill_switch:
            return "kill_switch"
        if order.mode is Mode.LIVE and not live_allowed(self.settings):
            return "live_not_allowed"
        if order.mode is Mode.LIVE and self.credentials_refusal is not None:
            return "credentials"
        own_run = order.run_id == (self.run.id if self.run else None)  # another one may have begun since
        return None if self.run_active and own_run else "run_active"

    def _entry_decision(self, inputs: EntryInputs, verdict: EntryVerdict) -> Decision:
        return Decision(
            id=DecisionId(self._ids.new_id()),
            account_id=self.rules.account.id,
            strategy=Strategy.LISTING_SNIPER,
            decided_at=inputs.now,
            verdict=Verdict.EXECUTE if verdict.execute else Verdict.SKIP,
            reason=verdict.reason,
            checks=verdict.checks,
            cause=Cause(listing_signal_id=inputs.signal.id),
            settings_snapshot=inputs.settings,
            inputs=inputs,
            code_version=self.rules.code_version,
            run_id=self.run.id if self.run else None,
            configuration_id=inputs.configuration.id,
            skip_code=verdict.skip_code,
        )

    def _entry_order(self, inputs: EntryInputs, decision: Decision) -> Order:
        market = OrderShape(order_type=OrderType.MARKET, quote_amount=inputs.configuration.quote_amount)
        shape = first_shape(inputs.configuration, instrument=inputs.instrument, price=inputs.reference_price)
        if shape is None and decision.verdict is Verdict.EXECUTE:
            raise InvariantError(f"decision {decision.id} executes an order that cannot be priced")
        return self._order(
            shape or market,
            decision_id=decision.id,
            symbol=inputs.signal.symbol,
            mode=inputs.mode,
            recv_window_ms=inputs.configuration.recv_window,
            attempt=1,
            signal=inputs.signal.id,
        )

    def _order(
        self,
        shape: OrderShape,
        *,
        decision_id: DecisionId,
        symbol: str,
        mode: Mode,
        recv_window_ms: int,
        attempt: int,
        signal: SignalId | None,
    ) -> Order:
        order_id = OrderId(self._ids.new_id())
        return Order(
            id=order_id,
            client_order_id=client_order_id(order_id),
            account_id=self.rules.account.id,
            decision_id=decision_id,
            symbol=symbol,
            side=Side.BUY,
            purpose=Purpose.ENTRY,
            order_type=shape.order_type,
            time_in_force=shape.time_in_force,
            quote_amount=shape.quote_amount,
            quantity=shape.quantity,
            limit_price=shape.limit_price,
            mode=mode,
            created_at=self._clock.now(),
            run_id=self.run.id if self.run else None,
            signal_id=signal,
            recv_window_ms=recv_window_ms,
            attempt=attempt,
        )


def _same_account(one: EntryInputs, other: EntryInputs) -> bool:
    """True when all that the account's own rules look at is the same."""
    return (
        one.usage is other.usage
        and one.configuration is other.configuration
        and one.settings is other.settings
        and one.mode is other.mode
        and one.run_active is other.run_active
        and one.kill_switch is other.kill_switch
        and one.credentials_refused is other.credentials_refused
        and one.amount == other.amount
    )
