"""One account at work: its desk, its venues, its exits, and the run that feeds it."""

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Protocol

from msgspec import Struct

from signalbox.domain.configuration import Account, BotConfiguration, OrderStyle, effective_mode
from signalbox.domain.errors import ConfigError, LedgerUnavailable, VenueRefused, VenueUnavailable
from signalbox.domain.ids import PositionId
from signalbox.domain.orders import Mode
from signalbox.domain.ports import (
    CapacityHistory,
    Clock,
    EventSink,
    FeedIntervals,
    IdSource,
    Ledger,
    ListingFeed,
    MarketData,
    OrderVenue,
    SystemState,
)
from signalbox.domain.runs import Run, RunStatus, StopMode
from signalbox.domain.signals import ListingSignal, Sighting
from signalbox.engine.desk import Desk, DeskRules
from signalbox.engine.dispatch import Dispatcher
from signalbox.engine.entries import Entries
from signalbox.engine.exits import Exits
from signalbox.engine.intake import Intake
from signalbox.engine.recovery import Recovery
from signalbox.engine.settlement import Settlement

INSTRUMENTS_REFRESH_S = 60.0
ENTRY_GRACE_S = 1.0
FLATTEN_LIMIT_S = 30.0
TEST_LISTING_WINDOW = timedelta(seconds=10)


class AccountVenues(Struct, frozen=True, kw_only=True):
    """What one account trades on. Without credentials there is no live entry in `orders`, and `live_refusal` says
    what is missing and how to give it."""

    market: MarketData
    feed: ListingFeed
    orders: dict[Mode, OrderVenue]
    live_refusal: str | None = None


class VenueFactory(Protocol):
    """Builds the adapters of an account. Only `signalbox.app` knows how."""

    async def open(self, account: Account, journal: EventSink) -> AccountVenues: ...


class EngineParts(Struct, frozen=True, kw_only=True):
    """What every part of the engine is given."""

    ledger: Ledger
    venues: VenueFactory
    clock: Clock
    ids: IdSource
    journal: EventSink
    code_version: str
    holder: str


class TradingAccount:
    """Owns one account while it lives: recovery first, then exits, then whatever run is started on it."""

    def __init__(self, account: Account, parts: EngineParts) -> None:
        self.account = account
        self.ready = asyncio.Event()
        self._parts = parts
        self._stop = asyncio.Event()
        self._feed: asyncio.Task[None] | None = None
        self._alive: set[asyncio.Task[None]] = set()
        self._entering: set[asyncio.Task[None]] = set()
        self._watches: dict[PositionId, asyncio.Task[None]] = {}

    async def run(self, system: SystemState) -> None:
        """Serve the account until `close`. Raises whatever breaks it; the caller decides what that means."""
        ledger, account_id = self._parts.ledger, self.account.id
        fence = await ledger.own(account_id, self._parts.holder)
        try:
            venues = await self._parts.venues.open(self.account, self._parts.journal)
            try:
                await self._open(venues, fence, system)
                async with asyncio.TaskGroup() as tasks:
                    self._tasks = tasks
                    self._spawn(self._refresh_instruments())
                    self.on_system_state(system)
                    self._watch_positions()
                    self.ready.set()
                    await self._stop.wait()
                    await self._wind_down()
            finally:
                await _close(venues)
        finally:
            await ledger.disown(account_id)

    def close(self) -> None:
        """End the service. Open positions and orders stay in the ledger for the next start."""
        self._stop.set()

    async def start_run(self, run: Run) -> None:
        """Begin to trade listings. Raises ConfigError, VenueRefused or VenueUnavailable when it cannot."""
        configuration = run.configuration
        if effective_mode(configuration, self.desk.settings) is Mode.LIVE:
            live = self._venues.orders.get(Mode.LIVE)
            if live is None:
                raise ConfigError(self._venues.live_refusal or "this account has no credentials for live orders")
            await live.check_credentials()
            await live.warm()
        await self._venues.feed.known_symbols()
        decided = await self._parts.ledger.decided_symbols(self.account.id, self._parts.clock.now() - timedelta(days=1))
        await self._load_instruments()
        self._intake = Intake(
            freshness=timedelta(seconds=float(configuration.parameters.freshness_s)),
            decided=decided,
            on_signal=lambda signal, sighting: self._on_signal(signal, sighting, configuration),
            on_evidence=self._on_evidence,
        )
        await self._parts.ledger.set_run_status(run.id, RunStatus.RUNNING, at=self._parts.clock.now())
        self.desk.run, self.desk.run_active = run, True
        intervals = FeedIntervals(
            calendar_s=float(configuration.parameters.calendar_interval_s),
            ticker_s=float(configuration.parameters.ticker_interval_s),
        )
        self._feed = self._spawn(self._venues.feed.run(self._intake.on_sighting, intervals=intervals))

    async def stop_run(self, mode: StopMode) -> None:
        """No entry leaves after this was called. Waits shortly for entries in flight; flattening takes what it takes,
        but not longer than 30 s: the watches go on trying after that."""
        self.desk.run_active = False
        if self._feed is not None:
            self._feed.cancel()
            self._feed = None
        if mode is not StopMode.ENTRIES:
            await self.dispatcher.cancel_in_flight()
        if self._entering:
            await asyncio.wait(self._entering, timeout=ENTRY_GRACE_S)
        if mode is StopMode.FLATTEN:
            await self._flatten()

    def on_system_state(self, system: SystemState) -> None:
        """Apply the kill switch. `block` stops entries; `cancel` and `flatten` do more; `freeze` stops exits too."""
        was_on = self.desk.kill_switch
        self.desk.kill_switch = system.kill_switch
        self.desk.freeze = system.kill_switch and system.kill_switch_mode == "freeze"
        if system.kill_switch and not was_on and system.kill_switch_mode in {"cancel", "flatten"}:
            self._spawn(self.dispatcher.cancel_in_flight())
        if system.kill_switch and system.kill_switch_mode == "flatten":
            self.exits.flatten()
        elif was_on and not system.kill_switch:
            self.exits.stop_flattening()

    async def reload_settings(self) -> None:
        """Take over changed guardrails, from the next decision on."""
        self.desk.settings = await self._parts.ledger.settings(self.account.id)

    async def take_test_listings(self) -> None:
        """Feed injected test listings in; they are traded in simulation only."""
        if not self.desk.run_active:
            return
        since = self._parts.clock.now() - TEST_LISTING_WINDOW
        for sighting in await self._parts.ledger.pending_test_listings(since):
            self._intake.on_sighting(sighting)

    async def _open(self, venues: AccountVenues, fence: int, system: SystemState) -> None:
        parts, account_id = self._parts, self.account.id
        self._venues = venues
        rules = DeskRules(account=self.account, fence=fence, code_version=parts.code_version)
        self.desk = Desk(rules, await parts.ledger.settings(account_id), parts.clock, parts.ids)
        self.desk.kill_switch = system.kill_switch
        ledger, clock, journal, market = parts.ledger, parts.clock, parts.journal, venues.market
        settlement = Settlement(self.desk, ledger, venues.orders, market, clock=clock, journal=journal)
        self.dispatcher = Dispatcher(self.desk, ledger, venues.orders, settlement, clock=clock, journal=journal)
        self.entries = Entries(self.desk, ledger, self.dispatcher, settlement, market, clock=clock, journal=journal)
        self.exits = Exits(self.desk, self.dispatcher, settlement, market, clock=clock, journal=journal)
        for position in await ledger.open_positions(account_id):
            self.desk.take_position(position)
        histories = await self._restore_capacity()
        await self._require_venues(venues.orders)
        await Recovery(self.desk, ledger, settlement, clock=clock, journal=journal).run(histories)

    async def _restore_capacity(self) -> list[CapacityHistory]:
        histories = []
        for mode in Mode:
            history = await self._parts.ledger.capacity_history(self.account.id, mode, self._parts.clock.now())
            self.desk.restore(mode, history)
            histories.append(history)
        return histories

    async def _require_venues(self, orders: Mapping[Mode, OrderVenue]) -> None:
        """Live orders and positions cannot be looked after without credentials: say so instead of pretending."""
        modes = {open_order.order.mode for open_order in await self._parts.ledger.open_orders(self.account.id)}
        modes |= {position.mode for position in self.desk.positions.values()}
        if Mode.LIVE in modes and Mode.LIVE not in orders:
            raise ConfigError(f"account {self.account.label} has open live business: {self._venues.live_refusal}")

    def _on_signal(self, signal: ListingSignal, sighting: Sighting, configuration: BotConfiguration) -> None:
        """The hot path: called from the feed's callback, decides at once."""
        needs_price = configuration.parameters.order_style is OrderStyle.IOC_LIMIT
        if needs_price and (signal.price is None or signal.symbol not in self.desk.instruments):
            self._enter(self._price_then_decide(signal, sighting, configuration))
            return
        intent = self.desk.on_listing(signal, configuration, received_ns=sighting.received_ns)
        self._enter(self._carry(self.entries.carry(intent, configuration)))

    async def _price_then_decide(
        self, signal: ListingSignal, sighting: Sighting, configuration: BotConfiguration
    ) -> None:
        """A limit entry needs the market's rules and price first; without them the decision is a recorded skip."""
        price = signal.price
        try:
            async with asyncio.timeout(float(configuration.parameters.freshness_s) / 2):
                instrument = await self._venues.market.instrument(signal.symbol)
                if instrument is not None:
                    self.desk.instruments[signal.symbol] = instrument
                if price is None:
                    price = (await self._venues.market.book_ticker(signal.symbol)).ask
        except (VenueUnavailable, VenueRefused, TimeoutError) as error:
            self._parts.journal.event(
                "warning", "trading", f"{signal.symbol} could not be priced", reason=str(error) or "timed out"
            )
        intent = self.desk.on_listing(signal, configuration, received_ns=sighting.received_ns, price=price)
        await self._carry(self.entries.carry(intent, configuration))

    async def _carry(self, entry: Coroutine[Any, Any, None]) -> None:
        await entry
        self._watch_positions()

    def _on_evidence(self, signal: ListingSignal, sighting: Sighting) -> None:
        self._spawn(self._add_evidence(signal, sighting))

    async def _add_evidence(self, signal: ListingSignal, sighting: Sighting) -> None:
        try:
            await self._parts.ledger.add_evidence(signal.id, sighting)
        except LedgerUnavailable as error:
            self._parts.journal.event(
                "warning", "system", f"evidence for {signal.symbol} was not stored", reason=str(error)
            )

    def _enter(self, entry: Coroutine[Any, Any, None]) -> None:
        task = self._spawn(entry)
        self._entering.add(task)
        task.add_done_callback(self._entering.discard)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._tasks.create_task(work)
        self._alive.add(task)
        task.add_done_callback(self._alive.discard)
        return task

    def _watch_positions(self) -> None:
        for position_id in self.desk.positions.keys() - self._watches.keys():
            watch = self._spawn(self.exits.watch(position_id))
            self._watches[position_id] = watch
            watch.add_done_callback(partial(self._watch_ended, position_id))

    def _watch_ended(self, position_id: PositionId, _: asyncio.Task[None]) -> None:
        self._watches.pop(position_id, None)

    async def _flatten(self) -> None:
        self.exits.flatten()
        if self._watches:
            await asyncio.wait(self._watches.values(), timeout=FLATTEN_LIMIT_S)
        if not self.desk.positions:
            self.exits.stop_flattening()
            return
        symbols = sorted(position.symbol for position in self.desk.positions.values())
        self._parts.journal.event(
            "error", "trading", f"not flat after {FLATTEN_LIMIT_S:.0f} s; still trying", symbols=symbols
        )

    async def _refresh_instruments(self) -> None:
        while True:
            await asyncio.sleep(INSTRUMENTS_REFRESH_S)
            await self._load_instruments()

    async def _load_instruments(self) -> None:
        try:
            self.desk.instruments = {i.symbol: i for i in await self._venues.market.instruments()}
        except (VenueUnavailable, VenueRefused) as error:
            self._parts.journal.health("market_rules", "degraded", reason=str(error))

    async def _wind_down(self) -> None:
        """Leave the task group. What is still in flight stays in the ledger and is recovered at the next start."""
        self.desk.run_active = False
        if self._entering:
            await asyncio.wait(self._entering, timeout=ENTRY_GRACE_S)
        for task in self._alive:
            task.cancel()


async def _close(venues: AccountVenues) -> None:
    for orders in venues.orders.values():
        await orders.close()
    await venues.market.close()
