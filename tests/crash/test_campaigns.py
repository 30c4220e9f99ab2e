"""kill -9 under load, again and again: nothing is lost, nothing doubled, and every position is sold by its plan.

Listings, prices and faults come on their own while engines are started and killed, also in the middle of their start
and of their recovery; nothing waits for the books to be at rest in between. At the end the faults stop, a last engine
settles everything, and the ledger is compared with the exchange.

In every second campaign the exchange also lies: it executes orders after all that it called cancelled or unknown. Those
campaigns buy with MARKET orders only: a limit order after a MARKET order that is called cancelled would be a second
purchase, and nobody could have known.

SIGNALBOX_TEST_CRASHES=N asks for N kills (`make crash N=500`); campaign K always draws the same numbers.
"""

import os
import random
from pathlib import Path

import pytest
from tests.crash.books import at_rest, differences
from tests.crash.kills import Executioner
from tests.crash.load import under_load
from tests.e2e.operating import open_operator
from tests.e2e.world import open_world

KILLS_PER_CAMPAIGN = 25
KILLS = int(os.environ.get("SIGNALBOX_TEST_CRASHES", "200"))  # noqa: TID251 - the tests' own setting
TIME_LIMIT_S = "2"
PATIENCE_S = 90.0


@pytest.mark.campaign
@pytest.mark.parametrize("number", range(-(-KILLS // KILLS_PER_CAMPAIGN)))
async def test_books_agree_after_kills_under_load(number: int, database_url: str, tmp_path: Path) -> None:
    rng = random.Random(f"campaign {number}")  # noqa: S311 - reproducible, nothing secret
    kills = min(KILLS_PER_CAMPAIGN, KILLS - number * KILLS_PER_CAMPAIGN)
    died: list[str] = []
    lies = number % 2 == 1
    async with open_world(database_url, tmp_path) as world, open_operator(world) as operator:
        await world.prepare(
            "--max-trades-per-hour", "100", "--max-concurrent-listings", "10", "--max-daily-spend", "5000",
            "--take-profit", "0.10", "--stop-loss", "0.10", "--time-limit-s", TIME_LIMIT_S, "--freshness-s", "20",
            "--order-style", "market" if lies else "market_then_ioc",
        )  # fmt: skip
        async with under_load(world, operator, rng, lies=lies):
            executioner = Executioner(world, rng)
            await executioner.measure()
            while len(died) < kills:
                died.append(await executioner.strike())
        told = f"campaign {number}: killed {len(died)} times, while {' '.join(died)}"
        await world.calm()
        await operator.stop_run()
        await executioner.start_to_stay()
        await world.eventually(lambda: at_rest(world), f"everything is settled and sold; {told}", PATIENCE_S)
        assert await differences(world) == [], told
        bought = await world.value("SELECT count(*) FROM trade_orders WHERE side = 'buy' AND status = 'filled'")
        assert bought >= kills // 10, f"the load bought only {bought} times, so little was proved; {told}"
        assert await world.stop_engine() == 0
