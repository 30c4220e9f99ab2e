"""One account at work: its desk, its venues, its exits, and the run that feeds it.

Opening is recovery. Exits work from the first moment on, except those of positions whose own exit is still unclear;
entries start when every order that an earlier engine left behind is settled and the books were compared with the
venue's.
"""

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any

from signalbox.domain.configuration import Account, effective_mode
from signalbox.domain.errors import ConfigError, LedgerUnavailable, SignalboxError, VenueRefused, VenueUnavailable
from signalbox.domain.ids import PositionId
from signalbox.domain.orders import Mode
from signalbox.domain.ports import CapacityHistory, SystemState
from signalbox.domain.runs import Run, RunStatus, StopMode
from signalbox.engine.asking import asked
from signalbox.engine.books.balances import Wallet
from signalbox.engine.books.late_fills import LateFills
from signalbox.engine.books.reconcile import Reconciler
from signalbox.engine.books.recovery import Recovery
from signalbox.engine.books.settlement import Settlement
from signalbox.engine.credentials import CREDENTIALS, CredentialGate
from signalbox.engine.desk import Desk, DeskRules
from signalbox.engine.exits.exits import Exits
from signalbox.engine.orders.dispatch import Dispatcher
from signalbox.engine.orders.entries import Entries
from signalbox.engine.parts import AccountVenues, EngineParts, VenueFactory
from signalbox.engine.sniper.listing_watch import ListingWatch
from signalbox.engine.sniper.sniping import Sniping

__all__ = ["AccountClosed", "AccountVenues", "EngineParts", "TradingAccount", "VenueFactory"]

REFRESH_S = 60.0
"""How often the markets' rules are read anew, and the venue's clock and connections looked after."""

ENTRY_GRACE_S = 1.0
FLATTEN_LIMIT_S = 30.0
START_LIMIT_S = 15.0
GIVE_BACK_LIMIT_S = 2.0

OFF = SystemState(kill_switch=False, kill_switch_mode="block")


class AccountClosed(SignalboxError):
    """The account is not served any more; what was asked of it cannot be done."""


class TradingAccount:
    """Owns one account while it lives: recovery and exits first, then whatever run is started on it.

    `owned`: this engine holds the account. `ready`: its books were compared with the venue's, so runs may start; a
    difference that only people can settle is an alert and does not hold them up.
    """

    def __init__(self, account: Account, parts: EngineParts) -> None:
        self.account = account
        self.owned = False
        self.ready = asyncio.Event()
        self.was_ready = False
        self._parts = parts
        self._system = OFF
        self._since_ns = 0
        self._fence: int | None = None
        self._serving = False
        self._stop = asyncio.Event()
        self._alive: set[asyncio.Task[None]] = set()
        self._watches: dict[PositionId, asyncio.Task[None]] = {}

    @property
    def serving(self) -> bool:
        """True while its watches run: after it was opened, until it closes or breaks."""
        return self._serving

    @property
    def fence(self) -> int | None:
        """The number under which this engine owned the account last, None when it never did."""
        return self._fence

    @property
    def open_for_s(self) -> float:
        """Seconds since this engine owns it."""
        return (self._parts.clock.monotonic_ns() - self._since_ns) / 1_000_000_000

    async def run(self, system: SystemState) -> None:
        """Serve the account until `close`. Raises whatever breaks it; the caller decides what that means."""
        self._system = system
        fence = self._fence = await self._parts.ledger.own(self.account.id, self._parts.holder)
        self.owned, self._since_ns = True, self._parts.clock.monotonic_ns()
        try:
            venues = await self._parts.venues.open(self.account, self._parts.journal)
            try:
                histories = await self._open(venues, fence)
                await self._serve(histories)
            finally:
                self.ready.clear()
                await self._close(venues)
        finally:
            self.owned = False
            await self._give_back(self._parts.ledger.disown(self.account.id))

    def close(self) -> None:
        """End the service. Open positions and orders stay in the ledger for the next start."""
        self._stop.set()

    async def start_run(self, run: Run) -> None:
        """Begin to trade listings. Raises ConfigError, VenueRefused, VenueUnavailable or LedgerUnavailable when it
        cannot, AccountClosed when the account broke meanwhile."""
        if not self._serving:
            raise AccountClosed(f"account {self.account.label} is not being served")
        await asked(self._prepare(run), what="the preparation of the run", within_s=START_LIMIT_S)
        now = self._parts.clock.now()
        await self._parts.ledger.set_run_status(run.id, RunStatus.RUNNING, at=now, fence=self._fence)
        self.desk.run, self.desk.run_active = run, True
        self._sniping.begin(run.configuration)

    async def stop_run(self, mode: StopMode) -> None:
        """No entry leaves after this was called. Waits shortly for entries in flight; flattening takes what it takes,
        but not longer than 30 s: the watches go on trying after that, also for a position that appears later from an
        entry in flight."""
        if not self._serving:
            return
        self.desk.run_active = False
        self._sniping.end()
        doomed = set(self.desk.positions) | self._sniping.carrying | self._recovery.may_open
        if mode is StopMode.FLATTEN:
            self.exits.flatten_only(doomed)
        if mode is not StopMode.ENTRIES:
            await self.dispatcher.cancel_in_flight()
        await self._sniping.settle_down(ENTRY_GRACE_S)
        if mode is StopMode.FLATTEN:
            await self._until_flat(doomed)

    def on_system_state(self, system: SystemState) -> None:
        """Apply the kill switch. `block` stops entries; `cancel` and `flatten` do more; `freeze` stops exits too."""
        before, self._system = self._system, system
        if self._serving:
            self._apply_system_state(before)

    async def reload_settings(self) -> None:
        """Take over changed guardrails, from the next decision on. Raises LedgerUnavailable."""
        if not self._serving:
            return
        settings = await self._parts.ledger.settings(self.account.id)
        known = self.desk.settings
        if settings.version >= known.version and settings != known:  # two reloads may cross
            self.desk.settings = settings
        self.desk.think_ahead()

    def validate(self) -> None:
        """Have the account's credentials read anew and proven; without effect while it is not served."""
        if self._serving:
            self._credentials.ask()

    async def take_test_listings(self) -> None:
        """Feed injected test listings in; they are traded in simulation only."""
        if self._serving and self.desk.run_active:
            self._spawn(self._take_test_listings())

    async def _open(self, venues: AccountVenues, fence: int) -> dict[Mode, CapacityHistory]:
        parts, account_id = self._parts, self.account.id
        self._venues = venues
        rules = DeskRules(account=self.account, fence=fence, code_version=parts.code_version)
        self.desk = Desk(rules, await parts.ledger.settings(account_id), parts.clock, parts.ids)
        self._build()
        for position in await parts.ledger.open_positions(account_id):
            self.desk.take_position(position)
        histories = {}
        for mode in Mode:
            histories[mode] = await parts.ledger.capacity_history(account_id, mode, parts.clock.now())
            self.desk.restore(mode, histories[mode])
        await self._recovery.load()
        self._require_live_venue()
        return histories

    def _build(self) -> None:
        ledger, clock, journal, venues = self._parts.ledger, self._parts.clock, self._parts.journal, self._venues
        market, orders = venues.market, venues.orders
        settlement = Settlement(self.desk, ledger, orders, market, clock=clock, journal=journal)
        self.dispatcher = Dispatcher(self.desk, ledger, orders, settlement, clock=clock, journal=journal)
        self.entries = Entries(self.desk, ledger, self.dispatcher, settlement, market, clock=clock, journal=journal)
        self.exits = Exits(self.desk, ledger, self.dispatcher, settlement, venues, clock=clock, journal=journal)
        self._credentials = CredentialGate(self.desk, ledger, venues, clock=clock, journal=journal)
        self._recovery = Recovery(
            self.desk, ledger, settlement, clock=clock, journal=journal, on_settled=self._watch_positions
        )
        self._reconciler = self._reconciliation(settlement)
        self._listing_watch = ListingWatch(self.account, self.desk, self._parts, venues)
        self._sniping = Sniping(
            self.desk,
            self.entries,
            self._parts,
            venues,
            watch=self._listing_watch,
            spawn=self._spawn,
            on_held=self._watch_positions,
        )

    def _reconciliation(self, settlement: Settlement) -> Reconciler:
        ledger, clock, journal, venues = self._parts.ledger, self._parts.clock, self._parts.journal, self._venues
        late_fills = LateFills(
            self.desk,
            ledger,
            settlement,
            venues.orders,
            clock=clock,
            journal=journal,
            on_changed=self._watch_positions,
        )
        return Reconciler(
            self.account,
            self.desk,
            ledger,
            venues.orders,
            late_fills=late_fills,
            wallet=Wallet(self.account, self.desk, ledger, venues.orders, venues.market, journal=journal),
            hints=settlement.hints,
            clock=clock,
            journal=journal,
            on_hanging=lambda hanging: self._spawn(self._recovery.settle_again(hanging)),
            is_carried=self.dispatcher.carries,
        )

    def _require_live_venue(self) -> None:
        """Live orders and positions cannot be looked after without credentials: say so instead of pretending."""
        modes = self._recovery.modes | {position.mode for position in self.desk.positions.values()}
        if Mode.LIVE in modes and Mode.LIVE not in self._venues.orders:
            text = f"account {self.account.label} has open live business: {self._venues.live_refusal}"
            self._parts.journal.alert(CREDENTIALS, self.account.label, text, severity="critical")
            raise ConfigError(text)

    async def _serve(self, histories: dict[Mode, CapacityHistory]) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            self._serving = True
            try:
                self._apply_system_state(OFF)
                self._spawn(self._stay_ready())
                self._spawn(self._listing_watch.run())
                self._spawn(self._credentials.keep())
                self._spawn(self._recover(histories))
                self._spawn(self._reconciler.watch())
                self._watch_positions()
                await self._stop.wait()
                await self._wind_down()
            finally:
                self._serving = False

    async def _recover(self, histories: dict[Mode, CapacityHistory]) -> None:
        await self._recovery.run(histories)
        await self._reconciler.start()
        self._parts.journal.health(f"account:{self.account.label}", "running", holder=self._parts.holder)
        self.was_ready = True
        self.ready.set()
        await self._reconciler.run()

    async def _prepare(self, run: Run) -> None:
        await self.reload_settings()
        if effective_mode(run.configuration, self.desk.settings) is Mode.LIVE:
            live = await self._credentials.prove()
            await live.warm()
            await self._reconciler.start()
        await self._sniping.prepare(self.account.id, run.configuration)
        await self._load_instruments()

    async def _take_test_listings(self) -> None:
        try:
            await self._sniping.take_test_listings()
        except LedgerUnavailable as error:
            self._parts.journal.health("ledger", "error", waiting_for="test listings", reason=str(error))

    def _apply_system_state(self, before: SystemState) -> None:
        now, earlier = _switch(self._system), _switch(before)
        self.desk.kill_switch = now is not None
        self.desk.freeze = now == "freeze"
        if now in _CANCELLING and earlier not in _CANCELLING:
            self._spawn(self.dispatcher.cancel_in_flight())
        if now == "flatten":
            self.exits.flatten()
        else:
            self.exits.stop_flattening()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task that lives and dies with the account. Raises AccountClosed when that ends: a task group that is
        being torn down would wait for a new task for ever."""
        if not self._serving:
            work.close()
            raise AccountClosed(f"account {self.account.label} is not served any more")
        task = self._tasks.create_task(work)
        self._alive.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._alive.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._serving = False

    def _watch_positions(self) -> None:
        """One watch for each open position, except those whose last exit order is not settled yet."""
        if not self._serving:
            return
        for position_id in self.desk.positions.keys() - self._watches.keys() - self._recovery.in_doubt:
            watch = self._spawn(self.exits.watch(position_id))
            self._watches[position_id] = watch
            watch.add_done_callback(partial(self._watch_ended, position_id))

    def _watch_ended(self, position_id: PositionId, _: asyncio.Task[None]) -> None:
        self._watches.pop(position_id, None)

    async def _until_flat(self, doomed: set[PositionId]) -> None:
        try:
            async with asyncio.timeout(FLATTEN_LIMIT_S):
                while watches := [watch for position, watch in self._watches.items() if position in doomed]:
                    await asyncio.wait(watches)
        except TimeoutError:
            symbols = sorted(self.desk.positions[held].symbol for held in doomed & self.desk.positions.keys())
            self._parts.journal.event(
                "error", "trading", f"not flat after {FLATTEN_LIMIT_S:.0f} s; still trying", symbols=symbols
            )

    async def _stay_ready(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            await self._load_instruments()
            await self._warm_orders()

    async def _warm_orders(self) -> None:
        """An order is signed with the venue's time as it was last measured: no order waits for a measurement."""
        live = self._venues.orders.get(Mode.LIVE)
        if live is None:
            return
        try:
            await asked(live.warm(), what="the venue's time")
        except (VenueUnavailable, VenueRefused) as error:
            self._parts.journal.health("order_connection", "degraded", reason=str(error))
        else:
            self._parts.journal.health("order_connection", "running")

    async def _load_instruments(self) -> None:
        """The venue's list replaces ours; only a market that we hold stays known when the venue drops it."""
        try:
            found = {i.symbol: i for i in await asked(self._venues.market.instruments(), what="the market list")}
        except (VenueUnavailable, VenueRefused) as error:
            self._parts.journal.health("market_rules", "degraded", reason=str(error))
            return
        held = {position.symbol for position in self.desk.positions.values()}
        kept = {symbol: known for symbol, known in self.desk.instruments.items() if symbol in held}
        self.desk.instruments = kept | found
        self._parts.journal.health("market_rules", "running")

    async def _wind_down(self) -> None:
        """Leave the task group. What is still in flight stays in the ledger and is recovered at the next start."""
        self.desk.run_active = False
        self._sniping.end()
        await self._sniping.settle_down(ENTRY_GRACE_S)
        self._serving = False
        for task in self._alive:
            task.cancel()

    async def _close(self, venues: AccountVenues) -> None:
        for orders in venues.orders.values():
            await self._give_back(orders.close())
        await self._give_back(venues.market.close())

    async def _give_back(self, work: Coroutine[Any, Any, None]) -> None:
        """Closing must neither hang nor hide what went wrong before."""
        try:
            async with asyncio.timeout(GIVE_BACK_LIMIT_S):
                await work
        except (SignalboxError, OSError, TimeoutError) as error:
            reason = str(error) or f"not done within {GIVE_BACK_LIMIT_S:g} s"
            self._parts.journal.event("warning", "system", f"account {self.account.label} closed badly", reason=reason)


_CANCELLING = frozenset({"cancel", "flatten"})


def _switch(system: SystemState) -> str | None:
    """The kill switch's mode, None while it is off."""
    return system.kill_switch_mode if system.kill_switch else None
