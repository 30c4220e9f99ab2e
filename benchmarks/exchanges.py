"""The benches' hands on a simulated exchange in a process of its own."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp

ROOT = Path(__file__).resolve().parent.parent
READY_TIMEOUT_S = 60.0
ORDER_TIMEOUT_S = 15.0


class Exchange:
    """One simulated exchange."""

    process: asyncio.subprocess.Process
    facts: dict[str, Any]

    async def start(self, session: aiohttp.ClientSession, seed: int, *options: str) -> None:
        """Start it with further options of `benchmarks.exchange` and wait for its JSON line."""
        self._session = session
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.exchange", "--seed", str(seed), *options,
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

    async def list_pair(self, symbol: str, **listing: Any) -> None:
        """A surprise listing that trades now, unless `listing` says otherwise."""
        await self.ask(
            "POST", "/control/listings", json={"symbol": symbol, "announced": False, "path": "flat", **listing}
        )

    async def orders(self, *symbols: str) -> list[dict[str, Any]]:
        """The first order that came for each of these symbols; waits until all are there."""
        deadline = asyncio.get_running_loop().time() + ORDER_TIMEOUT_S
        while True:
            query = "?" + urlencode({"symbol": symbols[0]}) if len(symbols) == 1 else ""
            first: dict[str, dict[str, Any]] = {}
            for request in (await self.ask("GET", "/control/orders" + query))["requests"]:
                first.setdefault(request["symbol"], request)
            if all(symbol in first for symbol in symbols):
                return [first[symbol] for symbol in symbols]
            if asyncio.get_running_loop().time() > deadline:
                missing = [symbol for symbol in symbols if symbol not in first]
                raise RuntimeError(f"no order for {', '.join(missing[:5])} within {ORDER_TIMEOUT_S:.0f} s")
            await asyncio.sleep(0.01)

    async def written_ns(self, symbol: str) -> int:
        """When the first frame that shows the symbol was written to a socket."""
        frames = (await self.ask("GET", "/control/events?" + urlencode({"symbol": symbol})))["first_frames"]
        return min(int(frame["monotonic_ns"]) for frame in frames)

    async def event_to_order_us(self, symbol: str) -> float:
        """Let one listing open with an immediate push; microseconds from its write to the order's arrival."""
        await self.list_pair(symbol, push_now=True)
        [order] = await self.orders(symbol)
        return float(order["arrived_ns"] - await self.written_ns(symbol)) / 1000

    async def stop(self) -> None:
        """End the process."""
        await stop(self.process)


async def stop(process: asyncio.subprocess.Process) -> None:
    """End a process that we started."""
    if process.returncode is None:
        process.terminate()
        async with asyncio.timeout(15):
            await process.wait()


async def started(*command: str) -> asyncio.subprocess.Process:
    """A program of the benches that has said `ready`."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    async with asyncio.timeout(READY_TIMEOUT_S):
        line = await process.stdout.readline()
    assert line == b"ready\n", (command, line)
    return process
