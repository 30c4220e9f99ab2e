"""Entries: from a decided listing to the end of its reservation."""

from datetime import timedelta
from decimal import Decimal

from signalbox.domain.configuration import BotConfiguration
from signalbox.domain.decisions import Intent, IntentResult
from signalbox.domain.errors import InvariantError
from signalbox.domain.money import ZERO
from signalbox.domain.ports import Clock, EventSink, Ledger, MarketData
from signalbox.domain.signals import ListingSignal
from signalbox.engine.books.settlement import Settlement
from signalbox.engine.desk import Desk
from signalbox.engine.orders.attempts import Attempts, EntryParts
from signalbox.engine.orders.blocked import tell_blocked
from signalbox.engine.orders.burst import Burst
from signalbox.engine.orders.dispatch import Dispatcher, refuse_fenced_out
from signalbox.engine.orders.openings import Opening
from signalbox.engine.persist import persist


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
        self._clock = clock
        self._journal = journal
        self._parts = EntryParts(
            desk=desk,
            ledger=ledger,
            dispatcher=dispatcher,
            settlement=settlement,
            market=market,
            clock=clock,
            journal=journal,
        )

    async def carry(self, intent: Intent, configuration: BotConfiguration, opening: Opening | None = None) -> bool:
        """Take one decision to its end: record a skip or a block, or send the order and close its books.

        With an `opening` that is still to come, the order is durable at once and waits for it. True when anything was
        bought.
        """
        order, signal = intent.order, intent.signal
        if order is None:
            await self._record_only(intent)
            return False
        if signal is None:
            raise InvariantError(f"entry {intent.decision.id} has no signal")
        opening = opening or Opening(order.symbol, self._clock)
        if opening.scheduled:
            intent.stages.due_at = opening.arrival_of(opening.due_ns())
        durable = await self._make_durable(intent, configuration)
        if durable is None:
            return await self.carry(self._decide_anew(intent, signal, configuration), configuration, opening)
        if not durable:
            return False
        attempts = Attempts(self._parts, configuration, opening, self._burst(signal, configuration, opening))
        sent, spent = await attempts.run(order, intent.stages)
        await self._end_reservation(intent, spent)
        if sent:
            self._desk.settle(order, spent)
        else:
            self._desk.release(order)
        return spent > ZERO

    def _burst(self, signal: ListingSignal, configuration: BotConfiguration, opening: Opening) -> Burst:
        parameters = configuration.parameters
        return Burst(
            parameters,
            self._clock,
            first_ns=opening.due_ns(),
            sure_ns=opening.sure_ns,
            opened_at=signal.freshness_deadline - timedelta(seconds=float(parameters.freshness_s)),
            until=signal.freshness_deadline,
        )

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
            tell_blocked(
                self._journal,
                self._desk.rules.account.label,
                intent.blocked_limit or "unnamed",
                f"{intent.blocked.symbol} was not bought: {intent.decision.reason}",
                order_id=str(intent.blocked.id),
            )

    def _decide_anew(self, intent: Intent, signal: ListingSignal, configuration: BotConfiguration) -> Intent:
        """The ledger was away and is back: what is still fresh is decided as the limits stand now, what went stale
        becomes a recorded skip. Where the first decision had been stored after all, the ledger refuses a second."""
        again = self._desk.on_listing(signal, configuration, received_ns=self._clock.monotonic_ns())
        again.stages.received_at = intent.stages.received_at
        if again.order is None:
            text = f"{signal.symbol} was not bought: the ledger was away, and then: {again.decision.reason}"
            self._journal.event("warning", "trading", text, symbol=signal.symbol, code=again.decision.skip_code)
        return again

    async def _make_durable(self, intent: Intent, configuration: BotConfiguration) -> bool | None:
        """Commit the intent. False when nothing may be sent, None when the ledger was away meanwhile; its capacity is
        free again then."""
        order, signal = intent.order, intent.signal
        if order is None or signal is None:
            raise InvariantError(f"decision {intent.decision.id} has nothing to make durable")
        result = await self._dispatcher.make_durable(intent)
        if result is IntentResult.INSERTED:
            return True
        self._desk.release(order)
        if result is None:
            await self._end_reservation(intent, ZERO)
            return None
        if result is IntentResult.KILL_SWITCH:
            self._desk.kill_switch = True
            again = self._desk.on_listing(signal, configuration, received_ns=self._clock.monotonic_ns())
            await self._record_only(again)
        return False
