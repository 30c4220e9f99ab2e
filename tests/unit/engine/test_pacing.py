"""The account's pace: no window holds more than the venue takes, a reserve stays free, and everybody gets a turn."""

import asyncio
from collections import Counter
from datetime import timedelta
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.domain import examples
from tests.unit.engine.bench import Bench
from tests.unit.engine.fakes import accepted, refused
from tests.unit.engine.virtual_time import virtual_time

from signalbox.domain.configuration import BotConfiguration
from signalbox.domain.orders import Order, OrderStatus, Purpose, RefusalKind
from signalbox.engine.orders.pacing import Pacer
from signalbox.venues.mexc.budget import WeightBudget
from signalbox.venues.mexc.limits import LEFT_FREE

PER_SECOND = 12
FREE_FOR_EXITS_AND_CANCELS = LEFT_FREE[Purpose.ENTRY]
NOT_OPEN = RefusalKind.NOT_OPEN_YET


class Pace:
    """Counts what goes out as the adapter does, and remembers whether an entry ever took what it had to leave."""

    def __init__(self, bench: Bench) -> None:
        self.budget = WeightBudget(bench.clock, limit=PER_SECOND, window_s=1.0, reserve=0)
        bench.venue.pace = self.wait_s
        bench.venue.gate = self.sends

    def wait_s(self, purpose: Purpose, orders: int) -> float:
        """As `order_wait_s` of the adapter."""
        return self.budget.wait_s(orders, poll=False, leave=LEFT_FREE[purpose])

    def sends(self, order: Order) -> str | None:
        """An order goes out. What it breaks, if anything."""
        late = self.wait_s(order.purpose, 1)
        self.budget.spend(1)
        return f"sent {late * 1000:.0f} ms too early for the pace" if late > 0 else None

    async def other_business(self, pauses_ms: list[int]) -> None:
        """Exits and cancels, as long as the window has room for them."""
        for pause_ms in pauses_ms:
            await asyncio.sleep(pause_ms / 1000)
            if self.wait_s(Purpose.EXIT, 1) == 0:
                self.budget.spend(1)


def many(**parameters: object) -> BotConfiguration:
    """Takes every listing that comes."""
    return examples.configuration(
        quote_amount=Decimal(2),
        max_trades_per_hour=100,
        max_daily_spend=Decimal(1000),
        parameters={"max_concurrent_listings": 50, **parameters},
    )


@given(
    refusals=st.lists(st.integers(0, 20), min_size=1, max_size=5),
    apart_ms=st.integers(0, 40),
    interval_ms=st.sampled_from([85, 100, 333]),
    pauses_ms=st.lists(st.integers(0, 400), max_size=20),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@virtual_time
async def test_g5_no_second_ever_holds_more_entries_than_the_pace_leaves_room_for(
    refusals: list[int], apart_ms: int, interval_ms: int, pauses_ms: list[int]
) -> None:
    bench = Bench(max_trade_usdt=Decimal(10))
    pace = Pace(bench)
    configuration = many(burst_interval_ms=interval_ms)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(pace.other_business(pauses_ms))
        for number, count in enumerate(refusals):
            symbol = f"N{number}USDT"
            bench.venue.answers_for[symbol] = [*[refused(NOT_OPEN)] * count, accepted()]
            tasks.create_task(bench.enter(configuration, symbol))
            await asyncio.sleep(apart_ms / 1000)
    assert bench.venue.violations == []
    assert OrderStatus.FAILED not in {row.status for row in bench.orders()}, "no row says that it had to wait"
    assert len(bench.orders()) == len(bench.venue.sent)


@virtual_time
async def test_listings_that_open_together_take_turns() -> None:
    bench = Bench(max_trade_usdt=Decimal(10))
    Pace(bench)
    symbols = [f"N{number}USDT" for number in range(5)]
    for symbol in symbols:
        bench.venue.answers_for[symbol] = [refused(NOT_OPEN)] * 200
    async with asyncio.TaskGroup() as tasks:
        for symbol in symbols:
            tasks.create_task(bench.enter(many(), symbol))
    counts = Counter(order.symbol for order in bench.venue.sent)
    assert max(counts.values()) - min(counts.values()) <= 2
    assert sum(counts.values()) >= 10 * (PER_SECOND - FREE_FOR_EXITS_AND_CANCELS)


@virtual_time
async def test_a_burst_leaves_room_for_exits_and_cancels() -> None:
    bench = Bench(max_trade_usdt=Decimal(10))
    pace = Pace(bench)
    bench.venue.answers_for["NEWUSDT"] = [refused(NOT_OPEN)] * 200
    entering = asyncio.create_task(bench.enter(many(burst_interval_ms=85)))
    for _ in range(100):
        await asyncio.sleep(0.05)
        assert pace.budget.used() <= PER_SECOND - FREE_FOR_EXITS_AND_CANCELS
        assert pace.wait_s(Purpose.EXIT, FREE_FOR_EXITS_AND_CANCELS - LEFT_FREE[Purpose.EXIT]) == 0
    bench.desk.run_active = False
    await entering


@virtual_time
async def test_more_first_orders_than_a_second_takes_go_out_one_after_the_other() -> None:
    """An order whose turn does not come while it is fresh enough is recorded as unsent, and tried again."""
    bench = Bench(max_trade_usdt=Decimal(10), max_position_usdt=Decimal(10))
    Pace(bench)
    async with asyncio.TaskGroup() as tasks:
        for number in range(40):
            tasks.create_task(bench.enter(many(), f"N{number}USDT"))
    assert bench.venue.violations == []
    assert len(bench.venue.sent) == len({order.symbol for order in bench.venue.sent}) == 40
    unsent = [row for row in bench.orders() if row.status is OrderStatus.FAILED]
    assert {row.code for row in unsent} == {"ORDER_RATE"}


@virtual_time
async def test_a_pause_that_the_venue_asks_for_is_waited_for_without_a_row() -> None:
    bench = Bench()
    silent_until = bench.clock.now() + timedelta(seconds=3)
    bench.venue.pace = lambda _purpose, _orders: max(0.0, (silent_until - bench.clock.now()).total_seconds())
    bench.venue.answers = [refused(NOT_OPEN)]
    order = bench.decide(many()).order
    assert order is not None
    pacer = Pacer({order.mode: bench.venue}, bench.clock)
    assert await pacer.turn(order, bench.clock.now() + timedelta(seconds=1)) > 1.9
    assert await pacer.place(order.mode, bench.clock.now() + timedelta(seconds=1)) is None
    assert await pacer.turn(order, bench.clock.now() + timedelta(seconds=4)) == 0
    assert bench.clock.now() >= silent_until
