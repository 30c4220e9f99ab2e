"""kill -9 at each named instant: no order is lost, none is sent twice, and the books agree afterwards.

The engine is a process of its own against a simulated exchange and a real PostgreSQL. After each kill the next engine
settles what was left, on the same ledger and the same exchange, and starts anew.
"""

import random
from pathlib import Path

import pytest
from tests.crash.books import at_rest, differences
from tests.crash.moments import MAY_BE_MISSED, NAMED, NEVER_SENT, Moment
from tests.e2e.operating import Operator, open_operator
from tests.e2e.world import World, open_world

GROUPS = 3
TIME_LIMIT_S = 2


@pytest.mark.parametrize("group", range(GROUPS))
async def test_no_order_is_lost_doubled_or_unexplained(group: int, database_url: str, tmp_path: Path) -> None:
    rng = random.Random(f"delays {group}")  # noqa: S311 - reproducible, nothing secret
    moments = NAMED[group::GROUPS]
    told = " ".join(moment.__name__ for moment in moments)
    async with open_world(database_url, tmp_path) as world, open_operator(world) as operator:
        await world.prepare(
            "--max-trades-per-hour", "100", "--max-concurrent-listings", "10", "--take-profit", "none",
            "--time-limit-s", str(TIME_LIMIT_S), "--freshness-s", "20",
            "--calendar-interval-s", "1", "--take-profit-level", "0.20:0.5",
        )  # fmt: skip
        await world.start_engine()
        for number, moment in enumerate(moments):
            await _run(world, operator)
            async with moment(world, rng, f"K{number}USDT"):
                await world.kill_engine()
            await world.calm()
            await world.start_engine()
        await world.eventually(lambda: at_rest(world), f"everything is settled and sold after: {told}")
        assert await differences(world) == [], told
        await _runs_failed_with_their_reason(world, kills=len(moments))
        for number, moment in enumerate(moments):
            await _ended_as_it_must(world, moment, f"K{number}USDT")
        assert await world.stop_engine() == 0


async def _run(world: World, operator: Operator) -> None:
    """A new run, as soon as the engine has ended the one that was killed."""

    async def running() -> bool:
        await operator.start_run()
        return bool(
            await world.value("SELECT true FROM bot_runs WHERE status = 'running' AND last_heartbeat > $1", began)
        )

    began = await world.value("SELECT clock_timestamp()")
    await world.eventually(running, "a new run is on")


async def _runs_failed_with_their_reason(world: World, *, kills: int) -> None:
    reasons = await world.rows("SELECT error_message FROM bot_runs WHERE status = 'failed'")
    assert len(reasons) == kills
    assert all("the engine ended while" in row["error_message"] for row in reasons)


async def _ended_as_it_must(world: World, moment: Moment, symbol: str) -> None:
    bought, sold = [
        await world.value(
            "SELECT coalesce(sum(executed_quantity), 0) FROM trade_orders WHERE symbol = $1 AND side = $2", symbol, side
        )
        for side in ("buy", "sell")
    ]
    assert bought == sold, f"{moment.__name__}: the time limit sells what was bought, whichever engine had bought it"
    if moment in NEVER_SENT:
        assert await world.sent_orders(symbol) == [], moment.__name__
    elif moment not in MAY_BE_MISSED:
        assert bought > 0, f"{moment.__name__}: the exchange had taken the order"
