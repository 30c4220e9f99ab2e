"""Exits: watches every open position against its plan and sells when a rule fires. Runs with or without a bot run."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal

from signalbox.domain.backoff import backoff
from signalbox.domain.decisions import IntentResult
from signalbox.domain.errors import VenueRefused, VenueUnavailable
from signalbox.domain.ids import PositionId
from signalbox.domain.ports import Clock, EventSink, MarketData
from signalbox.domain.positions import ExitRule, Position
from signalbox.domain.strategies.exits import ExitInputs, ExitVerdict, decide_exit
from signalbox.engine.asking import asked
from signalbox.engine.desk import Desk
from signalbox.engine.dispatch import Dispatcher
from signalbox.engine.settlement import Settlement

POLL_S = 0.5
"""How often the best bid of a held symbol is asked for, up to three positions; slower with more (rate limits)."""

PRICE_LIMIT_S = 3.0
"""A price that takes longer is not waited for: the time limit must work without prices."""


class Exits:
    """One watch per open position of one account."""

    def __init__(
        self,
        desk: Desk,
        dispatcher: Dispatcher,
        settlement: Settlement,
        market: MarketData,
        *,
        clock: Clock,
        journal: EventSink,
    ) -> None:
        self._desk = desk
        self._dispatcher = dispatcher
        self._settlement = settlement
        self._market = market
        self._clock = clock
        self._journal = journal
        self._everything = False
        self._chosen: set[PositionId] = set()
        self._wake = asyncio.Event()

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
        retries = backoff()
        while position_id in self._desk.positions:
            wake = self._wake  # looked at before the verdict: what is asked for meanwhile must not be slept through
            inputs = await self._inputs(position_id)
            pause = POLL_S * max(1.0, len(self._desk.positions) / 3)
            verdict = self._verdict(inputs)
            if verdict is not None and not self._desk.freeze:
                if await self._sell(inputs, verdict):
                    retries = backoff()
                    continue
                pause = next(retries)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await wake.wait()
        self._chosen.discard(position_id)

    def _wake_up(self) -> None:
        self._wake.set()
        self._wake = asyncio.Event()

    async def _inputs(self, position_id: PositionId) -> ExitInputs:
        position = self._desk.positions[position_id]
        bid = None if self._flattening(position_id) else await self._bid(position.symbol)
        return ExitInputs(position=position, now=self._clock.now(), bid=bid)

    def _flattening(self, position_id: PositionId) -> bool:
        return self._everything or position_id in self._chosen

    def _verdict(self, inputs: ExitInputs) -> ExitVerdict | None:
        if self._flattening(inputs.position.id):
            return ExitVerdict(rule=ExitRule.FLATTEN, reason="flatten: asked to close everything", checks=())
        return decide_exit(inputs)

    async def _sell(self, inputs: ExitInputs, verdict: ExitVerdict) -> bool:
        """Sell by a rule; True when something was sold. A failure is told, and tried again later by the watch."""
        position = inputs.position
        instrument = await self._settlement.instrument(position.symbol)
        intent = self._desk.on_exit(inputs, verdict, instrument)
        if intent is None or intent.order is None:
            lot, held = str(instrument.lot_size), str(position.quantity)
            self._journal.health("exits", "degraded", symbol=position.symbol, held=held, lot_size=lot)
            return False
        result = await self._dispatcher.make_durable(intent)
        if result is not IntentResult.INSERTED:
            self._failed(intent.order.id, position, f"the ledger said {result or 'nothing'}")
            return False
        attempt = await self._dispatcher.attempt(intent.order, intent.stages)
        if attempt.filled:
            self._tell(position, verdict)
            return True
        self._failed(intent.order.id, position, attempt.refusal.message if attempt.refusal else "nothing was sold")
        return False

    def _tell(self, position: Position, verdict: ExitVerdict) -> None:
        self._journal.event(
            "info",
            "trading",
            f"sold {position.symbol}: {verdict.reason}",
            position_id=str(position.id),
            rule=verdict.rule,
        )

    def _failed(self, order_id: object, position: Position, reason: str) -> None:
        self._journal.event(
            "error",
            "trading",
            f"the exit of {position.symbol} did not go through and will be tried again: {reason}",
            position_id=str(position.id),
            order_id=str(order_id),
        )

    async def _bid(self, symbol: str) -> Decimal | None:
        try:
            ticker = await asked(
                self._market.book_ticker(symbol), what=f"the price of {symbol}", within_s=PRICE_LIMIT_S
            )
        except (VenueUnavailable, VenueRefused) as error:
            self._journal.health("prices", "degraded", symbol=symbol, reason=str(error))
            return None
        self._journal.health("prices", "running")
        return ticker.bid
