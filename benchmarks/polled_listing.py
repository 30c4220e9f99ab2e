"""A listing that nobody pushes: found by reading the exchange's lists again and again.

The programs take turns, event by event, in one run, each with a simulated exchange of its own that never pushes
mini-tickers:

  bare+commit  the bare client with one durable commit; reads the list of prices every --interval-s
  engine       `signalbox engine`, the same interval (one second is its default)
  ccxt         with --ccxt: reads the markets in a loop, limiter off: as fast as it can
  ccxt as is   with --ccxt: the same with its own rate limiter, as it comes

Measured from the request that lists the pair to the arrival of its order, both stamped on this machine's monotonic
clock. Where in its interval a poller is when the pair appears is chance, so both polling programs wait half an interval
on average; what each adds is in the second table: from the answer that shows the pair to its order on the wire.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
from benchmarks import figures
from benchmarks.engine_under_test import EngineUnderTest
from benchmarks.event_to_order import CCXT
from benchmarks.exchanges import ROOT, Exchange, started, stop

UNCOUNTED = 2
_LATENCY = """
SELECT 1e6 * extract(epoch FROM sent_at - received_at) AS us FROM trade_orders
WHERE sent_at IS NOT NULL AND purpose = 'entry' ORDER BY created_at OFFSET $1
"""


async def _bare(exchange: Exchange, dsn: str, interval_s: float) -> asyncio.subprocess.Process:
    account = exchange.facts["accounts"][0]
    return await started(
        sys.executable, "-m", "benchmarks.bare_client", "--poll-s", str(interval_s), "--dsn", dsn,
        "--rest", exchange.facts["rest"], "--ws", exchange.facts["ws"],
        "--key", account["api_key"], "--secret", account["secret"], "--known", ",".join(await exchange.symbols()),
    )  # fmt: skip


async def _ccxt(exchange: Exchange, *more: str) -> asyncio.subprocess.Process:
    account = exchange.facts["accounts"][0]
    return await started(
        str(CCXT), str(ROOT / "benchmarks" / "ccxt_client.py"), "poll", *more,
        "--rest", exchange.facts["rest"], "--ws", exchange.facts["ws"],
        "--key", account["api_key"], "--secret", account["secret"],
    )  # fmt: skip


async def measure(options: argparse.Namespace) -> tuple[figures.Samples, figures.Samples]:
    """From listing to order, and from answer to wire, of each program."""
    samples: figures.Samples = {}
    names = ["bare+commit", "engine", *(["ccxt", "ccxt as is"] if options.ccxt else [])]
    randomness = random.Random(options.seed)  # noqa: S311 - pauses, no secrets
    with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as folder:
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(aiohttp.ClientSession())
            exchanges = {name: Exchange() for name in names}
            for exchange in exchanges.values():
                await exchange.start(session, options.seed, "--silent", "--filler", str(options.pairs))
                stack.push_async_callback(exchange.stop)
            engine = EngineUnderTest(Path(folder), exchanges["engine"].facts, ticker_interval_s=str(options.interval_s))
            stack.push_async_callback(engine.stop)
            dsn = await engine.start()
            programs = [await _bare(exchanges["bare+commit"], dsn, options.interval_s)]
            if options.ccxt:
                programs += [await _ccxt(exchanges["ccxt"], "--fast"), await _ccxt(exchanges["ccxt as is"])]
            for program in programs:
                stack.push_async_callback(stop, program)
            for number in range(-UNCOUNTED, options.samples):
                randomness.shuffle(names)
                for name in names:
                    await asyncio.sleep(randomness.uniform(0, options.interval_s))
                    value = await _one(exchanges[name], f"P{number + UNCOUNTED}{name[-1].upper()}USDT")
                    if number >= 0:
                        samples.setdefault(name, []).append(value)
                figures.progress(f"{max(0, number + 1)}/{options.samples} events each")
            added = [float(row["us"]) for row in await engine.fetch(_LATENCY, UNCOUNTED)]
            programs[0].terminate()
            assert programs[0].stdout is not None
            bare = [float(line) for line in (await programs[0].stdout.read()).split()][UNCOUNTED:]
    return {name: samples[name] for name in sorted(samples)}, {"bare+commit": bare, "engine": added}


async def _one(exchange: Exchange, symbol: str) -> float:
    began_ns = time.monotonic_ns()  # noqa: TID251 - a bench reads the clock itself
    await exchange.list_pair(symbol)
    [order] = await exchange.orders(symbol)
    return float(order["arrived_ns"] - began_ns) / 1000


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=60, help="listings per program, at most 90")
    parser.add_argument("--interval-s", type=float, default=1.0)
    parser.add_argument("--pairs", type=int, default=0, help="further pairs that the exchange shows")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--ccxt", action="store_true", help="add ccxt (needs .venv-conformance: make conformance)")
    parser.add_argument("--raw", type=Path, help="write the raw samples (µs) to this file")
    options = parser.parse_args(arguments)
    found, added = asyncio.run(measure(options))
    figures.table(f"listing → order by polling every {options.interval_s:g} s, µs", found, "bare+commit")
    figures.table("of that: from the answer in hand to the order on the wire, µs", added, "bare+commit")
    figures.keep(options.raw, {"found": found, "added": added})
    return 0


if __name__ == "__main__":
    sys.exit(main())
