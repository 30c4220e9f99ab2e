"""kill -9 at any instant: no order is lost, none is sent twice, and the books agree afterwards.

The engine is a process of its own against a simulated exchange and a real PostgreSQL. Each campaign kills it several
times, at the chosen instants first and at random ones after them, and restarts it. SIGNALBOX_TEST_CRASHES=N asks for N
kills; campaign K is always the same one.
"""

import os
import random
from pathlib import Path

import pytest
from tests.crash.books import differences
from tests.crash.moments import AT_RANDOM, CHOSEN, SENT_FOR_SURE, Moment
from tests.e2e.world import World, open_world

KILLS_PER_CAMPAIGN = 5
KILLS = int(os.environ.get("SIGNALBOX_TEST_CRASHES", len(CHOSEN)))  # noqa: TID251 - the tests' own setting
TIME_LIMIT_S = 2


def _campaign(number: int) -> list[Moment]:
    """The instants of a campaign."""
    rng = random.Random(f"moments {number}")  # noqa: S311 - reproducible, nothing secret
    first = number * KILLS_PER_CAMPAIGN
    kills = min(KILLS_PER_CAMPAIGN, KILLS - first)
    return [*CHOSEN[first : first + kills], *rng.choices((*CHOSEN, *AT_RANDOM * 5), k=kills)][:kills]


@pytest.mark.parametrize("number", range(-(-KILLS // KILLS_PER_CAMPAIGN)))
async def test_no_order_is_lost_doubled_or_unexplained(number: int, database_url: str, tmp_path: Path) -> None:
    rng = random.Random(f"delays {number}")  # noqa: S311 - reproducible, nothing secret
    moments = _campaign(number)
    told = " ".join(moment.__name__ for moment in moments)
    async with open_world(database_url, tmp_path) as world:
        await world.prepare(
            "--max-trades-per-hour", "100", "--max-concurrent-listings", "10", "--take-profit", "none",
            "--time-limit-s", str(TIME_LIMIT_S), "--freshness-s", "20",
        )  # fmt: skip
        await world.start_engine()
        for kill, moment in enumerate(moments):
            await world.command("run", "start", "main", "main")
            await world.control("settings", order_visible_after_ms=0)
            async with moment(world, rng, f"K{kill}USDT"):
                await world.kill_engine()
            await world.control("faults", clear=True)
            await world.start_engine()
            await _all_runs_have_failed(world, kills=kill + 1)
        await world.eventually(lambda: _at_rest(world), f"everything is settled and sold after: {told}")
        assert await differences(world) == []
        bought, sold = [await _filled(world, side) for side in ("buy", "sell")]
        assert bought == sold, "the time limit sold each position, whichever engine had bought it"
        assert bought >= sum(moment in SENT_FOR_SURE for moment in moments)
        assert await world.stop_engine() == 0


async def _all_runs_have_failed(world: World, *, kills: int) -> None:
    async def failed() -> bool:
        reasons = await world.rows("SELECT error_message FROM bot_runs WHERE status = 'failed'")
        return len(reasons) == kills and all("the engine ended while" in row["error_message"] for row in reasons)

    await world.eventually(failed, f"{kills} killed runs are failed, each with its reason")


async def _filled(world: World, side: str) -> int:
    count: int = await world.value("SELECT count(*) FROM trade_orders WHERE side = $1 AND status = 'filled'", side)
    return count


async def _at_rest(world: World) -> bool:
    """Nothing is on its way, and the time limits have sold what was bought."""
    busy = await world.value(
        "SELECT EXISTS (SELECT FROM trade_orders WHERE status IN ('pending', 'submitted'))"
        " OR EXISTS (SELECT FROM positions WHERE status = 'open')"
        " OR EXISTS (SELECT FROM reservations WHERE state = 'held')"
        " OR EXISTS (SELECT FROM intent_journal)"
    )
    return not busy
