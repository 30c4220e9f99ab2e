"""An engine, or several, over one database and one venue, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tests.unit.domain import examples
from tests.unit.engine.bench import ACCOUNT, run_of
from tests.unit.engine.fake_ledger import FakeDatabase, FakeLedger
from tests.unit.engine.fakes import CountingIds, FakeFeed, FakeMarket, FakeVenue, FakeVenues, ManualClock, modes_of

from signalbox.domain.configuration import BotConfiguration
from signalbox.domain.ids import RunId
from signalbox.domain.orders import OrderStatus, Purpose
from signalbox.domain.runs import Run, RunStatus, StopMode
from signalbox.engine.account import AccountVenues, EngineParts, TradingAccount
from signalbox.engine.events import EventJournal
from signalbox.engine.supervise import Engine

START_LIMIT = timedelta(seconds=2)
STOP_LIMIT = timedelta(seconds=5)


class Process:
    """One engine process: its own ledger session, its own memory."""

    def __init__(self, world: "World", name: str, first_id: int) -> None:
        self.ledger = FakeLedger(world.db)
        self.journal = EventJournal(self.ledger, world.clock, actor=name)
        parts = EngineParts(
            ledger=self.ledger,
            venues=world.venues,
            clock=world.clock,
            ids=CountingIds(first_id),
            journal=self.journal,
            code_version="test",
            holder=name,
        )
        self.engine = Engine(parts, self.journal)
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(self.engine.run(self.stop))

    @property
    def account(self) -> TradingAccount:
        """The account as this engine serves it."""
        return self.engine._service.accounts[ACCOUNT.id]

    async def shut_down(self) -> None:
        """End in order."""
        self.stop.set()
        await self.task

    async def kill(self) -> None:
        """As `kill -9`: nothing is written any more, locks are given up by the server."""
        self.ledger.away = True
        self.task.cancel()
        await asyncio.wait([self.task])
        self.ledger.drop_locks()
        self.ledger.db.sessions.remove(self.ledger)


class World:
    """The database, the venue, and the operator's hands."""

    def __init__(self, *, live: bool = False, **settings: Any) -> None:
        self.clock = ManualClock()
        self.db = FakeDatabase()
        self.db.accounts[ACCOUNT.id] = ACCOUNT
        self.db.settings[ACCOUNT.id] = examples.settings(**settings)
        self.market = FakeMarket(self.clock)
        self.venue = FakeVenue(self.db, self.market, self.clock)
        self.feed = FakeFeed(self.clock)
        self.venues = FakeVenues(
            AccountVenues(
                market=self.market,
                feed=self.feed,
                orders=modes_of(self.venue, live=live),
                live_refusal=None if live else "MEXC_API_KEY is missing: set it in the environment",
            )
        )
        self._processes: list[Process] = []

    def process(self, name: str = "one") -> Process:
        """Start an engine."""
        process = Process(self, name, first_id=1_000_000 * (len(self._processes) + 1))
        self._processes.append(process)
        return process

    async def until(self, condition: Callable[[], bool], within: timedelta = timedelta(seconds=60)) -> timedelta:
        """Wait for a condition of the database; how long that took. Fails when it takes too long."""
        began = self.clock.now()
        async with asyncio.timeout(within.total_seconds()), self.db.changed:
            await self.db.changed.wait_for(condition)
        return self.clock.now() - began

    def ask_for_run(self, configuration: BotConfiguration | None = None, number: int = 1) -> RunId:
        """An operator asks for a run."""
        run = run_of(configuration or examples.configuration(), number, started_at=self.clock.now())
        self.db.add_run(run)
        return run.id

    async def running(self, configuration: BotConfiguration | None = None, number: int = 1) -> RunId:
        """A run that is up."""
        run_id = self.ask_for_run(configuration, number)
        await self.until(lambda: self.status(run_id) is RunStatus.RUNNING)
        await self.feed.running.wait()
        return run_id

    async def stopped(self, run_id: RunId, mode: StopMode = StopMode.ENTRIES) -> timedelta:
        """Ask for a stop; how long it took until it was visible."""
        self.db.request_stop(run_id, mode)
        return await self.until(lambda: self.status(run_id) is RunStatus.STOPPED)

    def status(self, run_id: RunId) -> RunStatus:
        """As the ledger has it."""
        return self.db.runs[run_id].status

    def run_row(self, run_id: RunId) -> Run:
        """As the ledger has it."""
        return self.db.runs[run_id]

    def orders(self, purpose: Purpose = Purpose.ENTRY) -> list[OrderStatus]:
        """Status of the orders in the ledger."""
        return [row.status for row in self.db.orders_of(purpose)]

    def told(self, text: str) -> bool:
        """True when the ledger has such an event."""
        return any(text in event["message"] for event in self.db.events)

    @property
    def held(self) -> Decimal:
        """Capacity held, as the ledger has it."""
        return sum((row.reservation.amount for row in self.db.reservations.values() if row.state == "held"), Decimal(0))


@asynccontextmanager
async def world(*, live: bool = False, **settings: Any) -> AsyncIterator[World]:
    """A world whose engines are shut down at the end, in bounded time and without a leaked task."""
    made = World(live=live, **settings)
    yield made
    for process in made._processes:
        if not process.task.done():
            process.ledger.away = False
            began = made.clock.now()
            await process.shut_down()
            assert made.clock.now() - began < timedelta(seconds=20)
    assert made.venue.violations == []
    assert asyncio.all_tasks() == {asyncio.current_task()}
