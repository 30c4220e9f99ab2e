"""How long the engine takes to start, until a run trades, and to stop.

One database that is up already and holds the traces of earlier lives, again and again: from the start of the process to
its first sign of life in the ledger, from `signalbox run start` to a run that watches the market, and from SIGTERM to
the end of the process.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
from benchmarks import figures
from benchmarks.engine_under_test import EngineUnderTest
from benchmarks.exchanges import Exchange

PAUSE_S = 0.005
PATIENCE_S = 30.0
_ALIVE = "SELECT true FROM bot_health WHERE component_name = 'engine' AND status = 'running' AND updated_at > $1"
_RUNNING = "SELECT true FROM bot_runs WHERE status = 'running'"
_NOW = "SELECT clock_timestamp() AS now"


async def _until(engine: EngineUnderTest, statement: str, *arguments: object) -> None:
    for _ in range(round(PATIENCE_S / PAUSE_S)):
        if await engine.fetch(statement, *arguments):
            return
        await asyncio.sleep(PAUSE_S)
    raise RuntimeError(f"not so within {PATIENCE_S:g} s: {statement}")


def _ms_since(began_ns: int) -> float:
    return (time.monotonic_ns() - began_ns) / 1e6  # noqa: TID251 - a bench reads the clock itself


async def measure(options: argparse.Namespace) -> figures.Samples:
    """Milliseconds of each start, run and stop."""
    samples: figures.Samples = {"process → alive": [], "run start → trading": [], "SIGTERM → gone": []}
    with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as folder:
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(aiohttp.ClientSession())
            exchange = Exchange()
            await exchange.start(session, options.seed, "--filler", str(options.pairs))
            stack.push_async_callback(exchange.stop)
            engine = EngineUnderTest(Path(folder), exchange.facts)
            stack.push_async_callback(engine.stop)
            await engine.set_up()
            for number in range(options.rounds + 1):
                [since] = await engine.fetch(_NOW) if number else [{"now": None}]
                began_ns = time.monotonic_ns()  # noqa: TID251 - a bench reads the clock itself
                await engine.start_engine()
                if since["now"] is not None:
                    await _until(engine, _ALIVE, since["now"])
                    samples["process → alive"].append(_ms_since(began_ns))
                began_ns = time.monotonic_ns()  # noqa: TID251 - see above
                await engine.start_run()
                await _until(engine, _RUNNING)
                if number:
                    samples["run start → trading"].append(_ms_since(began_ns))
                await exchange.event_to_order_us(f"S{number}USDT")
                began_ns = time.monotonic_ns()  # noqa: TID251 - see above
                await engine.stop_engine()
                if number:
                    samples["SIGTERM → gone"].append(_ms_since(began_ns))
    return samples


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--raw", type=Path, help="write the raw samples (ms) to this file")
    options = parser.parse_args(arguments)
    samples = asyncio.run(measure(options))
    figures.lines(f"start and stop, ms, with {options.pairs} pairs ({figures.machine()})", samples)
    figures.keep(options.raw, samples)
    return 0


if __name__ == "__main__":
    sys.exit(main())
