"""Memory over a simulated day: the engine's resident set, with time running fast for engine and exchange alike.

The engine trades a listing every --every-min minutes beside 500 other pairs, holds it for some minutes and sells it,
reads its sources as often as always, and writes its heartbeat every second, all in fast time
(`benchmarks.fast_time`): a day at --speed 30 takes 48 minutes. Reported: the resident set at the start of trading, at
the end, its maximum, and the slope of a straight line through the second half.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import msgspec
import psutil
from benchmarks import figures
from benchmarks.engine_under_test import UNPACED_ENGINE, EngineUnderTest
from benchmarks.exchanges import Exchange
from benchmarks.fast_time import Pace

GOAL_MB = 150
MB = 1024 * 1024
_BOUGHT = "SELECT count(*) AS n FROM trade_orders WHERE purpose = 'entry' AND status = 'filled'"


async def measure(options: argparse.Namespace) -> tuple[list[tuple[float, float]], int]:
    """Fast hours and megabytes, and how many listings were bought."""
    pace = Pace.from_now(options.speed)
    fast = ("--pace", msgspec.json.encode(pace).decode())
    points: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as folder:
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(aiohttp.ClientSession())
            exchange = Exchange()
            every = ("--every-min", str(options.every_min))
            await exchange.start(session, options.seed, "--filler", str(options.pairs), *every, *fast)
            stack.push_async_callback(exchange.stop)
            engine = EngineUnderTest(
                Path(folder), exchange.facts, command=(*UNPACED_ENGINE, *fast), time_limit_s="300", freshness_s="60"
            )
            stack.push_async_callback(engine.stop)
            await engine.start()
            assert engine.process is not None
            watched = psutil.Process(engine.process.pid)
            began_ns = pace.passed_ns()
            while (hours := (pace.passed_ns() - began_ns) / 3.6e12) < options.hours:
                points.append((hours, watched.memory_info().rss / MB))
                figures.progress(f"{hours:.1f} of {options.hours:g} h: {points[-1][1]:.0f} MB")
                await asyncio.sleep(1)
            [bought] = await engine.fetch(_BOUGHT)
    return points, int(bought["n"])


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--speed", type=float, default=30)
    parser.add_argument("--every-min", type=float, default=15)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--raw", type=Path, help="write the samples (hours, MB) to this file")
    options = parser.parse_args(arguments)
    points, bought = asyncio.run(measure(options))
    sizes = [size for _, size in points]
    late = points[len(points) // 2 :]
    slope = statistics.linear_regression([hour for hour, _ in late], [size for _, size in late]).slope
    print(f"\nmemory over {options.hours:g} h at {options.speed:g} times the speed ({figures.machine()})")
    print(f"{bought} listings bought and sold beside {options.pairs} other pairs")
    print(f"start {sizes[0]:.1f} MB, end {sizes[-1]:.1f}, maximum {max(sizes):.1f} (goal: below {GOAL_MB})")
    print(f"second half: {slope * 24:+.2f} MB a day")
    figures.keep(options.raw, points)
    return 0 if max(sizes) < GOAL_MB else 1


if __name__ == "__main__":
    sys.exit(main())
