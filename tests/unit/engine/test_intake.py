"""One signal per listing, one entry at a time, and never two buys, whatever the sources say in whatever order."""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from tests.unit.domain import examples
from tests.unit.engine.fake_ledger import FINAL
from tests.unit.engine.fakes import START, Answer, accepted, refused, unknown
from tests.unit.engine.virtual_time import virtual_time
from tests.unit.engine.world import World, world

from signalbox.domain.listings import ListingState
from signalbox.domain.money import ZERO
from signalbox.domain.orders import Order, OrderStatus, Purpose, RefusalKind
from signalbox.domain.positions import ExitPlan
from signalbox.domain.signals import DetectionSource, ListingSignal, Sighting
from signalbox.engine.sniper.intake import RELIST_GAP, Intake

SYMBOL = "SOONUSDT"


class Announce(Struct, frozen=True):
    """The calendar says that it opens so many seconds from now; `also`: another source says something else."""

    in_s: float
    also: float | None = None


class TakeBack(Struct, frozen=True):
    """Nobody announces it any more."""


class Trades(Struct, frozen=True):
    """Another source sees it trade."""

    source: DetectionSource
    price: bool


class Restart(Struct, frozen=True):
    """The engine is killed and started again, with a new run."""


class Wait(Struct, frozen=True):
    """Time passes."""

    seconds: float


Step = Announce | TakeBack | Trades | Restart | Wait

STEPS = st.one_of(
    st.builds(Announce, st.sampled_from([0.2, 0.6, 1.0, 3.0]), st.sampled_from([None, 0.8, 2.0])),
    st.just(TakeBack()),
    st.builds(Trades, st.sampled_from([DetectionSource.WEBSOCKET, DetectionSource.TICKER_DIFF]), st.booleans()),
    st.just(Restart()),
    st.builds(Wait, st.sampled_from([0.05, 0.3, 0.55, 2.0, 11.0])),
    st.builds(Wait, st.sampled_from([0.05, 0.3, 0.55, 2.0, 11.0])),
)
ANSWERS = st.one_of(
    st.builds(refused, st.sampled_from(RefusalKind)),
    st.builds(accepted, st.sampled_from(["0", "0.4", "1"])),
    st.builds(unknown, taken=st.booleans(), seen_after=st.sampled_from([timedelta(0), timedelta(seconds=2)])),
)


class Story:
    """Plays what the sources say, as a feed would report it, and watches every send."""

    def __init__(self, w: World) -> None:
        self._w = w
        self._numbers = iter(range(1, 1000))
        self._configuration = examples.configuration(parameters={"exit_plan": ExitPlan(), "warm_s": ZERO})
        w.venue.gate = self._broken_by
        self._process = w.process()

    async def begin(self) -> None:
        """A run that watches."""
        await self._w.running(self._configuration, next(self._numbers))

    def _broken_by(self, order: Order) -> str | None:
        others = [row for row in self._w.db.orders_of(Purpose.ENTRY) if row.order.id != order.id]
        if any(row.status is OrderStatus.FILLED for row in others):
            return "bought twice"
        under_way = {row.order.decision_id for row in others if row.status not in FINAL}
        return "two entries at a time" if under_way - {order.decision_id} else None

    async def play(self, steps: list[Step]) -> None:
        """One step after the other."""
        async with asyncio.TaskGroup() as reports:
            for step in steps:
                await self._step(step, reports)
            await asyncio.sleep(30)

    async def _step(self, step: Step, reports: asyncio.TaskGroup) -> None:
        w = self._w
        match step:
            case Announce(in_s=in_s, also=also):
                opens_at = w.clock.now() + timedelta(seconds=in_s)
                other = None if also is None else w.clock.now() + timedelta(seconds=also)
                w.feed.announce(SYMBOL, opens_at, disputed={} if other is None else {"exchange_info": other})
                for instant in {opens_at, other or opens_at}:
                    reports.create_task(self._report(instant))
            case TakeBack():
                w.feed.announce(SYMBOL, START, state=ListingState.CANCELLED)
            case Trades(source=source, price=price):
                w.feed.show(SYMBOL, source=source, price=Decimal("0.5") if price else None)
            case Restart():
                await self._process.kill()
                self._process = w.process(f"engine {next(self._numbers)}")
                await self.begin()
            case Wait(seconds=seconds):
                await asyncio.sleep(seconds)

    async def _report(self, opens_at: datetime) -> None:
        w = self._w
        await asyncio.sleep(max(0.0, (opens_at - w.feed.ahead - w.clock.now()).total_seconds()))
        listing = w.feed.listings[SYMBOL]
        times = {listing.opens_at, *listing.disputed.values()}
        if listing.state is ListingState.SCHEDULED and opens_at in times:
            w.feed.show(SYMBOL, source=DetectionSource.CALENDAR, listing_time=opens_at)


@given(st.lists(STEPS, max_size=12), st.lists(ANSWERS, max_size=6))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@virtual_time
async def test_one_listing_never_has_two_entries_and_is_never_bought_twice(
    steps: list[Step], answers: list[Answer]
) -> None:
    async with world() as w:
        w.venue.answers_for[SYMBOL].extend(answers)
        story = Story(w)
        await story.begin()
        await story.play(steps)
        rows = w.db.orders_of(Purpose.ENTRY)
        assert sum(row.status is OrderStatus.FILLED for row in rows) <= 1
        assert all(row.status in FINAL for row in rows)
        assert w.held == ZERO


class Memory:
    """An intake, and what it took for a listing."""

    def __init__(self) -> None:
        self.taken: list[Sighting] = []
        self.intake = Intake(
            freshness=timedelta(seconds=10),
            decided=(),
            by_our_clock=lambda instant: instant,
            on_signal=self._take,
            on_evidence=lambda *_: None,
        )

    def _take(self, signal: ListingSignal, sighting: Sighting) -> None:
        self.taken.append(sighting)
        self._signal = signal

    def sees(self, source: DetectionSource, after: timedelta, **changes: Any) -> int:
        """A source sees the symbol so long after the start. How many listings that made by now."""
        at = START + after
        self.intake.on_sighting(Sighting(symbol=SYMBOL, source=source, seen_at=at, received_ns=0, **changes))
        return len(self.taken)

    def ended(self, *, bought: bool) -> None:
        """The entry of the last one has ended."""
        self.intake.ended(self._signal, bought=bought)


@pytest.mark.parametrize("bought", [True, False])
def test_a_source_that_was_away_for_hours_makes_no_listing_of_an_old_one(bought: bool) -> None:
    """Websocket down, or the address banned: what was listed meanwhile is new to this source only."""
    memory = Memory()
    assert memory.sees(DetectionSource.TICKER_DIFF, timedelta(0)) == 1
    memory.ended(bought=bought)
    assert memory.sees(DetectionSource.WEBSOCKET, RELIST_GAP * 3, price=Decimal(1)) == 1
    assert memory.sees(DetectionSource.CALENDAR, RELIST_GAP * 3, listing_time=START) == 1


def test_a_market_that_is_announced_anew_or_seen_anew_by_the_same_source_is_a_relist() -> None:
    announced, seen = Memory(), Memory()
    for memory in (announced, seen):
        assert memory.sees(DetectionSource.TICKER_DIFF, timedelta(0)) == 1
        memory.ended(bought=True)
    later = RELIST_GAP * 2
    assert announced.sees(DetectionSource.CALENDAR, later, listing_time=START + later) == 2
    assert seen.sees(DetectionSource.TICKER_DIFF, later) == 2
