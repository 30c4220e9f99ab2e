"""Kills of an engine at instants that nobody chose: while it starts, while it recovers, while it works under load."""

import asyncio
import random
from contextlib import suppress

from tests.e2e.world import World

_FENCE = "SELECT coalesce(max(fence), 0) FROM account_ownership"
_RUNNING = "SELECT count(*) FROM bot_runs WHERE status = 'running' AND last_heartbeat > $1"
_ALIVE = "SELECT true FROM bot_health WHERE component_name = 'engine' AND status = 'running' AND updated_at > $1"
_NOW = "SELECT clock_timestamp()"
_PHASES = ("starting", "recovering", "working")
_WEIGHTS = (2, 3, 5)
_RECOVERY_S = 0.3
_WORK_S = 1.2


class Executioner:
    """Starts engines and kills them. `pace_s` is how long the first one took until it was at work: how early others
    die is drawn in that measure, so that a slow machine kills in the same phases as a fast one."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world = world
        self._rng = rng
        self.pace_s = 0.0

    async def measure(self) -> None:
        """Start the first engine, see how long that takes, and kill it."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self.start_to_stay()
        self.pace_s = loop.time() - began
        await self._world.kill_engine()

    async def strike(self) -> str:
        """Start an engine and kill it some time later; returns in which phase of its life that was."""
        (phase,) = self._rng.choices(_PHASES, _WEIGHTS)
        fence: int = await self._world.value(_FENCE)
        began = await self._world.value(_NOW)
        await self._world.start_engine()
        if phase == "starting":
            await asyncio.sleep(self._rng.uniform(0.0, self.pace_s))
        elif phase == "recovering":
            await self._world.eventually(lambda: self._owned_since(fence), "the engine owns the account")
            await asyncio.sleep(self._rng.uniform(0.0, _RECOVERY_S))
        else:
            with suppress(TimeoutError):  # a recovery that takes longer is worth a kill as well
                async with asyncio.timeout(3 * self.pace_s):
                    await self._world.eventually(lambda: self._world.value(_RUNNING, began), "a run is on")
            await asyncio.sleep(self._rng.uniform(0.0, _WORK_S))
        await self._world.kill_engine()
        return phase

    async def start_to_stay(self) -> None:
        """Start an engine and let it live; returns when it is at work."""
        began = await self._world.value(_NOW)
        await self._world.start_engine()
        await self._world.eventually(lambda: self._world.value(_ALIVE, began), "the engine is at work")

    async def _owned_since(self, fence: int) -> bool:
        return bool(await self._world.value(_FENCE) > fence)
