"""Event → order: from the write of a listing's push to the socket until its order has fully arrived.

The programs take turns, event by event, in one run, each with a simulated exchange of its own (same code, same seed,
separate process, no rate limits):

  A       bare asyncio client: no database, no checks
  B       the same plus one durable PostgreSQL commit before sending: the floor of any ledger-first design
  engine  `signalbox engine`: every check, the intent durable first (fsync on), live against the simulated exchange
  warm    with --warm: another engine, hit by the same surprise one second before an announced opening, so that it is
          kept hot for that opening as it is for every one (warm_s, two seconds by default)
  ccxt    with --ccxt: ccxt's async client, its rate limiter off, without any commit, for a pair that it knows already
          and watches (it can neither watch all pairs nor buy one that it has not loaded)

Both ends are stamped by the exchange with CLOCK_MONOTONIC: right before the frame is written, and when the order's
request is complete. Prints medians, p99 and ratios; writes the raw samples as JSON when asked to.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
from benchmarks import figures
from benchmarks.engine_under_test import EngineUnderTest
from benchmarks.exchanges import ROOT, Exchange, started, stop

MOST_EVENTS = 45
"""Per life of the engine: a configuration allows at most 100 trades an hour, and a warm event costs two."""

UNCOUNTED = 3
"""The first events of each life."""

CCXT = ROOT / ".venv-conformance" / "bin" / "python"
OPENS_IN_MS = 4_000
PUSH_AHEAD_S = 1.0
_Turn = Callable[[str], Awaitable[float]]


class Life:
    """One life of every program."""

    def __init__(self, options: argparse.Namespace, number: int, folder: Path) -> None:
        self._options = options
        self._number = number
        self._folder = folder
        self._randomness = random.Random(options.seed + number)  # noqa: S311 - pauses, no secrets
        self.exchanges: dict[str, Exchange] = {}
        self.engines: dict[str, EngineUnderTest] = {}
        self.turns: dict[str, _Turn] = {}

    async def open(self, stack: AsyncExitStack) -> None:
        """Start everything; the stack ends it."""
        session = await stack.enter_async_context(aiohttp.ClientSession())
        names = [
            "A",
            "B",
            "engine",
            *(["warm"] if self._options.warm else []),
            *(["ccxt"] if self._options.ccxt else []),
        ]
        for name in names:
            exchange = self.exchanges[name] = Exchange()
            await exchange.start(session, self._options.seed)
            stack.push_async_callback(exchange.stop)
            self.turns[name] = exchange.event_to_order_us
        dsn = ""
        for name in [name for name in ("engine", "warm") if name in names]:
            engine = EngineUnderTest(self._folder / name, self.exchanges[name].facts, calendar_interval_s="1")
            self.engines[name] = engine
            stack.push_async_callback(engine.stop)
            address = await engine.start()
            dsn = dsn or address
        for name, address in (("A", ""), ("B", dsn)):
            stack.push_async_callback(stop, await self._bare(name, address))
        if "ccxt" in names:
            await self._open_ccxt(stack)

    async def _bare(self, name: str, dsn: str) -> asyncio.subprocess.Process:
        exchange = self.exchanges[name]
        account = exchange.facts["accounts"][0]
        return await started(
            sys.executable, "-m", "benchmarks.bare_client",
            "--rest", exchange.facts["rest"], "--ws", exchange.facts["ws"],
            "--key", account["api_key"], "--secret", account["secret"], "--dsn", dsn,
            "--known", ",".join(await exchange.symbols()),
        )  # fmt: skip

    async def _open_ccxt(self, stack: AsyncExitStack) -> None:
        exchange = self.exchanges["ccxt"]
        account = exchange.facts["accounts"][0]
        process = await started(
            str(CCXT), str(ROOT / "benchmarks" / "ccxt_client.py"), "known", "--fast",
            "--rest", exchange.facts["rest"], "--ws", exchange.facts["ws"],
            "--key", account["api_key"], "--secret", account["secret"],
        )  # fmt: skip
        stack.push_async_callback(stop, process)

        async def turn(symbol: str) -> float:
            assert process.stdin is not None
            assert process.stdout is not None
            await exchange.list_pair(symbol, announced=True, open_in_ms=1500)
            process.stdin.write(f"{symbol}\n".encode())
            await process.stdin.drain()
            assert await process.stdout.readline() == b"armed\n"
            [order] = await exchange.orders(symbol)
            return float(order["arrived_ns"] - await exchange.written_ns(symbol)) / 1000

        self.turns["ccxt"] = turn

    async def take_turns(self, samples: figures.Samples, events: int) -> None:
        """One event for each program, in random order with random pauses, again and again."""
        for number in range(-UNCOUNTED, events):
            round_ = f"{self._number}N{number + UNCOUNTED}"
            opening = await self._announce(round_) if "warm" in self.turns else 0.0
            names = [name for name in self.turns if name != "warm"]
            self._randomness.shuffle(names)
            for name in names:
                await self._pause()
                self._count(samples, name, number, await self.turns[name](f"X{round_}{name[0].upper()}USDT"))
            if opening:
                loop = asyncio.get_running_loop()
                await asyncio.sleep(opening - PUSH_AHEAD_S + self._randomness.uniform(-0.3, 0.3) - loop.time())
                self._count(samples, "warm", number, await self.turns["warm"](f"X{round_}WUSDT"))
                await asyncio.sleep(opening + 0.5 - loop.time())
            figures.progress(f"life {self._number + 1}: {max(0, number + 1)}/{events} events each")

    async def _announce(self, round_: str) -> float:
        """An opening for which the warm engine gets hot; when it is, by the event loop's clock."""
        opening = asyncio.get_running_loop().time() + OPENS_IN_MS / 1000
        await self.exchanges["warm"].list_pair(f"Y{round_}USDT", announced=True, open_in_ms=OPENS_IN_MS)
        return opening

    async def _pause(self) -> None:
        await asyncio.sleep(self._randomness.uniform(0.05, 0.25))

    @staticmethod
    def _count(samples: figures.Samples, name: str, number: int, value: float) -> None:
        if number >= 0:
            samples.setdefault(name, []).append(value)


async def measure(options: argparse.Namespace) -> tuple[figures.Samples, Mapping[str, figures.Samples]]:
    """All lives: the samples of each program, and the stages of each engine."""
    samples: figures.Samples = {}
    stages: dict[str, figures.Samples] = {}
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as folder:
            life = Life(options, number, Path(folder))
            async with AsyncExitStack() as stack:
                await life.open(stack)
                try:
                    await life.take_turns(samples, options.samples)
                except RuntimeError as error:
                    words = "\n".join(engine.last_words() for engine in life.engines.values())
                    raise RuntimeError(f"{error}; the engines' last words:\n{words}") from error
                for name, engine in life.engines.items():
                    for stage, values in (await engine.stages(UNCOUNTED)).items():
                        stages.setdefault(name, {}).setdefault(stage, []).extend(values)
    return {name: samples[name] for name in ("A", "B", "engine", "warm", "ccxt") if name in samples}, stages


def main(arguments: list[str] | None = None) -> int:
    """Run the bench and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=30, help="events per program and life")
    parser.add_argument("--rounds", type=int, default=6, help="lives of all programs")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--warm", action="store_true", help="add an engine that is kept hot for an opening")
    parser.add_argument("--ccxt", action="store_true", help="add ccxt (needs .venv-conformance: make conformance)")
    parser.add_argument("--raw", type=Path, help="write the raw samples (µs) to this file")
    options = parser.parse_args(arguments)
    if not 1 <= options.samples <= MOST_EVENTS:
        parser.error(f"--samples must be 1 to {MOST_EVENTS}")
    if options.ccxt and not CCXT.exists():
        parser.error("ccxt is not there: run 'make conformance' once")
    samples, stages = asyncio.run(measure(options))
    figures.table("event → order, µs", samples, "B")
    for name, values in stages.items():
        figures.lines(f"where the time of '{name}' goes, µs (from the ledger)", values)
    figures.keep(options.raw, {"samples": samples, "stages": stages})
    return 0


if __name__ == "__main__":
    sys.exit(main())
