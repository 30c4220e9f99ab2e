"""Exits: watches every open position against its plan and sells when a rule fires. Runs with or without a bot run.

Each attempt to sell is a decision of its own, made on the price of that moment, and nothing is sent while an earlier
attempt is unsettled: the dispatcher returns only when the venue has said how it ended. A take-profit whose target went
out of reach is given up; a stop that fired is not. After a restart the ledger tells that it fired: its decision was
durable before its first order left. While a freeze lasts, no rule fires.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta

from msgspec import structs

from signalbox.domain.decisions import Intent, IntentResult
from signalbox.domain.errors import LedgerUnavailable
from signalbox.domain.ids import PositionId
from signalbox.domain.instruments import Instrument
from signalbox.domain.money import ZERO
from signalbox.domain.orders import RefusalKind
from signalbox.domain.ports import Clock, EventSink, Ledger
from signalbox.domain.positions import STOPS, Position
from signalbox.domain.strategies.exits import ExitInputs, ExitVerdict, decide_exit, exit_shape
from signalbox.engine.books.settlement import Settlement
from signalbox.engine.desk import Desk
from signalbox.engine.exits.exit_report import ExitReport
from signalbox.engine.exits.free_balance import free_balance
from signalbox.engine.exits.prices import LivePrice
from signalbox.engine.exits.sale import SaleStyle
from signalbox.engine.orders.dispatch import Dispatcher
from signalbox.engine.parts import AccountVenues

LOOK_S = 0.5
"""How often a position is looked at when nothing is heard: a freeze may have been lifted."""

PEAK_INTERVAL_S = 1.0
"""How often at most a trailing stop's highest bid is stored."""

LEDGER_PATIENCE_S = 1.0
"""An exit that the ledger has not confirmed by then is told to an operator."""

RULES_PATIENCE_S = 5.0
"""A market whose rules the venue has not told by then cannot be sold: an operator should know."""

_NS = 1_000_000_000


class _Watch:
    """One position under watch. `wake` ends a wait; `not_before_ns` is when the next attempt may go out; `peak` the
    highest bid since the entry, `peak_wanted` asks to store it now; `fired_stop` a stop that fired."""

    def __init__(self, position: Position, report: ExitReport) -> None:
        self.position_id = position.id
        self.symbol = position.symbol
        self.report = report
        self.style = SaleStyle()
        self.wake = asyncio.Event()
        self.peak = position.highest_bid
        self.peak_stored = position.highest_bid
        self.peak_wanted = asyncio.Event()
        self.fired_stop = position.fired_stop
        self.not_before_ns = 0

    def remember(self, verdict: ExitVerdict) -> None:
        """A stop that fires stays fired."""
        if verdict.rule in STOPS:
            self.fired_stop = verdict.rule


class Exits:
    """One watch per open position of one account."""

    def __init__(
        self,
        desk: Desk,
        ledger: Ledger,
        dispatcher: Dispatcher,
        settlement: Settlement,
        venues: AccountVenues,
        *,
        clock: Clock,
        journal: EventSink,
    ) -> None:
        self._desk = desk
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._settlement = settlement
        self._venues = venues
        self._clock = clock
        self._journal = journal
        self._everything = False
        self._chosen: set[PositionId] = set()
        self._watches: dict[PositionId, _Watch] = {}

    def flatten(self) -> None:
        """Sell everything now, whatever the plans say, and whatever appears until `stop_flattening`."""
        self._everything = True
        self._wake_up()

    def stop_flattening(self) -> None:
        """Back to the plans, except for positions that `flatten_only` named."""
        self._everything = False

    def flatten_only(self, positions: Iterable[PositionId]) -> None:
        """Sell these positions now, also those that are not there yet. What appears besides follows its plan."""
        self._chosen.update(positions)
        self._wake_up()

    async def watch(self, position_id: PositionId) -> None:
        """Follow one position until it is closed."""
        position = self._desk.positions.get(position_id)
        if position is None:
            return
        label = self._desk.rules.account.label
        watch = _Watch(position, ExitReport(position, label, self._journal))
        price = LivePrice(
            position.symbol,
            self._venues.market,
            clock=self._clock,
            journal=self._journal,
            on_change=watch.wake.set,
            positions=lambda: len(self._desk.positions),
        )
        self._watches[position_id] = watch
        try:
            async with asyncio.TaskGroup() as tasks:
                helpers = [tasks.create_task(price.follow()), tasks.create_task(self._store_peaks(watch, price))]
                await self._until_closed(watch, price)
                for helper in helpers:
                    helper.cancel()
        finally:
            del self._watches[position_id]
        watch.report.closed()
        self._chosen.discard(position_id)

    def _wake_up(self) -> None:
        """A wish of an operator waits for no pause."""
        for watch in self._watches.values():
            if self._flattening(watch.position_id):
                watch.not_before_ns = 0
                watch.wake.set()

    def _flattening(self, position_id: PositionId) -> bool:
        return self._everything or position_id in self._chosen

    async def _until_closed(self, watch: _Watch, price: LivePrice) -> None:
        while watch.position_id in self._desk.positions:
            rules = watch.style.rules(await self._rules(watch))
            watch.wake.clear()  # before the prices are read: what comes in meanwhile must not be slept through
            position = self._desk.positions.get(watch.position_id)
            if position is None:
                return
            inputs = self._inputs(watch, price, position, rules)
            verdict = decide_exit(inputs)
            if verdict is None:
                watch.report.not_due(inputs)
            elif self._desk.freeze:
                pass
            elif verdict.quantity == ZERO:
                watch.remember(verdict)
                await self._too_little(watch, inputs, verdict)
            elif self._clock.monotonic_ns() >= watch.not_before_ns:
                watch.remember(verdict)
                pause_s = await self._sell(watch, inputs, verdict, rules)
                self._pause(watch, pause_s)
                if not pause_s:
                    continue
            await self._wait(watch, position)

    async def _rules(self, watch: _Watch) -> Instrument:
        """Known as a rule. Without them nothing can be sized, whatever the plan or an operator says."""
        known = self._desk.instruments.get(watch.symbol)
        if known is not None:
            return known
        waiting = asyncio.get_running_loop().call_later(RULES_PATIENCE_S, watch.report.no_rules)
        try:
            return await self._settlement.instrument(watch.symbol)
        finally:
            waiting.cancel()

    def _inputs(self, watch: _Watch, price: LivePrice, position: Position, rules: Instrument) -> ExitInputs:
        if position.exit_plan.trailing_stop is not None:
            seen = [bid for bid in (watch.peak, position.highest_bid, price.highest) if bid is not None]
            watch.peak = max(seen, default=None)
            position = structs.replace(position, highest_bid=watch.peak)
        position = structs.replace(position, fired_stop=watch.fired_stop or position.fired_stop)
        return ExitInputs(
            position=position,
            now=self._clock.now(),
            bid=price.bid,
            instrument=rules,
            free=watch.style.free,
            flatten=self._flattening(position.id),
            discount=watch.style.discount,
        )

    def _pause(self, watch: _Watch, seconds: float) -> None:
        watch.not_before_ns = self._clock.monotonic_ns() + round(seconds * _NS)

    async def _wait(self, watch: _Watch, position: Position) -> None:
        """Until something is heard, the time limit or the end of a pause is there, at most LOOK_S."""
        wait_s = LOOK_S
        limit_s = position.exit_plan.time_limit_s
        if limit_s is not None:
            left = position.opened_at + timedelta(seconds=float(limit_s)) - self._clock.now()
            wait_s = min(wait_s, left.total_seconds()) if left > timedelta(0) else wait_s
        pause_s = (watch.not_before_ns - self._clock.monotonic_ns()) / _NS
        wait_s = min(wait_s, pause_s) if pause_s > 0 else wait_s
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await watch.wake.wait()

    async def _sell(self, watch: _Watch, inputs: ExitInputs, verdict: ExitVerdict, rules: Instrument) -> float:
        """Sell by a rule. The pause before the next attempt, in seconds; 0: look again at once."""
        style, report = watch.style, watch.report
        shape = exit_shape(inputs, verdict)
        if shape is None:
            pause_s = style.next_pause_s()
            report.refused(verdict, "there is no bid to price a limit sale with", pause_s)
            return pause_s
        intent = self._desk.on_exit(inputs, verdict, shape)
        watch.peak_wanted.set()
        result = await self._make_durable(watch, intent, verdict)
        if intent.order is None or result is not IntentResult.INSERTED:
            pause_s = style.at_once() if result is None else style.next_pause_s()
            report.refused(verdict, f"the ledger said {result or 'nothing'}", pause_s)
            return pause_s
        attempt = await self._dispatcher.attempt(intent.order, intent.stages)
        if attempt.result is not None and attempt.filled:
            style.sold(attempt.result.executed_quantity)
            report.sold(verdict)
            return 0.0
        pause_s = style.after(attempt, rules)
        refusal = attempt.refusal
        if refusal is not None and refusal.kind is RefusalKind.BALANCE:
            await self._look_into_the_wallet(watch, inputs)
            pause_s = style.at_once() if style.has_less_than(inputs.position.quantity) else pause_s
        reason = f"{refusal.code} {refusal.message}" if refusal else "nothing was sold"
        report.refused(verdict, reason, pause_s, order_id=intent.order.id)
        return pause_s

    async def _make_durable(self, watch: _Watch, intent: Intent, verdict: ExitVerdict) -> IntentResult | None:
        """None: the ledger was away, and is back. Meanwhile somebody is told."""
        message = "the ledger has not confirmed the order, so nothing may be sent"
        waiting = asyncio.get_running_loop().call_later(
            LEDGER_PATIENCE_S, watch.report.refused, verdict, message, LEDGER_PATIENCE_S
        )
        try:
            return await self._dispatcher.make_durable(intent)
        finally:
            waiting.cancel()

    async def _look_into_the_wallet(self, watch: _Watch, inputs: ExitInputs) -> None:
        """The venue says that we hold less: ask how much it is, so that this is sold. A wallet that has enough all the
        same contradicts the refusal: coins just bought may not be free yet."""
        position, rules = inputs.position, inputs.instrument
        venue = self._venues.orders.get(position.mode)
        free = None if venue is None or rules is None else await free_balance(venue, rules.base, self._journal)
        if free is None or rules is None:
            return
        watch.style.free = free
        if watch.style.has_less_than(position.quantity):
            watch.report.wallet_differs(position, rules.base, free)
        else:
            watch.report.wallet_agrees()

    async def _too_little(self, watch: _Watch, inputs: ExitInputs, verdict: ExitVerdict) -> None:
        """A rule says sell, but the venue does not take so little: told once, and looked at again with each price. When
        it is the wallet that has too little, it is looked into again now and then."""
        style, before = watch.style, watch.style.free
        if not style.has_less_than(inputs.position.quantity):
            watch.report.dust(verdict, inputs)
        elif self._clock.monotonic_ns() >= watch.not_before_ns:
            await self._look_into_the_wallet(watch, inputs)
            self._pause(watch, style.next_pause_s() if style.free == before else 0.0)

    async def _store_peaks(self, watch: _Watch, price: LivePrice) -> None:
        """Keep a trailing stop's highest bid in the ledger: at most once a second, at once with an exit's decision. A
        ledger that is away gets it later."""
        while True:
            watch.peak_wanted.clear()
            position = self._desk.positions.get(watch.position_id)
            if position is None or position.exit_plan.trailing_stop is None:
                await watch.peak_wanted.wait()
                continue
            seen = [bid for bid in (watch.peak, price.highest) if bid is not None]
            peak = max(seen, default=None)
            if peak is not None and (watch.peak_stored is None or peak > watch.peak_stored):
                try:
                    await self._ledger.record_highest_bid(watch.position_id, peak)
                    watch.peak_stored = peak
                except LedgerUnavailable as error:
                    self._journal.health("ledger", "error", waiting_for="a highest bid", reason=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(PEAK_INTERVAL_S):
                    await watch.peak_wanted.wait()
