"""Signalbox as its users meet it: a simulated exchange, the engine in a process of its own, and the command line."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from signalbox.ledger.databases import database_name, with_database
from signalbox.simulators.mexc.main import serve
from signalbox.simulators.mexc.options import AccountOptions, RateLimitOptions, SimulatorOptions
from signalbox.simulators.mexc.server import SimulatedMexc

PATIENCE_S = 30.0
_SIGNALBOX = str(Path(sys.executable).with_name("signalbox"))


class World:
    """One exchange, one ledger, any number of engines after each other."""

    def __init__(
        self, exchange: SimulatedMexc, session: aiohttp.ClientSession, database_url: str, folder: Path
    ) -> None:
        account = exchange.accounts[0]
        self.exchange = exchange
        self.database_url = database_url
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")},  # noqa: TID251
            "SIGNALBOX_DATABASE_URL": database_url,
            "SIGNALBOX_DATA_DIR": str(folder),
            "SIGNALBOX_MEXC_REST_URL": exchange.rest_url,
            "SIGNALBOX_MEXC_WS_URL": exchange.ws_url,
            "SIGNALBOX_MEXC_CALENDAR_URL": exchange.calendar_url,
            "SIGNALBOX_ACCOUNT_MAIN_API_KEY": str(account["api_key"]),
            "SIGNALBOX_ACCOUNT_MAIN_API_SECRET": str(account["secret"]),
        }
        self._session = session
        self._engine: asyncio.subprocess.Process | None = None
        self._reader: asyncpg.Connection[asyncpg.Record] | None = None
        self._reading = asyncio.Lock()

    async def command(self, *arguments: str, expect: int = 0) -> str:
        """Run one `signalbox` command; returns what it printed on both streams."""
        process = await asyncio.create_subprocess_exec(
            _SIGNALBOX,
            *arguments,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(PATIENCE_S):
            output, _ = await process.communicate()
        assert process.returncode == expect, f"signalbox {' '.join(arguments)}: {output.decode()}"
        return output.decode()

    async def read(self, *arguments: str) -> Any:
        """Run a reading command and decode its JSON."""
        process = await asyncio.create_subprocess_exec(
            _SIGNALBOX, *arguments, "--json", env=self.environment, stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(PATIENCE_S):
            output, _ = await process.communicate()
        assert process.returncode == 0
        return json.loads(output)

    async def prepare(self, *configuration: str, live: bool = True) -> None:
        """An account and a configuration `main`; live against the simulated exchange unless told otherwise."""
        await self.command("account", "add", "main")
        mode = "live" if live else "simulation"
        if live:
            await self.command("settings", "set", "main", "--mode", "live", "--auto-trade", "--yes")
        await self.command(
            "config", "create", "main", "--mode", mode, "--symbol", "*USDT", "--quote-amount", "20",
            "--max-daily-spend", "500", "--max-trades-per-hour", "10", *configuration,
        )  # fmt: skip

    async def start_engine(self) -> None:
        """Start the engine process; it says in its log what it does."""
        with (self.folder / "engine.log").open("ab") as log:
            self._engine = await asyncio.create_subprocess_exec(
                _SIGNALBOX, "engine", env=self.environment, stdout=log, stderr=log
            )

    async def kill_engine(self) -> None:
        """kill -9, without warning."""
        assert self._engine is not None
        self._engine.send_signal(signal.SIGKILL)
        await self._engine.wait()
        self._engine = None

    async def stop_engine(self) -> int:
        """Ask the engine to end and wait for it; its exit code."""
        assert self._engine is not None
        self._engine.terminate()
        async with asyncio.timeout(PATIENCE_S):
            code = await self._engine.wait()
        self._engine = None
        return code

    def freeze_engine(self) -> None:
        """Hold the engine still in the middle of whatever it does; only a kill ends that."""
        assert self._engine is not None
        self._engine.send_signal(signal.SIGSTOP)

    async def close(self) -> None:
        """Clean up after a test, whatever happened."""
        if self._engine is not None and self._engine.returncode is None:
            await self.kill_engine()
        if self._reader is not None:
            self._reader.terminate()

    async def control(self, path: str, /, **body: Any) -> Any:
        """Steer the simulated exchange."""
        async with self._session.post(f"{self.exchange.rest_url}/control/{path}", json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def change_listing(self, symbol: str, **changes: Any) -> None:
        """Halt, resume or move a pair, or change its rules."""
        url = f"{self.exchange.rest_url}/control/listings"
        async with self._session.patch(url, json={"symbol": symbol, **changes}) as answer:
            assert answer.status == 200, await answer.text()

    async def list_now(self, symbol: str, **options: Any) -> None:
        """A surprise listing whose push reaches every listener at once."""
        await self.control("listings", **{"symbol": symbol, "announced": False, "push_now": True} | options)

    async def until_running(self) -> None:
        """Wait until a run is on."""
        running = "SELECT true FROM bot_runs WHERE status = 'running'"
        await self.eventually(lambda: self.value(running), "a run is on")

    async def list_later(self, symbol: str, in_ms: int, **options: Any) -> None:
        """A listing that the calendar announces now and that opens after `in_ms`."""
        await self.control("listings", **{"symbol": symbol, "open_in_ms": in_ms, "path": "flat"} | options)

    async def struck(self) -> dict[str, int]:
        """Which faults struck how often, by label or kind."""
        async with self._session.get(f"{self.exchange.rest_url}/control/faults") as answer:
            found: dict[str, int] = (await answer.json())["struck"]
        return found

    async def sent_orders(self, symbol: str | None = None) -> list[dict[str, Any]]:
        """Every order request that reached the exchange, refused ones included."""
        async with self._session.get(f"{self.exchange.rest_url}/control/orders") as answer:
            requests = (await answer.json())["requests"]
        return [request for request in requests if symbol in (None, request["symbol"])]

    async def exchange_orders(self) -> list[dict[str, Any]]:
        """Every order that the exchange took, as it stands there."""
        async with self._session.get(f"{self.exchange.rest_url}/control/orders") as answer:
            orders: list[dict[str, Any]] = (await answer.json())["orders"]
        return orders

    async def rows(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """Rows of the ledger, read by a connection of our own; a new one when it was cut."""
        async with self._reading:
            for last in (False, True):
                if self._reader is None or self._reader.is_closed():
                    self._reader = await asyncpg.connect(self.database_url)
                try:
                    return await self._reader.fetch(query, *arguments)
                except (asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError, ConnectionError):
                    self._reader.terminate()
                    if last:
                        raise
        raise AssertionError("not reached")

    async def value(self, query: str, *arguments: object) -> Any:
        """The first column of the first row, None without rows."""
        rows = await self.rows(query, *arguments)
        return rows[0][0] if rows else None

    async def calm(self) -> None:
        """No fault any more: the exchange answers at once and shows everything."""
        await self.control("faults", clear=True)
        await self.control("settings", order_visible_after_ms=0, trades_visible_after_ms=20)

    async def eventually(
        self, condition: Callable[[], Awaitable[Any]], what: str, patience_s: float = PATIENCE_S
    ) -> Any:
        """Ask until the condition gives something true, and return that; fails with the engine's last words."""
        deadline = asyncio.get_running_loop().time() + patience_s
        while not (found := await condition()):
            if asyncio.get_running_loop().time() > deadline:
                log = self.folder / "engine.log"
                words = log.read_text()[-3000:] if log.exists() else "none"
                raise AssertionError(f"not within {patience_s:g} s: {what}; the engine's last words:\n{words}")
            await asyncio.sleep(0.02)
        return found

    async def eventually_order(self, symbol: str, side: str, status: str) -> asyncpg.Record:
        """The order row of a symbol once it has the status."""

        async def found() -> list[asyncpg.Record]:
            return await self.rows(
                "SELECT * FROM trade_orders WHERE symbol = $1 AND side = $2 AND status = $3", symbol, side, status
            )

        rows: list[asyncpg.Record] = await self.eventually(found, f"a {side} order for {symbol} is {status}")
        assert len(rows) == 1
        return rows[0]


async def allow_connections(database_url: str, *, allowed: bool) -> None:
    """Cut every connection to a database and refuse new ones, or let them in again."""
    name = database_name(database_url)
    connection = await asyncpg.connect(with_database(database_url, "postgres"))
    try:
        await connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {str(allowed).lower()}')
        if not allowed:
            await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def open_world(database_url: str, folder: Path, **options: Any) -> AsyncIterator[World]:
    """A world with a fresh exchange; everything ends with the block."""
    simulator = SimulatorOptions(
        seed=11, accounts=(AccountOptions(label="main"),), rate_limits=RateLimitOptions(enforced=False), **options
    )
    exchange = await serve(simulator)
    try:
        async with aiohttp.ClientSession() as session:
            world = World(exchange, session, database_url, folder)
            try:
                yield world
            finally:
                await world.close()
    finally:
        await exchange.close()
