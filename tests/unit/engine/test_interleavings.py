"""Any interleaving of listings, outcomes, faults, stops, kill switches and crashes keeps every promise."""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from tests.unit.domain import examples
from tests.unit.engine.bench import ACCOUNT
from tests.unit.engine.fake_ledger import FINAL, Fault
from tests.unit.engine.fakes import Answer, accepted, refused, unknown
from tests.unit.engine.virtual_time import virtual_time
from tests.unit.engine.world import Process, World, world

from signalbox.domain.errors import VenueUnavailable
from signalbox.domain.ids import DecisionId
from signalbox.domain.money import ZERO
from signalbox.domain.orders import Mode, Order, Purpose, RefusalKind
from signalbox.domain.positions import ExitPlan
from signalbox.domain.runs import ACTIVE_STATUSES, RunStatus, StopMode

MAX_DAILY_SPEND = Decimal(110)
GLOBAL_CAP = Decimal(80)
MAX_LISTINGS = 3
MAX_TRADES = 6
HEARD = timedelta(milliseconds=5)
"""A kill switch is known to the ledger at once, and an order leaves in the instant of its commit."""


class Listing(Struct, frozen=True):
    """A new symbol, and how the venue answers its orders."""

    answers: tuple[Answer, ...]


class Stop(Struct, frozen=True):
    """An operator stops the run."""

    mode: StopMode


class Kill(Struct, frozen=True):
    """An operator throws or lifts the kill switch."""

    mode: str | None


class LedgerFault(Struct, frozen=True):
    """The next call of a method fails."""

    method: str
    fault: Fault


class Outage(Struct, frozen=True):
    """The ledger or the venue's look-ups are away for a while."""

    of: str
    seconds: float


class Crash(Struct, frozen=True):
    """The engine is killed and started again."""


class Pause(Struct, frozen=True):
    """Time passes."""

    seconds: float


class Start(Struct, frozen=True):
    """An operator asks for a run, if none is active."""


Step = Listing | Stop | Kill | LedgerFault | Outage | Crash | Pause | Start

ANSWERS = st.one_of(
    st.builds(
        accepted, st.sampled_from(["0", "0.3", "1"]), open_for=st.sampled_from([timedelta(0), timedelta(seconds=3)])
    ),
    st.builds(refused, st.sampled_from(RefusalKind), retry_after_s=st.sampled_from([None, 0.5, 30.0])),
    st.builds(unknown, taken=st.booleans(), seen_after=st.sampled_from([timedelta(0), timedelta(seconds=2)])),
)
WRITES = ["commit", "follow_up", "lookup", "record_submission", "record_result", "record_unsent", "settle_reservation"]
STEPS = st.one_of(
    st.builds(Listing, st.lists(ANSWERS, max_size=3).map(tuple)),
    st.builds(Listing, st.just(())),
    st.builds(Pause, st.sampled_from([0.0005, 0.001, 0.002, 0.012, 0.3, 6.0])),
    st.builds(Pause, st.sampled_from([0.0005, 0.001, 0.002, 0.012, 0.3, 6.0])),
    st.builds(Stop, st.sampled_from(StopMode)),
    st.just(Start()),
    st.builds(Kill, st.sampled_from([None, "block", "cancel", "flatten", "freeze"])),
    st.builds(LedgerFault, st.sampled_from(WRITES), st.sampled_from(Fault)),
    st.builds(Outage, st.sampled_from(["ledger", "venue"]), st.sampled_from([0.5, 7.0])),
    st.just(Crash()),
)

SPEND_FORGOTTEN = [Stop(StopMode.FLATTEN), Outage("venue", 7.0), Crash()]
"""Sold by the next engine before it had written what the dead one spent."""


class Promises:
    """Looked at whenever an order reaches the venue, and at the end."""

    def __init__(self, w: World) -> None:
        self._w = w
        self.killed_at: datetime | None = None

    def broken_by(self, order: Order) -> str | None:
        """Which promise this send breaks."""
        if order.purpose is Purpose.EXIT:
            return None
        w, run = self._w, self._w.db.runs[order.run_id] if order.run_id else None
        if run is None or run.status not in ACTIVE_STATUSES:
            return f"bought for a run that is {run and run.status}"
        if self.killed_at is not None and w.clock.now() - self.killed_at > HEARD:
            return "bought although the kill switch was on"
        sent = {sent.decision_id for sent in [*w.venue.sent, order] if sent.purpose is Purpose.ENTRY}
        rows = [w.db.reservations[decision_id] for decision_id in sent]
        held = {row.reservation.decision_id: row.reservation.amount for row in rows if row.state == "held"}
        if sum(held.values(), ZERO) + sum((row.spent for row in rows), ZERO) > MAX_DAILY_SPEND:
            return "spends more than the day allows"
        costs = {DecisionId(p.id): p.cost for p in w.db.positions.values() if p.closed_at is None}
        exposure = {key: max(held.get(key, ZERO), costs.get(key, ZERO)) for key in held.keys() | costs.keys()}
        if sum(exposure.values(), ZERO) > GLOBAL_CAP:
            return f"exposure above the cap: {exposure}"
        if len(exposure) > MAX_LISTINGS:
            return "too many listings at the same time"
        if len(held) + sum(1 for row in rows if row.state == "settled") > MAX_TRADES:
            return "too many trades in one hour"
        return None


class Story:
    """Plays the steps."""

    def __init__(self, w: World) -> None:
        self._w = w
        self._promises = Promises(w)
        w.venue.gate = self._promises.broken_by
        w.db.settings[ACCOUNT.id] = examples.settings(global_exposure_cap=GLOBAL_CAP)
        self._configuration = examples.configuration(
            max_daily_spend=MAX_DAILY_SPEND,
            max_trades_per_hour=MAX_TRADES,
            parameters={"max_concurrent_listings": MAX_LISTINGS, "exit_plan": ExitPlan(time_limit_s=Decimal(20))},
        )
        self._numbers = iter(range(1, 1000))
        self.process: Process = w.process("engine 1")

    async def play(self, steps: list[Step]) -> None:
        """One step after the other, as fast as they come."""
        await self._start()
        async with asyncio.TaskGroup() as outages:
            for step in steps:
                await self._step(step, outages)
        self._kill(None)
        await asyncio.sleep(1)

    async def _step(self, step: Step, outages: asyncio.TaskGroup) -> None:
        w = self._w
        match step:
            case Listing(answers=answers):
                symbol = f"N{next(self._numbers)}USDT"
                w.venue.answers_for[symbol].extend(answers)
                w.feed.show(symbol)
            case Pause(seconds=seconds):
                await asyncio.sleep(seconds)
            case Stop(mode=mode):
                for run in [run for run in w.db.runs.values() if run.status in ACTIVE_STATUSES]:
                    w.db.request_stop(run.id, mode)
            case Start():
                await self._start()
            case Kill(mode=mode):
                self._kill(mode)
            case LedgerFault(method=method, fault=fault):
                self.process.ledger.fail(method, fault)
            case Outage(of=of, seconds=seconds):
                outages.create_task(self._outage(of, seconds))
            case Crash():
                await self.process.kill()
                self.process = w.process(f"engine {next(self._numbers)}")

    async def _start(self) -> None:
        w = self._w
        if not any(run.status in ACTIVE_STATUSES for run in w.db.runs.values()):
            run_id = w.ask_for_run(self._configuration, next(self._numbers))
            await w.until(lambda: w.status(run_id) is not RunStatus.STARTING, within=timedelta(minutes=5))
            await asyncio.sleep(0.01)

    def _kill(self, mode: str | None) -> None:
        if mode is None:
            self._promises.killed_at = None
        elif self._promises.killed_at is None:
            self._promises.killed_at = self._w.clock.now()
        self._w.db.set_kill_switch(mode)

    async def _outage(self, of: str, seconds: float) -> None:
        ledger = self.process.ledger
        if of == "ledger":
            ledger.away = True
            await asyncio.sleep(seconds)
            ledger.away = ledger is not self.process.ledger
        else:
            self._w.venue.find_error = VenueUnavailable("503")
            await asyncio.sleep(seconds)
            self._w.venue.find_error = None

    async def end(self) -> None:
        """Wait until nothing is open any more, then compare all books."""
        w = self._w
        await w.until(
            lambda: (
                not w.held
                and all(row.status in FINAL for row in w.db.orders.values())
                and all(position.closed_at for position in w.db.positions.values())
            ),
            within=timedelta(minutes=10),
        )
        await asyncio.sleep(20)  # an engine that was refused a commit still asks whether it was written
        settled = sum((row.spent for row in w.db.reservations.values()), ZERO)
        assert settled == w.venue.bought() <= MAX_DAILY_SPEND
        assert w.venue.holdings() == {}
        for account in self.process.engine._service.accounts.values():  # none after a crash with nothing open
            usage = account.desk._capacity[Mode.SIMULATION].usage(w.clock.now())
            assert account.desk._capacity[Mode.SIMULATION]._held == {}
            assert usage.spent_today == settled
            assert account.desk.positions == {}
            assert usage.exposure == ZERO
        sent = {order.id for order in w.venue.sent}
        assert sent <= w.db.orders.keys()
        assert len(w.db.trade_log) == len(set(w.db.trade_log))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEPS, max_size=30))
@example([*[Listing(())] * 2, Pause(0.002), *[Listing(())] * 2, Pause(0.012), Pause(0.012), *SPEND_FORGOTTEN])
def test_p1_no_interleaving_breaks_a_promise(steps: list[Step]) -> None:
    _play(steps)


@virtual_time
async def _play(steps: list[Step]) -> None:
    async with world() as w:
        story = Story(w)
        await story.play(steps)
        await story.end()
