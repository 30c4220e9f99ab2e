"""Scheduled snipe: how far from its instant an order arrives that was meant for an announced opening.

    python -m benchmarks.scheduled_snipe [--listings N] [--offsets 0,137] [--lead-ms L] [--raw FILE]

For each clock offset of the exchange one life of `signalbox engine`, live against a simulated exchange in a process of
its own. N listings are announced ahead; the exchange stamps each order when its request is complete. What is reported
is order arrival - opening - lead at the exchange's clock, beside the error that the engine itself claims for its
measurement of that clock. The exchange's clock is known to the bench exactly: this machine's, plus the offset.
`left` is when orders left after the instant at which they were to arrive, by the engine's own clock.

The default lead is 20 ms, because the simulated exchange is busy for some milliseconds with the opening itself, and an
order that comes meanwhile is stamped late. While the engine keeps itself hot it takes a whole core: with two cores,
what else runs on the machine shows in steps of a scheduler's slice, one to two milliseconds.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
from benchmarks.engine_under_test import EngineUnderTest
from benchmarks.exchanges import Exchange

FIRST_IN_MS = 8_000
PATIENCE_S = 15.0
GOAL_US = 3_000
_LEAVING = """
SELECT 1e6 * extract(epoch FROM sent_at - due_at) AS us FROM trade_orders
WHERE due_at IS NOT NULL AND sent_at IS NOT NULL AND attempt = 1 ORDER BY due_at
"""
_ERRORS = "SELECT error_us FROM clock_offsets ORDER BY measured_at"


class Round:
    """What one life of the engine showed, in microseconds. `leaving`: when orders left after the instant at which they
    were to arrive, by the engine's own clock."""

    def __init__(self, late: list[float], errors: list[float], leaving: list[float]) -> None:
        self.late = late
        self.errors = errors
        self.leaving = leaving

    def row(self, offset_ms: int) -> str:
        """One line of the table."""
        away = sorted(abs(value) for value in self.late)
        p50, p95, most = statistics.median(away), away[int(0.95 * (len(away) - 1) + 0.5)], away[-1]
        error = statistics.median(self.errors) if self.errors else float("nan")
        verdict = "yes" if p95 <= error + GOAL_US else "NO"
        values = (statistics.median(self.late), p50, p95, most, error, statistics.median(self.leaving))
        return f"{offset_ms:>+8} ms {len(away):>4}" + "".join(f"{value:>10.0f}" for value in values) + f"   {verdict}"


async def _round(options: argparse.Namespace, offset_ms: int) -> Round:
    async with aiohttp.ClientSession() as session:
        with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as folder:
            exchange = Exchange()
            await exchange.start(session, options.seed)
            await exchange.ask("POST", "/control/settings", json={"clock_offset_ms": offset_ms})
            engine = EngineUnderTest(
                Path(folder),
                exchange.facts,
                calendar_interval_s="1",
                opening_lead_ms=str(options.lead_ms),
                warm_s=options.warm_s,
            )
            try:
                await engine.start()
                late = await _snipe(options, exchange, offset_ms)
                errors = [float(row["error_us"]) for row in await engine.fetch(_ERRORS)]
                leaving = [float(row["us"]) for row in await engine.fetch(_LEAVING)]
                return Round(late, errors, leaving)
            except BaseException:
                sys.stderr.write(engine.last_words())
                raise
            finally:
                await engine.stop()
                await exchange.stop()


async def _snipe(options: argparse.Namespace, exchange: Exchange, offset_ms: int) -> list[float]:
    """Announce all listings, wait for the last one, and say how late each first order came, in microseconds."""
    opens_at: dict[str, int] = {}
    for number in range(options.listings):
        symbol = f"SNIPE{number}USDT"
        in_ms = FIRST_IN_MS + round(number * options.every_s * 1000)
        listing = {"symbol": symbol, "open_in_ms": in_ms, "path": "flat"}
        described = await exchange.ask("POST", "/control/listings", json=listing)
        opens_at[symbol] = int(described["opens_at_ms"])
    last = max(opens_at.values()) - offset_ms + options.lead_ms
    await asyncio.sleep(max(0.0, last / 1000 - time.time()) + 1.0)  # noqa: TID251 - a bench reads the clock itself
    found = await _first_orders(exchange, set(opens_at))
    to_monotonic = time.monotonic_ns() - time.time_ns()  # noqa: TID251 - a bench reads the clock itself
    return [
        (arrived_ns - ((opens_at[symbol] - offset_ms + options.lead_ms) * 1_000_000 + to_monotonic)) / 1000
        for symbol, arrived_ns in found.items()
    ]


async def _first_orders(exchange: Exchange, symbols: set[str]) -> dict[str, int]:
    """When the first order of each symbol was there (monotonic nanoseconds)."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            requests: list[dict[str, Any]] = (await exchange.ask("GET", "/control/orders"))["requests"]
            found: dict[str, int] = {}
            for request in requests:
                found.setdefault(str(request["symbol"]), int(request["arrived_ns"]))
            if symbols <= found.keys():
                return {symbol: found[symbol] for symbol in symbols}
            await asyncio.sleep(0.1)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listings", type=int, default=20, help="per offset; at most 90")
    parser.add_argument("--every-s", type=float, default=3.0, help="seconds between two openings")
    parser.add_argument("--offsets", default="0,137", help="the exchange's clock minus ours, ms, comma-separated")
    parser.add_argument("--lead-ms", type=int, default=20, help="the configuration's opening_lead_ms")
    parser.add_argument("--warm-s", default="2", help="how long the engine stays hot before an opening")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--raw", type=Path, help="write the samples there, JSON")
    options = parser.parse_args()
    rounds = {offset: asyncio.run(_round(options, offset)) for offset in map(int, options.offsets.split(","))}
    print("order arrival - opening - lead, µs, at the exchange's clock; |…| for p50, p95 and max")
    names = ("median", "p50", "p95", "max", "own error", "left")
    print(f"{'offset':>11} {'n':>4}" + "".join(f"{name:>10}" for name in names) + "   within 3 ms")
    for offset, measured in rounds.items():
        print(measured.row(offset))
    if options.raw:
        samples = {
            str(offset): {"late_us": r.late, "error_us": r.errors, "left_us": r.leaving} for offset, r in rounds.items()
        }
        options.raw.write_text(json.dumps(samples))
    return 0


if __name__ == "__main__":
    sys.exit(main())
