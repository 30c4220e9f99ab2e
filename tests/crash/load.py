"""Load: listings, prices and faults that come on their own, whether an engine lives or not."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.e2e.operating import Operator
from tests.e2e.world import World

from signalbox.domain.runs import StopMode

_ORDER, _TRADES = "/api/v3/order", "/api/v3/myTrades"
_TURN_S = (0.05, 0.4)
_STOPS_PERCENT = 2
SMALLEST = "0.01"
"""What is left of a position after partial sales must be sellable, or it could never be closed."""

LATE_MS = 3_000
"""How late look-ups may show an order: within the time for which "not found" proves nothing."""


_HONEST: tuple[tuple[str, str, str | None], ...] = (
    ("latency", _ORDER, "POST"),
    ("latency", _ORDER, "GET"),
    ("latency", _TRADES, "GET"),
    ("answer_late", _ORDER, "POST"),
    ("answer_late", _TRADES, "GET"),
    ("answer_lost_after_accept", _ORDER, "POST"),
    ("answer_lost_after_accept", _ORDER, "GET"),
    ("error_after_accept", _ORDER, "POST"),
    ("error_before_accept", _ORDER, "POST"),
    ("error_before_accept", _TRADES, "GET"),
    ("refuse_connection", _ORDER, "POST"),
    ("malformed_answer", _ORDER, "POST"),
    ("truncated_answer", _ORDER, "GET"),
    ("rate_limited", _ORDER, "POST"),
    ("partial_fill", "", None),
    ("fill_late", "", None),
    ("query_blind", "", None),
    ("push_missing", "spot@private.", None),
    ("push_duplicated", "spot@private.", None),
    ("disconnect", "", None),
)
_LYING = (("late_execution", "", None),) * 4
_WAITING = frozenset({"latency", "answer_late", "fill_late", "late_execution"})


def draw_fault(rng: random.Random, *, lies: bool) -> dict[str, Any]:
    """One fault that strikes an order's way once or a few times.

    `lies`: the exchange may also call an order cancelled, or not know it, and execute it after all.
    """
    kind, target, method = rng.choice((*_HONEST, *_LYING) if lies else _HONEST)
    fault: dict[str, Any] = {"kind": kind, "target": target, "times": rng.randint(1, 2)}
    if method is not None:
        fault["method"] = method
    if kind in _WAITING:
        fault["latency_ms"] = rng.randint(20, 600)
    if kind == "late_execution":
        fault["reported"] = rng.choice(("cancelled", "unknown"))
    if kind == "partial_fill":
        fault["percent_filled"] = rng.choice((0, 30, 80))
    return fault


class Load:
    """Acts every few hundred milliseconds; what it does is drawn from one seed."""

    def __init__(self, world: World, operator: Operator, rng: random.Random, *, lies: bool) -> None:
        self._world = world
        self._operator = operator
        self._rng = rng
        self._lies = lies
        self._listed = 0
        self._trading: list[str] = []

    async def run(self) -> None:
        """Act until cancelled."""
        while True:
            await self._act()
            await self._keep_running()
            await asyncio.sleep(self._rng.uniform(*_TURN_S))

    async def _act(self) -> None:
        dice = self._rng.random()
        if dice < 0.55 or not self._trading:
            await self._list(self._rng.choice((1, 1, 2, 3)))
        elif dice < 0.75:
            await self._world.control("faults", clear=True, faults=[draw_fault(self._rng, lies=self._lies)])
        elif dice < 0.9:
            symbol = self._rng.choice(self._trading[-5:])
            await self._world.control("prices", symbol=symbol, price=self._rng.choice(("0.42", "0.5", "0.6", "0.75")))
        else:
            await self._world.control("settings", order_visible_after_ms=self._rng.choice((0, LATE_MS)))

    async def _list(self, count: int) -> None:
        for _ in range(count):
            self._listed += 1
            symbol = f"K{self._listed}USDT"
            if self._rng.random() < 0.2:
                await self._world.list_later(symbol, self._rng.randint(200, 2_000), min_notional=SMALLEST)
            else:
                await self._world.list_now(symbol, path="flat", min_notional=SMALLEST)
                self._trading.append(symbol)

    async def _keep_running(self) -> None:
        """As soon as the run of a killed engine is over there is another one; now and then one is stopped."""
        if not await self._operator.start_run() and self._rng.randrange(100) < _STOPS_PERCENT:
            await self._operator.stop_run(self._rng.choice(tuple(StopMode)))


@asynccontextmanager
async def under_load(world: World, operator: Operator, rng: random.Random, *, lies: bool) -> AsyncIterator[None]:
    """Load while the block runs; what breaks it breaks the block."""
    async with asyncio.TaskGroup() as tasks:
        load = tasks.create_task(Load(world, operator, rng, lies=lies).run())
        try:
            yield
        finally:
            load.cancel()
