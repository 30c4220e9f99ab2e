"""Keeping hot: the way of an order is walked, nobody else sees it, and nobody has to wait for it."""

import asyncio

import pytest
from tests.unit.domain.examples import configuration, settings
from tests.unit.engine.bench import ACCOUNT
from tests.unit.engine.fake_ledger import FakeLedger
from tests.unit.engine.fakes import CountingIds, FakeMarket, FakeVenue, ManualClock
from tests.unit.engine.virtual_time import virtual_time

from signalbox.domain.decisions import Intent
from signalbox.domain.orders import Mode, Order
from signalbox.engine.desk import Desk, DeskRules
from signalbox.engine.orders.warmth import COMMIT_EVERY_NS, COMMIT_PAUSE_NS, WALK_PAUSE_NS, WarmPaths, Warmth

MS = 1_000_000


class _Ledger(FakeLedger):
    """Remembers what it was rehearsed with, and when."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock
        self.practised: list[tuple[int, Intent]] = []
        self.rehearsed: list[tuple[int, int]] = []

    def practise(self, intent: Intent) -> None:
        self.practised.append((self._clock.monotonic_ns(), intent))

    async def rehearse(self, intent: Intent) -> None:
        began_ns = self._clock.monotonic_ns()
        await super().rehearse(intent)
        self.rehearsed.append((began_ns, self._clock.monotonic_ns()))


class _Venue(FakeVenue):
    """Remembers what it was to prepare."""

    prepared: list[Order]

    def prepare(self, order: Order) -> None:
        self.prepared.append(order)


class _Bench:
    """An account's paths, and what keeps them hot."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.ledger = _Ledger(self.clock)
        self.venue = _Venue(self.ledger.db, FakeMarket(self.clock), self.clock)
        self.venue.prepared = []
        rules = DeskRules(account=ACCOUNT, fence=1, code_version="test")
        self.desk = Desk(rules, settings(), self.clock, CountingIds())
        paths = WarmPaths(desk=self.desk, ledger=self.ledger, orders={Mode.SIMULATION: self.venue})
        self.warmth = Warmth(paths, configuration(), self.clock)


@virtual_time
async def test_the_way_of_an_order_is_walked_and_nothing_is_left_of_it() -> None:
    bench = _Bench()
    before = bench.desk._capacity[Mode.SIMULATION].usage(bench.clock.now())
    await bench.warmth.keep(bench.clock.monotonic_ns() + 200 * MS)
    assert len(bench.ledger.practised) > 50
    assert len(bench.ledger.rehearsed) > 5
    assert [intent.order for _, intent in bench.ledger.practised] == bench.venue.prepared
    assert bench.venue.sent == []
    assert (bench.ledger.db.decisions, bench.ledger.db.orders, bench.desk.exit_plans) == ({}, {}, {})
    assert bench.desk._capacity[Mode.SIMULATION].usage(bench.clock.now()) == before


@virtual_time
async def test_nothing_is_under_way_when_an_order_is_due() -> None:
    bench = _Bench()
    due_ns = bench.clock.monotonic_ns() + 150 * MS
    await bench.warmth.keep(due_ns + 50 * MS, due_ns=due_ns)
    early = [at for at, _ in bench.ledger.practised if at < due_ns]
    assert max(early) < due_ns - WALK_PAUSE_NS
    assert any(at > due_ns for at, _ in bench.ledger.practised)
    assert all(began < due_ns - COMMIT_PAUSE_NS and ended < due_ns for began, ended in bench.ledger.rehearsed)
    assert max(began for began, _ in bench.ledger.rehearsed) > due_ns - COMMIT_PAUSE_NS - COMMIT_EVERY_NS - 5 * MS


@virtual_time
async def test_a_rehearsal_under_way_is_not_cut_off() -> None:
    bench = _Bench()
    gate = bench.ledger.hold("rehearse")
    keeping = asyncio.create_task(bench.warmth.keep(bench.clock.monotonic_ns() + 1000 * MS))
    await bench.ledger.called["rehearse"].wait()
    keeping.cancel()
    await asyncio.sleep(0.01)
    assert not keeping.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    assert len(bench.ledger.rehearsed) == 1


@virtual_time
async def test_a_ledger_that_is_away_is_no_matter() -> None:
    bench = _Bench()
    bench.ledger.away = True
    await bench.warmth.keep(bench.clock.monotonic_ns() + 50 * MS)
    assert len(bench.ledger.practised) > 10
