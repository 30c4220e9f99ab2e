"""Kills of an engine at instants that nobody chose: while it starts, while it recovers, while it works under load."""

import asyncio
import random
from contextlib import suppress

from tests.e2e.world import World

_FENCE = "SELECT coalesce(max(fence), 0) FROM account_ownership"
_RUNNING = "SELECT count(*) FROM bot_runs WHERE status = 'running' AND last_heartbeat > $1"
PATIENCE_S = 2.5
"""How long a kill waits for a run: recovery under faults may take longer, and is worth a kill as well."""

_PHASES = ("starting", "recovering", "working")
_WEIGHTS = (2, 3, 5)


async def live_and_die(world: World, rng: random.Random) -> str:
    """Start an engine and kill it some time later; returns in which phase of its life that was."""
    (phase,) = rng.choices(_PHASES, _WEIGHTS)
    fence = await world.value(_FENCE)
    began = await world.value("SELECT clock_timestamp()")

    async def owns() -> bool:
        return bool(await world.value(_FENCE) > fence)

    async def runs() -> bool:
        return bool(await world.value(_RUNNING, began))

    await world.start_engine()
    if phase == "starting":
        await asyncio.sleep(rng.uniform(0.05, 1.0))
    elif phase == "recovering":
        await world.eventually(owns, "the engine owns the account")
        await asyncio.sleep(rng.uniform(0.0, 0.3))
    else:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await world.eventually(runs, "a run is on")
        await asyncio.sleep(rng.uniform(0.0, 1.2))
    await world.kill_engine()
    return phase
