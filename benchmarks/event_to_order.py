"""Event → order: from the write of a listing's push to the socket until its order has fully arrived.

Three programs take turns, event by event, in one run, each with a simulated exchange of its own (same code, same seed,
separate process, no rate limits):

  A       bare asyncio client: no database, no checks
  B       the same plus one durable PostgreSQL commit before sending: the floor of any ledger-first design
  engine  `signalbox engine`: every check, the intent durable first (fsync on), live against the simulated exchange

Both ends are stamped by the exchange with CLOCK_MONOTONIC: right before the frame is written, and when the order's
request is complete. Prints medians, p99 and ratios; writes the raw samples as JSON when asked to.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from benchmarks.engine_under_test import EngineUnderTest

ROOT = Path(__file__).resolve().parent.parent
READY_TIMEOUT_S = 60.0
ORDER_TIMEOUT_S = 10.0
PER_ENGINE = 90
"""Most events per life of the engine: a configuration allows at most 100 trades an hour."""


class Exchange:
    """One simulated exchange in a process of its own."""

    process: asyncio.subprocess.Process
    facts: dict[str, Any]

    async def start(self, session: aiohttp.ClientSession, seed: int) -> None:
        """Start it, wait for its JSON line, switch its rate limits off and let prices stand still."""
        self._session = session
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.exchange", "--seed", str(seed),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        assert self.process.stdout is not None
        async with asyncio.timeout(READY_TIMEOUT_S):
            self.facts = json.loads(await self.process.stdout.readline())

    async def ask(self, method: str, path: str, **kwargs: Any) -> Any:
        """Call the control endpoint or public REST."""
        async with self._session.request(method, self.facts["rest"] + path, **kwargs) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def symbols(self) -> list[str]:
        """All symbols that it shows now."""
        return [ticker["symbol"] for ticker in await self.ask("GET", "/api/v3/ticker/price")]

    async def event_to_order_us(self, symbol: str) -> float:
        """Let one listing open with an immediate push; microseconds from its write to the order's arrival."""
        await self.ask(
            "POST", "/control/listings", json={"symbol": symbol, "announced": False, "path": "flat", "push_now": True}
        )
        query = "?" + urlencode({"symbol": symbol})
        deadline = asyncio.get_running_loop().time() + ORDER_TIMEOUT_S
        while not (requests := (await self.ask("GET", "/control/orders" + query))["requests"]):
            if asyncio.get_running_loop().time() > deadline:
                raise RuntimeError(f"no order for {symbol} within {ORDER_TIMEOUT_S:.0f} s")
            await asyncio.sleep(0.01)
        frames = (await self.ask("GET", "/control/events" + query))["first_frames"]
        written = min(frame["monotonic_ns"] for frame in frames)
        return float(requests[0]["arrived_ns"] - written) / 1000

    async def stop(self) -> None:
        """End the process."""
        await _stop(self.process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        async with asyncio.timeout(15):
            await process.wait()


async def _bare(exchange: Exchange, dsn: str) -> asyncio.subprocess.Process:
    account = exchange.facts["accounts"][0]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.bare_client", "--rest", exchange.facts["rest"], "--ws", exchange.facts["ws"],
        "--key", account["api_key"], "--secret", account["secret"], "--dsn", dsn,
        "--known", ",".join(await exchange.symbols()),
        stdout=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(READY_TIMEOUT_S):
        line = await process.stdout.readline()
    assert line == b"ready\n", line
    return process


async def _measure(options: argparse.Namespace) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    samples: dict[str, list[float]] = {"A": [], "B": [], "engine": []}
    stages: dict[str, list[float]] = {}
    randomness = random.Random(options.seed)  # noqa: S311 - pauses, no secrets
    async with aiohttp.ClientSession() as session:
        for life in range(options.rounds):
            with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as folder:
                exchanges = {name: Exchange() for name in samples}
                for exchange in exchanges.values():
                    await exchange.start(session, options.seed)
                engine = EngineUnderTest(Path(folder), exchanges["engine"].facts)
                try:
                    dsn = await engine.start()
                    clients = [await _bare(exchanges["A"], ""), await _bare(exchanges["B"], dsn)]
                    try:
                        await _take_turns(exchanges, samples, randomness, options.samples, life)
                        for name, values in (await engine.stages()).items():
                            stages.setdefault(name, []).extend(values)
                    finally:
                        for client in clients:
                            await _stop(client)
                except RuntimeError as error:
                    raise RuntimeError(f"{error}; the engine's last words:\n{engine.last_words()}") from error
                finally:
                    await engine.stop()
                    for exchange in exchanges.values():
                        await exchange.stop()
    return samples, stages


async def _take_turns(
    exchanges: Mapping[str, Exchange], samples: dict[str, list[float]], randomness: random.Random, count: int, life: int
) -> None:
    names = list(exchanges)
    for number in range(-3, count):
        randomness.shuffle(names)
        for name in names:
            await asyncio.sleep(randomness.uniform(0.02, 0.06))
            value = await exchanges[name].event_to_order_us(f"X{life}N{number + 3}{name[0].upper()}USDT")
            if number >= 0:
                samples[name].append(value)
        if sys.stderr.isatty():
            sys.stderr.write(f"\rlife {life + 1}: {max(0, number + 1)}/{count} events each ")


def _row(name: str, values: list[float], base: list[float]) -> str:
    p50, p99 = statistics.median(values), _p99(values)
    ratios = f"{p50 / statistics.median(base):>9.2f} {p99 / _p99(base):>9.2f}"
    return f"{name:<8}{len(values):>6} {min(values):>9.0f} {p50:>9.0f} {p99:>9.0f} {max(values):>9.0f} {ratios}"


def _p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


def main() -> int:
    """Run the bench and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=30, help="events per client and life of the engine")
    parser.add_argument("--rounds", type=int, default=6, help="lives of the engine")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--raw", type=Path, help="write the raw samples (µs) to this file")
    options = parser.parse_args()
    if not 1 <= options.samples <= PER_ENGINE:
        parser.error(f"--samples must be 1 to {PER_ENGINE}")
    samples, stages = asyncio.run(_measure(options))
    load = os.getloadavg()[0]
    sys.stdout.write(f"\nevent → order, µs ({os.cpu_count()} cores, load {load:.2f})\n")
    sys.stdout.write(f"{'':<8}{'n':>6} {'min':>9} {'p50':>9} {'p99':>9} {'max':>9} {'p50/B':>9} {'p99/B':>9}\n")
    for name, values in samples.items():
        sys.stdout.write(_row(name, values, samples["B"]) + "\n")
    sys.stdout.write("\nwhere the engine's time goes, µs (from the ledger)\n")
    for name, values in stages.items():
        sys.stdout.write(f"{name:<22}{statistics.median(values):>9.0f} p50 {_p99(values):>9.0f} p99\n")
    if options.raw:
        options.raw.write_text(json.dumps(samples))
    return 0


if __name__ == "__main__":
    sys.exit(main())
