"""The desk remembers what the account's rules said, and never longer than it is true."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from msgspec import structs
from tests.unit.domain.examples import configuration, settings, signal
from tests.unit.engine.bench import ACCOUNT, run_of
from tests.unit.engine.fakes import CountingIds, ManualClock
from tests.unit.engine.virtual_time import virtual_time

from signalbox.domain.orders import Mode
from signalbox.engine.desk import Desk, DeskRules

CONFIGURATION = configuration(parameters={"max_concurrent_listings": 100})


def _desk() -> Desk:
    rules = DeskRules(account=ACCOUNT, fence=1, code_version="test")
    desk = Desk(rules, settings(global_exposure_cap=None), ManualClock(), CountingIds())
    desk.run, desk.run_active = run_of(CONFIGURATION, 1), True
    return desk


def _throw(desk: Desk) -> None:
    desk.kill_switch = True


def _stop(desk: Desk) -> None:
    desk.run_active = False


def _cap(desk: Desk) -> None:
    desk.settings = structs.replace(desk.settings, version=2, max_trade_usdt=Decimal(1))


def _lose(desk: Desk) -> None:
    desk._capacity[Mode.SIMULATION].book(desk._clock.now().date(), Decimal(-1000))


def _spend(desk: Desk) -> None:
    desk._capacity[Mode.SIMULATION].spend_more(desk._clock.now(), Decimal(1000), counts_anew=False)


@pytest.mark.parametrize(
    ("change", "limit"),
    [
        (_throw, "kill_switch"),
        (_stop, None),
        (_cap, "max_trade_usdt"),
        (_lose, "daily_loss_limit"),
        (_spend, "max_daily_spend"),
    ],
)
def test_a_change_stops_the_very_next_entry(change: Callable[[Desk], None], limit: str | None) -> None:
    @virtual_time
    async def check() -> None:
        desk = _desk()
        desk.think_ahead()
        at = desk._clock.now()
        assert desk.on_listing(signal("AUSDT", at=at), CONFIGURATION, received_ns=0).order is not None
        desk.think_ahead()
        change(desk)
        stopped = desk.on_listing(signal("BUSDT", at=at), CONFIGURATION, received_ns=0)
        assert (stopped.order, stopped.blocked_limit) == (None, limit)

    check()


@virtual_time
async def test_a_limit_is_reached_entry_by_entry() -> None:
    desk = _desk()
    taken = 0
    while desk.on_listing(signal(f"T{taken}USDT", at=desk._clock.now()), CONFIGURATION, received_ns=0).order:
        desk.think_ahead()
        taken += 1
    assert taken == CONFIGURATION.max_trades_per_hour


@virtual_time
async def test_thinking_ahead_takes_nothing_and_needs_a_run() -> None:
    desk = _desk()
    before = desk._capacity[Mode.SIMULATION].usage(desk._clock.now())
    desk.think_ahead()
    assert desk._capacity[Mode.SIMULATION].usage(desk._clock.now()) is before
    desk.run = None
    desk.think_ahead()
