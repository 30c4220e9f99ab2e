"""The parts of one account, wired over fakes, without the account around them."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from tests.unit.domain import examples
from tests.unit.engine.fake_ledger import FakeLedger, OrderRow
from tests.unit.engine.fakes import (
    START,
    CountingIds,
    FakeFeed,
    FakeMarket,
    FakeVenue,
    ManualClock,
    MemoryJournal,
    modes_of,
)

from signalbox.domain.configuration import Account, BotConfiguration, OrderStyle, Venue
from signalbox.domain.decisions import Intent
from signalbox.domain.ids import RunId
from signalbox.domain.orders import Mode, OrderStatus, Purpose
from signalbox.domain.ports import SystemState
from signalbox.domain.risk.capacity import Usage
from signalbox.domain.runs import Run, RunStatus
from signalbox.domain.signals import signal_from
from signalbox.engine.books.settlement import Settlement
from signalbox.engine.desk import Desk, DeskRules
from signalbox.engine.exits.exits import Exits
from signalbox.engine.orders.dispatch import Dispatcher
from signalbox.engine.orders.entries import Entries
from signalbox.engine.parts import AccountVenues

ACCOUNT = Account(id=examples.ACCOUNT, venue=Venue.MEXC, label="main")


class Bench:
    """One account's desk with everything that carries its orders. Simulation unless `live`."""

    def __init__(self, *, live: bool = False, **settings: Any) -> None:
        self.clock = ManualClock()
        self.ledger = FakeLedger()
        self.db = self.ledger.db
        self.journal = MemoryJournal()
        self.market = FakeMarket(self.clock)
        self.venue = FakeVenue(self.db, self.market, self.clock)
        self.settings = examples.settings(**settings)
        self.db.accounts[ACCOUNT.id] = ACCOUNT
        self.db.settings[ACCOUNT.id] = self.settings
        self.db.fences[ACCOUNT.id] = 1
        rules = DeskRules(account=ACCOUNT, fence=1, code_version="test")
        self.desk = Desk(rules, self.settings, self.clock, CountingIds())
        self.desk.run_active = True
        venues = modes_of(self.venue, live=live)
        self.settlement = Settlement(
            self.desk, self.ledger, venues, self.market, clock=self.clock, journal=self.journal
        )
        self.dispatcher = Dispatcher(
            self.desk, self.ledger, venues, self.settlement, clock=self.clock, journal=self.journal
        )
        self.entries = Entries(
            self.desk,
            self.ledger,
            self.dispatcher,
            self.settlement,
            self.market,
            clock=self.clock,
            journal=self.journal,
        )
        parts = AccountVenues(market=self.market, feed=FakeFeed(self.clock), orders=venues)
        self.exits = Exits(
            self.desk,
            self.ledger,
            self.dispatcher,
            self.settlement,
            parts,
            clock=self.clock,
            journal=self.journal,
        )

    def decide(self, configuration: BotConfiguration, symbol: str = "NEWUSDT", price: Decimal | None = None) -> Intent:
        """A new listing, decided on now."""
        sighting = examples.sighting(
            symbol=symbol, seen_at=self.clock.now(), received_ns=self.clock.monotonic_ns(), price=price
        )
        freshness = timedelta(seconds=float(configuration.parameters.freshness_s))
        signal = signal_from(sighting, freshness=freshness)
        return self.desk.on_listing(signal, configuration, received_ns=sighting.received_ns)

    async def enter(self, configuration: BotConfiguration, symbol: str = "NEWUSDT") -> None:
        """Decide on a listing and carry it to its end."""
        await self.entries.carry(self.decide(configuration, symbol), configuration)

    def usage(self, mode: Mode = Mode.SIMULATION) -> Usage:
        """What the limits count now."""
        return self.desk._capacity[mode].usage(self.clock.now())

    @property
    def held(self) -> Decimal:
        """Capacity that reservations hold now."""
        return sum((r.amount for r in self.desk._capacity[Mode.SIMULATION]._held.values()), Decimal(0))

    def rows(self, purpose: Purpose = Purpose.ENTRY) -> list[tuple[OrderStatus, str | None]]:
        """Status and code of the orders, as they were written."""
        return [(row.status, row.code) for row in self.orders(purpose)]

    def orders(self, purpose: Purpose = Purpose.ENTRY) -> list[OrderRow]:
        """The orders as they were written."""
        return self.db.orders_of(purpose)

    def throw_kill_switch(self, mode: str = "block") -> None:
        """In the ledger only: the engine has not heard of it yet."""
        self.db.system = SystemState(kill_switch=True, kill_switch_mode=mode)


def run_of(configuration: BotConfiguration, number: int = 1, **changes: Any) -> Run:
    """A run that an operator asked for."""
    values: dict[str, Any] = {
        "id": RunId(UUID(int=9000 + number)),
        "account_id": ACCOUNT.id,
        "configuration": configuration,
        "status": RunStatus.STARTING,
        "operator_id": "olga",
        "started_at": START,
    }
    return Run(**{**values, **changes})


def with_style(style: OrderStyle, **parameters: Any) -> BotConfiguration:
    """A configuration with this order style."""
    return examples.configuration(parameters={"order_style": style, **parameters})
