# ruff: noqa: ARG002 - a fake takes all that its port takes
"""A ledger in memory that keeps to the port's words: fences, gates, uncertain commits, repeatable writes.

`FakeDatabase` is what survives a crash; a `FakeLedger` is one process's session with it.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from msgspec import Struct, structs
from tests.unit.engine.fake_listing_records import FakeListingRecords, ListingRows
from tests.unit.engine.fake_reconciliation import FakeReconciliationRecords, ReconciliationRows

from signalbox.domain.alerts import Alert
from signalbox.domain.configuration import Account, AccountSettings, BotConfiguration, Venue
from signalbox.domain.decisions import Intent, IntentResult
from signalbox.domain.errors import ConflictError, FencedOut, InvariantError, LedgerUnavailable
from signalbox.domain.ids import AccountId, DecisionId, OrderId, PositionId, RunId, SignalId
from signalbox.domain.listings import ListingSchedule
from signalbox.domain.market import ClockReading
from signalbox.domain.money import ZERO
from signalbox.domain.orders import (
    Accepted,
    Fill,
    Mode,
    Order,
    OrderEvidence,
    OrderResult,
    OrderStatus,
    Purpose,
    Rejected,
    StageTimes,
    SubmitOutcome,
    Unknown,
    check_order_transition,
)
from signalbox.domain.ports import CapacityHistory, OpenOrder, SystemState
from signalbox.domain.positions import STOPS, ExitRule, Position
from signalbox.domain.risk.capacity import HOUR, Reservation
from signalbox.domain.risk.checks import EntryInputs
from signalbox.domain.runs import ACTIVE_STATUSES, RUN_TRANSITIONS, Run, RunStatus, StopMode
from signalbox.domain.signals import DecidedListing, ListingSignal, Sighting

FINAL = frozenset({OrderStatus.FILLED, OrderStatus.REJECTED, OrderStatus.FAILED})


class Fault(Enum):
    """How a call fails: it was not done, or it was done and the answer was lost."""

    NOT_DONE = "not done"
    ANSWER_LOST = "answer lost"


class OrderRow(Struct, kw_only=True):
    """One order as the ledger has it."""

    order: Order
    status: OrderStatus = OrderStatus.PENDING
    exchange_order_id: str | None = None
    unknown: bool = False
    code: str | None = None
    reason: str | None = None
    result: OrderResult | None = None
    fill_model: str | None = None
    fills: tuple[Fill, ...] = ()
    completed_at: datetime | None = None
    revision: int = 1
    position_id: PositionId | None = None


class HeldRow(Struct, kw_only=True):
    """One reservation: held, settled or released."""

    reservation: Reservation
    mode: Mode
    state: str = "held"
    spent: Decimal = ZERO


class FakeDatabase:
    """Everything durable, and the locks of those who are connected."""

    def __init__(self) -> None:
        self.accounts: dict[AccountId, Account] = {}
        self.settings: dict[AccountId, AccountSettings] = {}
        self.system = SystemState(kill_switch=False, kill_switch_mode="block")
        self.runs: dict[RunId, Run] = {}
        self.decisions: dict[DecisionId, Intent] = {}
        self.orders: dict[OrderId, OrderRow] = {}
        self.reservations: dict[DecisionId, HeldRow] = {}
        self.positions: dict[PositionId, Position] = {}
        self.trade_log: list[OrderId] = []
        self.evidence: list[tuple[SignalId, Sighting]] = []
        self.injected: list[Sighting] = []
        self.listing_rows = ListingRows()
        self.books = ReconciliationRows()
        self.events: list[dict[str, Any]] = []
        self.health: dict[str, tuple[str, dict[str, Any]]] = {}
        self.validations: dict[AccountId, tuple[bool, str | None]] = {}
        self.validations_asked: set[AccountId] = set()
        self.alerts: dict[tuple[str, str], Alert] = {}
        """The open ones by kind and subject; what ended is in `resolved_alerts`."""
        self.resolved_alerts: list[tuple[Alert, str]] = []
        self.schedules: dict[AccountId, ListingSchedule] = {}
        self.clock_readings: list[tuple[Venue, ClockReading]] = []
        self.realised: dict[OrderId, tuple[datetime, Mode, Decimal]] = {}
        self.fences: dict[AccountId, int] = defaultdict(int)
        self.owners: dict[AccountId, FakeLedger] = {}
        self.sessions: list[FakeLedger] = []
        self.changed = asyncio.Condition()

    def notify(self, topic: str) -> None:
        """Tell every connected session that something changed."""
        for session in self.sessions:
            session.topics.put_nowait(topic)

    def set_kill_switch(self, mode: str | None) -> None:
        """An operator throws (a mode) or lifts (None) the kill switch."""
        self.system = SystemState(kill_switch=mode is not None, kill_switch_mode=mode or "block")
        self.notify("kill_switch")

    def add_run(self, run: Run) -> None:
        """An operator asks for a run."""
        self.runs[run.id] = run
        self.notify("runs")

    def request_stop(self, run_id: RunId, mode: StopMode) -> None:
        """An operator asks a run to stop."""
        run = self.runs[run_id]
        self.runs[run_id] = structs.replace(run, status=RunStatus.STOPPING, stop_mode=mode)
        self.notify("runs")

    def orders_of(self, purpose: Purpose) -> list[OrderRow]:
        """Orders as they were written."""
        return [row for row in self.orders.values() if row.order.purpose is purpose]


class FakeLedger(FakeListingRecords, FakeReconciliationRecords):
    """The Ledger port over a FakeDatabase."""

    db: FakeDatabase

    def __init__(self, database: FakeDatabase | None = None) -> None:
        self.db = database or FakeDatabase()
        self.db.sessions.append(self)
        self.away = False
        self.topics: asyncio.Queue[str] = asyncio.Queue()
        self.calls: list[str] = []
        self.called: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._faults: dict[str, list[Fault]] = defaultdict(list)
        self._gates: dict[str, asyncio.Event] = {}

    def fail(self, method: str, *faults: Fault) -> None:
        """The next calls of `method` fail like this."""
        self._faults[method].extend(faults)

    def hold(self, method: str) -> asyncio.Event:
        """Calls of `method` wait until the event is set."""
        self._gates[method] = asyncio.Event()
        return self._gates[method]

    def drop_locks(self) -> None:
        """The session is lost: other processes may take its accounts. This one does not notice."""
        for account_id in [account for account, owner in self.db.owners.items() if owner is self]:
            del self.db.owners[account_id]

    async def _enter(self, method: str) -> Fault | None:
        self.calls.append(method)
        self.called[method].set()
        await asyncio.sleep(0.001)
        gate = self._gates.get(method)
        if gate is not None:
            await gate.wait()
        if self.away:
            raise LedgerUnavailable("the ledger is away")
        fault = self._faults[method].pop(0) if self._faults[method] else None
        if fault is Fault.NOT_DONE:
            raise LedgerUnavailable(f"{method} was not done")
        return fault

    async def _leave(self, fault: Fault | None) -> None:
        async with self.db.changed:
            self.db.changed.notify_all()
        if fault is Fault.ANSWER_LOST:
            raise LedgerUnavailable("the answer was lost")

    async def own(self, account_id: AccountId, holder: str) -> int:
        fault = await self._enter("own")
        if account_id in self.db.owners and self.db.owners[account_id] is not self:
            raise ConflictError(f"account {account_id} is run by another engine, not by {holder}")
        self.db.owners[account_id] = self
        self.db.fences[account_id] += 1
        fence = self.db.fences[account_id]
        await self._leave(fault)
        return fence

    async def disown(self, account_id: AccountId) -> None:
        fault = await self._enter("disown")
        if self.db.owners.get(account_id) is self:
            del self.db.owners[account_id]
        await self._leave(fault)

    async def account(self, account_id: AccountId) -> Account:
        await self._enter("account")
        return self.db.accounts[account_id]

    async def settings(self, account_id: AccountId) -> AccountSettings:
        await self._enter("settings")
        return self.db.settings[account_id]

    async def record_validation(
        self, account_id: AccountId, *, at: datetime, valid: bool, error: str | None = None
    ) -> None:
        fault = await self._enter("record_validation")
        self.db.validations[account_id] = (valid, error)
        self.db.validations_asked.discard(account_id)
        await self._leave(fault)

    async def validations_asked(self) -> Sequence[AccountId]:
        fault = await self._enter("validations_asked")
        found = sorted(self.db.validations_asked)
        await self._leave(fault)
        return found

    async def system_state(self) -> SystemState:
        state = self.db.system
        await self._enter("system_state")
        return state

    async def accounts_with_open_business(self) -> Sequence[AccountId]:
        await self._enter("accounts_with_open_business")
        busy = {p.account_id for p in self.db.positions.values() if p.closed_at is None}
        busy |= {row.order.account_id for row in self.db.orders.values() if row.status not in FINAL}
        busy |= {h.reservation.account_id for h in self.db.reservations.values() if h.state == "held"}
        return sorted(busy)

    async def runs_to_act_on(self) -> Sequence[Run]:
        await self._enter("runs_to_act_on")
        return [run for run in self.db.runs.values() if run.status in ACTIVE_STATUSES]

    async def set_run_status(
        self,
        run_id: RunId,
        new: RunStatus,
        *,
        at: datetime,
        error_message: str | None = None,
        fence: int | None = None,
    ) -> None:
        fault = await self._enter("set_run_status")
        run = self.db.runs[run_id]
        if fence is not None and fence != self.db.fences[run.account_id]:
            raise FencedOut(f"run {run_id} belongs to another engine now")
        if run.status is not new:
            if new not in RUN_TRANSITIONS[run.status]:
                raise ConflictError(f"a run cannot go from {run.status} to {new}")
            ended = at if new in {RunStatus.STOPPED, RunStatus.FAILED} else None
            self.db.runs[run_id] = structs.replace(
                run,
                status=new,
                last_heartbeat=at,
                stopped_at=ended,
                error_message=error_message or run.error_message,
            )
        await self._leave(fault)

    async def heartbeat(self, run_ids: Sequence[RunId], at: datetime) -> None:
        fault = await self._enter("heartbeat")
        for run_id in run_ids:
            run = self.db.runs[run_id]
            if run.status in ACTIVE_STATUSES:
                self.db.runs[run_id] = structs.replace(run, last_heartbeat=at)
        await self._leave(fault)

    async def commit(self, intent: Intent) -> IntentResult:
        fault = await self._enter("commit")
        result = self._commit(intent)
        await self._leave(fault)
        return result

    def _gate(self, account_id: AccountId, fence: int, purpose: Purpose | None) -> IntentResult:
        if self.db.fences[account_id] != fence:
            return IntentResult.FENCED_OUT
        system = self.db.system
        if purpose is Purpose.ENTRY and system.kill_switch:
            return IntentResult.KILL_SWITCH
        if purpose is Purpose.EXIT and system.kill_switch and system.kill_switch_mode == "freeze":
            return IntentResult.KILL_SWITCH
        return IntentResult.INSERTED

    def _commit(self, intent: Intent) -> IntentResult:
        decision, order = intent.decision, intent.order
        gate = self._gate(decision.account_id, intent.fence, order.purpose if order else None)
        if gate is not IntentResult.INSERTED:
            return gate
        cause = decision.cause.listing_signal_id
        twice = cause is not None and any(
            other.decision.cause.listing_signal_id == cause and other.decision.account_id == decision.account_id
            for other in self.db.decisions.values()
        )
        if decision.id in self.db.decisions or twice:
            return IntentResult.DUPLICATE
        self.db.decisions[decision.id] = intent
        if order is not None:
            self._insert(order)
        if intent.blocked is not None:
            self.db.orders[intent.blocked.id] = OrderRow(
                order=intent.blocked, status=OrderStatus.REJECTED, code="SAFETY_CONSTRAINT", reason=intent.blocked_limit
            )
            self.db.trade_log.append(intent.blocked.id)
        if intent.reservation is not None and order is not None:
            self.db.reservations[decision.id] = HeldRow(reservation=intent.reservation, mode=order.mode)
        return IntentResult.INSERTED

    def _insert(self, order: Order) -> None:
        if any(row.order.client_order_id == order.client_order_id for row in self.db.orders.values()):
            raise InvariantError(f"client order id {order.client_order_id} is not new")
        self.db.orders[order.id] = OrderRow(order=order)

    def practise(self, intent: Intent) -> None:
        """Nothing to encode."""

    async def rehearse(self, intent: Intent) -> None:
        await self._enter("rehearse")

    async def lookup(self, decision_id: DecisionId) -> bool:
        await self._enter("lookup")
        return decision_id in self.db.decisions

    async def follow_up(self, order: Order, fence: int) -> IntentResult:
        fault = await self._enter("follow_up")
        result = self._gate(order.account_id, fence, order.purpose)
        if result is IntentResult.INSERTED:
            if order.decision_id not in self.db.decisions:
                raise InvariantError(f"order {order.id} follows a decision that is not in the ledger")
            self._insert(order)
        await self._leave(fault)
        return result

    async def capacity_history(self, account_id: AccountId, mode: Mode, now: datetime) -> CapacityHistory:
        await self._enter("capacity_history")
        rows = [r for r in self.db.reservations.values() if r.reservation.account_id == account_id and r.mode is mode]
        spent: dict[Any, Decimal] = defaultdict(Decimal)
        for row in rows:
            if row.state == "settled":
                spent[row.reservation.created_at.date()] += row.spent
        realised: dict[Any, Decimal] = defaultdict(Decimal)
        for at, booked_mode, amount in self.db.realised.values():
            if booked_mode is mode:
                realised[at.date()] += amount
        return CapacityHistory(
            entries=[
                r.reservation.created_at for r in rows if r.state == "settled" and r.reservation.created_at > now - HOUR
            ],
            spent=dict(spent),
            realised=dict(realised),
            held=[r.reservation for r in rows if r.state == "held"],
        )

    async def open_positions(self, account_id: AccountId) -> Sequence[Position]:
        await self._enter("open_positions")
        found = [p for p in self.db.positions.values() if p.account_id == account_id and p.closed_at is None]
        return [structs.replace(position, fired_stop=self._fired_stop(position.id)) for position in found]

    def _fired_stop(self, position_id: PositionId) -> ExitRule | None:
        """The last stop that decided to sell it."""
        causes = [intent.decision.cause for intent in self.db.decisions.values()]
        fired = [cause.exit_rule for cause in causes if cause.position_id == position_id]
        return next((rule for rule in reversed(fired) if rule in STOPS), None)

    async def record_highest_bid(self, position_id: PositionId, bid: Decimal) -> None:
        fault = await self._enter("record_highest_bid")
        position = self.db.positions[position_id]
        if position.closed_at is None and (position.highest_bid is None or position.highest_bid < bid):
            self.db.positions[position_id] = structs.replace(position, highest_bid=bid)
        await self._leave(fault)

    async def open_orders(self, account_id: AccountId) -> Sequence[OpenOrder]:
        await self._enter("open_orders")
        return [
            OpenOrder(
                order=row.order,
                status=row.status,
                exchange_order_id=row.exchange_order_id,
                exit_plan=self._configuration(row.order).parameters.exit_plan
                if row.order.purpose is Purpose.ENTRY
                else None,
            )
            for row in self.db.orders.values()
            if row.order.account_id == account_id and row.status not in FINAL
        ]

    def _configuration(self, order: Order) -> BotConfiguration:
        inputs = self.db.decisions[order.decision_id].decision.inputs
        if not isinstance(inputs, EntryInputs):
            raise TypeError(f"order {order.id} is no entry")
        return inputs.configuration

    async def decided_listings(self, account_id: AccountId, since: datetime) -> Sequence[DecidedListing]:
        await self._enter("decided_listings")
        unsettled = {OrderStatus.PENDING, OrderStatus.SUBMITTED, OrderStatus.FILLED}
        maybe_bought = {row.order.decision_id for row in self.db.orders.values() if row.status in unsettled}
        return [
            DecidedListing(
                symbol=intent.signal.symbol,
                listed_at=intent.signal.listed_at,
                detected_at=intent.signal.detected_at,
                bought=intent.decision.id in maybe_bought,
            )
            for intent in self.db.decisions.values()
            if intent.signal and intent.decision.account_id == account_id and intent.decision.decided_at >= since
        ]

    def signals(self) -> list[ListingSignal]:
        """Signals of every stored decision."""
        return [intent.signal for intent in self.db.decisions.values() if intent.signal]

    async def pending_test_listings(self, since: datetime) -> Sequence[Sighting]:
        await self._enter("pending_test_listings")
        stored = {(signal.symbol, signal.listed_at) for signal in self.signals()}
        return [s for s in self.db.injected if s.seen_at >= since and (s.symbol, s.listing_time) not in stored]

    async def add_evidence(self, signal_id: SignalId, sighting: Sighting) -> None:
        fault = await self._enter("add_evidence")
        self.db.evidence.append((signal_id, sighting))
        await self._leave(fault)

    def _row(self, order: Order) -> OrderRow:
        row = self.db.orders.get(order.id)
        if row is None:
            raise InvariantError(f"order {order.id} has an outcome but is not in the ledger")
        return row

    def _move(self, row: OrderRow, new: OrderStatus) -> None:
        check_order_transition(row.status, new)
        row.status = new
        if new in FINAL:
            row.unknown = False
            self.db.trade_log.append(row.order.id)

    async def record_submission(
        self,
        order: Order,
        outcome: SubmitOutcome,
        stages: StageTimes,
        *,
        latency_ms: Decimal | None,
    ) -> None:
        fault = await self._enter("record_submission")
        row = self._row(order)
        if row.status is OrderStatus.PENDING:
            self._move(row, OrderStatus.SUBMITTED)
            match outcome:
                case Accepted(exchange_order_id=exchange_order_id):
                    row.exchange_order_id = exchange_order_id
                case Rejected(code=code, message=message):
                    self._move(row, OrderStatus.REJECTED)
                    row.code, row.reason = code, message
                    row.completed_at = stages.acknowledged_at or order.created_at
                case Unknown(reason=reason):
                    row.unknown, row.reason = True, reason
        await self._leave(fault)

    async def record_unsent(self, order: Order, *, at: datetime, code: str, reason: str) -> None:
        fault = await self._enter("record_unsent")
        row = self.db.orders.get(order.id)
        if row is not None and row.status is OrderStatus.PENDING:
            self._move(row, OrderStatus.FAILED)
            row.code, row.reason, row.completed_at = code, reason, at
        await self._leave(fault)

    async def record_result(
        self,
        order: Order,
        *,
        evidence: OrderEvidence,
        fills: Sequence[Fill],
        result: OrderResult,
        position: Position | None,
        spent: Decimal | None,
        fill_model: str | None,
    ) -> None:
        fault = await self._enter("record_result")
        row = self._row(order)
        if row.status not in FINAL:
            if row.status is OrderStatus.PENDING:
                self._move(row, OrderStatus.SUBMITTED)
            self._move(row, result.status)
            row.code, row.reason, row.result, row.fill_model = (
                result.error_code,
                result.error_reason,
                result,
                fill_model if fills else None,
            )
            row.exchange_order_id = evidence.exchange_order_id or row.exchange_order_id
            row.fills, row.completed_at = tuple(fills), result.completed_at
            row.position_id = position.id if position is not None else None
            if position is not None:
                self._save(position, order, result.completed_at)
            if spent is not None:
                self._end(order.decision_id, spent)
        await self._leave(fault)

    def _save(self, position: Position, order: Order, at: datetime) -> None:
        if position.closed_at is not None and position.closed_at < position.opened_at:
            raise InvariantError(f"position {position.id} closes before it opened")
        before = self.db.positions.get(position.id)
        peaks = [held.highest_bid for held in (before, position) if held and held.highest_bid is not None]
        self.db.positions[position.id] = structs.replace(position, highest_bid=max(peaks, default=None))
        booked = position.realised_pnl - (before.realised_pnl if before else ZERO)
        self.db.realised[order.id] = (at, position.mode, booked)

    def _end(self, decision_id: DecisionId, spent: Decimal) -> None:
        held = self.db.reservations.get(decision_id)
        if held is not None and held.state == "held":
            rows = [row for row in self.db.orders.values() if row.order.decision_id == decision_id]
            sent = any(row.status not in {OrderStatus.PENDING, OrderStatus.FAILED} for row in rows)
            held.state, held.spent = ("settled", spent) if sent else ("released", ZERO)

    async def settle_reservation(self, decision_id: DecisionId, *, spent: Decimal, at: datetime) -> None:
        fault = await self._enter("settle_reservation")
        self._end(decision_id, spent)
        await self._leave(fault)

    async def record_schedule(self, account_id: AccountId, schedule: ListingSchedule, *, at: datetime) -> None:
        fault = await self._enter("record_schedule")
        self.db.schedules[account_id] = schedule
        await self._leave(fault)

    async def record_clock(self, venue: Venue, reading: ClockReading) -> None:
        fault = await self._enter("record_clock")
        self.db.clock_readings.append((venue, reading))
        await self._leave(fault)

    async def record_event(
        self, *, at: datetime, level: str, category: str, message: str, details: dict[str, Any], actor: str
    ) -> None:
        fault = await self._enter("record_event")
        self.db.events.append({"level": level, "category": category, "message": message, "details": details})
        await self._leave(fault)

    async def record_health(self, component: str, status: str, at: datetime, details: dict[str, Any]) -> None:
        fault = await self._enter("record_health")
        self.db.health[component] = (status, details)
        await self._leave(fault)

    async def raise_alert(self, alert: Alert, *, actor: str) -> None:
        fault = await self._enter("raise_alert")
        before = self.db.alerts.get((alert.kind, alert.subject))
        count = alert.count + (before.count if before else 0)
        if before is None or before.at != alert.at:
            self.db.alerts[alert.kind, alert.subject] = structs.replace(alert, count=count)
        await self._leave(fault)

    async def resolve_alert(self, kind: str, subject: str, *, reason: str, at: datetime, actor: str) -> None:
        fault = await self._enter("resolve_alert")
        ended = self.db.alerts.pop((kind, subject), None)
        if ended is not None:
            self.db.resolved_alerts.append((ended, reason))
        await self._leave(fault)

    async def changes(self) -> AsyncIterator[str]:
        if self.away:
            raise LedgerUnavailable("the ledger is away")
        yield "reconnected"
        while True:
            topic = await self.topics.get()
            if self.away:
                raise LedgerUnavailable("the ledger is away")
            yield topic
