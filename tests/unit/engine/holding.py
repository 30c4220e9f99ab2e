"""A bench that bought 50 NEW at 0.5 and watches the position."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from msgspec import Struct
from tests.unit.domain import examples
from tests.unit.engine.bench import Bench
from tests.unit.engine.fake_ledger import OrderRow

from signalbox.domain.orders import OrderStatus, Purpose
from signalbox.domain.positions import ExitPlan, Position
from signalbox.domain.strategies.exits import ExitInputs, decide_exit, exit_shape

SYMBOL = "NEWUSDT"


class Held(Struct):
    """A position under watch."""

    bench: Bench
    position: Position
    watch: asyncio.Task[None]

    def push(self, price: str | None) -> None:
        """The stream tells a price."""
        self.bench.market.push(SYMBOL, None if price is None else Decimal(price))

    def sales(self) -> list[OrderRow]:
        """The exit orders as they were written."""
        return self.bench.orders(Purpose.EXIT)

    def sold(self) -> list[tuple[OrderStatus, Decimal | int | None, Decimal | None]]:
        """Status, quantity and limit price of the exit orders."""
        return [(row.status, row.order.quantity, row.order.limit_price) for row in self.sales()]

    def alerts(self) -> dict[str, str]:
        """Open alerts by kind."""
        return {kind: text for (kind, _), (_, text) in self.bench.journal.alerts.items()}

    async def until(self, condition: Callable[[], object], within_s: float = 60) -> None:
        """Wait, a virtual millisecond at a time, until something is true."""
        for _ in range(round(within_s * 1000)):
            if condition():
                return
            await asyncio.sleep(0.001)
        raise AssertionError(f"not within {within_s} s")

    async def closed(self, within_s: float = 60) -> None:
        """Wait for the end of the watch."""
        async with asyncio.timeout(within_s):
            await self.watch


@asynccontextmanager
async def holding(plan: ExitPlan, **instrument: Any) -> AsyncIterator[Held]:
    """Watch a position with this plan; at the end every decision is replayed from its stored inputs, and the venue
    never saw more sold than was held."""
    bench = Bench()
    if instrument:
        bench.market.known[SYMBOL] = examples.instrument(SYMBOL, **instrument)
    await bench.enter(examples.configuration(parameters={"exit_plan": plan}))
    (position,) = bench.desk.positions.values()
    watch = asyncio.create_task(bench.exits.watch(position.id))
    held = Held(bench, position, watch)
    try:
        yield held
    finally:
        watch.cancel()
        await asyncio.wait([watch])
    assert bench.venue.violations == []
    assert min(bench.venue.holdings().values(), default=Decimal(0)) >= 0
    _replay(bench)


def _replay(bench: Bench) -> None:
    for row in bench.orders(Purpose.EXIT):
        decision = bench.db.decisions[row.order.decision_id].decision
        assert isinstance(decision.inputs, ExitInputs)
        verdict = decide_exit(decision.inputs)
        assert verdict is not None
        assert (verdict.rule, verdict.reason, verdict.checks) == (
            decision.cause.exit_rule,
            decision.reason,
            decision.checks,
        )
        shape = exit_shape(decision.inputs, verdict)
        assert shape is not None
        order = row.order
        assert (shape.order_type, shape.quantity, shape.limit_price) == (
            order.order_type,
            order.quantity,
            order.limit_price,
        )
