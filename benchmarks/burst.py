"""Fifty listings in one instant: one push shows them all.

`signalbox engine` with our own counting of the account's pace lifted (MEXC takes 12 orders a second, which would
stretch fifty orders over seconds; the simulated exchange does not enforce it either), everything else as it is. The
day's spend is limited to what forty entries and not a cent more may cost. Prints how far apart the first and the last
order were on the wire (by the engine's own stamps) and at the exchange, which works them off one by one; fails when a
limit was exceeded, or a listing was left undecided.
"""

import argparse
import asyncio
import sys
import tempfile
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path

import aiohttp
from benchmarks import figures
from benchmarks.engine_under_test import UNPACED_ENGINE, EngineUnderTest
from benchmarks.exchanges import Exchange

LISTINGS = 50
ALLOWED = 40
ENTRY = Decimal("10.02")
"""What one entry of 10 USDT reserves: with the highest fee."""

GOAL_MS = 50
FIRST_TO_LAST = "first → last order on the wire"
PAIRS = 1500
"""Other pairs on the exchange: more than a twentieth of all it shows at once is no listing but a hole."""

_DECIDED = "SELECT decision, count(*) AS n FROM strategy_decisions GROUP BY 1"
_BOOKS = """
SELECT coalesce(sum(CASE state WHEN 'held' THEN amount WHEN 'settled' THEN settled_amount ELSE 0 END), 0) AS total
FROM reservations
"""
_SENT = """
SELECT 1e3 * extract(epoch FROM max(decided_at) - min(received_at)) AS decided,
       1e3 * extract(epoch FROM max(durable_at) - min(received_at)) AS durable,
       1e3 * extract(epoch FROM max(sent_at) - min(sent_at)) AS spread
FROM trade_orders WHERE purpose = 'entry' AND sent_at IS NOT NULL AND symbol LIKE $1
"""
_RESERVED = "SELECT coalesce(sum(amount), 0) AS total FROM reservations"


class Burst:
    """One life of the engine, one burst."""

    def __init__(self, number: int, seed: int) -> None:
        self.spread: dict[str, float] = {}
        self.faults: list[str] = []
        self._name = f"B{number}N%"
        self._symbols = [f"B{number}N{n}USDT" for n in range(LISTINGS)]
        self._seed = seed

    async def run(self, folder: Path) -> None:
        """Start everything, let the listings open with one push, look at the books."""
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(aiohttp.ClientSession())
            exchange = Exchange()
            await exchange.start(session, self._seed, "--filler", str(PAIRS))
            stack.push_async_callback(exchange.stop)
            engine = EngineUnderTest(
                folder, exchange.facts, command=UNPACED_ENGINE,
                max_daily_spend=str(ALLOWED * ENTRY), ticker_interval_s="3600",
            )  # fmt: skip
            stack.push_async_callback(engine.stop)
            await engine.start()
            await exchange.ask("POST", "/control/push")  # the list before was whole
            await exchange.event_to_order_us("WARMUSDT")
            await asyncio.sleep(1)
            for symbol in self._symbols[:-1]:
                await exchange.list_pair(symbol)
            await exchange.list_pair(self._symbols[-1], push_now=True)
            await self._look(exchange, engine)

    async def _look(self, exchange: Exchange, engine: EngineUnderTest) -> None:
        async with asyncio.timeout(15):
            while True:
                decided = {row["decision"]: row["n"] for row in await engine.fetch(_DECIDED)}
                if sum(decided.values()) >= LISTINGS + 1:
                    break
                await asyncio.sleep(0.1)
        await asyncio.sleep(1)
        requests = (await exchange.ask("GET", "/control/orders"))["requests"]
        arrived = [r["arrived_ns"] for r in requests if r["symbol"] in self._symbols and r["side"] == "BUY"]
        [sent] = await engine.fetch(_SENT, self._name)
        self.spread = {
            "event → last decision": float(sent["decided"]),
            "event → last intent durable": float(sent["durable"]),
            FIRST_TO_LAST: float(sent["spread"]),
            "first → last order at the exchange": (max(arrived) - min(arrived)) / 1e6,
            "event → last order at the exchange": (max(arrived) - await exchange.written_ns(self._symbols[0])) / 1e6,
        }
        [books], [reserved] = await engine.fetch(_BOOKS), await engine.fetch(_RESERVED)
        limit = ALLOWED * ENTRY
        self._expect("decisions", sum(decided.values()), LISTINGS + 1)
        self._expect("orders with the one before", len(arrived) + 1, ALLOWED)
        self._expect("executed", decided.get("execute", 0), ALLOWED)
        if reserved["total"] > limit or books["total"] > limit:
            self.faults.append(f"reserved {reserved['total']} and spent {books['total']} of {limit}")

    def _expect(self, what: str, found: int, expected: int) -> None:
        if found != expected:
            self.faults.append(f"{what}: {found}, expected {expected}")


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--raw", type=Path, help="write the raw samples (ms) to this file")
    options = parser.parse_args(arguments)
    bursts = [Burst(number, options.seed) for number in range(options.rounds)]
    for burst in bursts:
        with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as folder:
            asyncio.run(burst.run(Path(folder)))
    spread = {name: [burst.spread[name] for burst in bursts] for name in bursts[0].spread}
    figures.lines(f"{LISTINGS} listings in one push, {ALLOWED - 1} within the limit, ms ({figures.machine()})", spread)
    faults = [fault for burst in bursts for fault in burst.faults]
    print("limits: " + ("; ".join(faults) if faults else "none exceeded by a cent, every listing decided"))
    reached = sum(ms <= GOAL_MS for ms in spread[FIRST_TO_LAST])
    print(f"last order within {GOAL_MS} ms of the first: {reached} of {len(bursts)} bursts")
    figures.keep(options.raw, {"ms": spread, "faults": faults})
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
