"""The engine as a user runs it: its own data directory, its own commands, live against the simulated exchange."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import asyncpg

from signalbox.ledger.databases import create_database
from signalbox.ledger.embedded import EmbeddedServer, open_embedded

START_TIMEOUT_S = 60.0
_STAGES = """
SELECT 1e6 * extract(epoch FROM decided_at - received_at) AS "received → decided",
       1e6 * extract(epoch FROM durable_at - decided_at) AS "decided → durable",
       1e6 * extract(epoch FROM sent_at - durable_at) AS "durable → sent",
       1e6 * extract(epoch FROM acknowledged_at - sent_at) AS "sent → acknowledged"
FROM trade_orders WHERE acknowledged_at IS NOT NULL AND purpose = 'entry' ORDER BY created_at OFFSET 3
"""
_SIGNALBOX = str(Path(sys.executable).with_name("signalbox"))


class EngineUnderTest:
    """One life of `signalbox engine` with a private PostgreSQL (fsync on) below `folder`."""

    def __init__(self, folder: Path, exchange: dict[str, Any]) -> None:
        account = exchange["accounts"][0]
        self._folder = folder
        self._environment = {
            **os.environ,  # noqa: TID251 - a bench hands its environment on
            "SIGNALBOX_DATA_DIR": str(folder),
            "SIGNALBOX_MEXC_REST_URL": exchange["rest"],
            "SIGNALBOX_MEXC_WS_URL": exchange["ws"],
            "SIGNALBOX_MEXC_CALENDAR_URL": exchange["calendar"],
            "SIGNALBOX_ACCOUNT_BENCH_API_KEY": account["api_key"],
            "SIGNALBOX_ACCOUNT_BENCH_API_SECRET": account["secret"],
        }
        self._server: EmbeddedServer | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> str:
        """Start the database and the engine, and a run. Returns the address of a database for client B."""
        self._server = await asyncio.to_thread(open_embedded, self._folder)
        await asyncio.to_thread(create_database, self._server.url("postgres"), "bench")
        await self._command("account", "add", "bench")
        await self._command(
            "settings", "set", "bench", "--mode", "live", "--auto-trade", "--yes",
            "--global-exposure-cap", "none", "--daily-loss-limit", "none",
        )  # fmt: skip
        await self._command(
            "config", "create", "bench", "--mode", "live", "--symbol", "*USDT", "--quote-amount", "10",
            "--max-daily-spend", "100000", "--max-trades-per-hour", "100", "--max-concurrent-listings", "100",
            "--order-style", "market", "--take-profit", "none", "--time-limit-s", "none",
        )  # fmt: skip
        log = (self._folder / "engine.log").open("wb")
        self._process = await asyncio.create_subprocess_exec(_SIGNALBOX, "engine", env=self._environment, stderr=log)
        await self._command("run", "start", "bench", "bench")
        return self._server.url("bench")

    async def stages(self) -> dict[str, list[float]]:
        """Microseconds that each order spent in each stage, as the ledger recorded them."""
        assert self._server is not None
        connection = await asyncpg.connect(self._server.url("signalbox"))
        try:
            rows = await connection.fetch(_STAGES)
        finally:
            await connection.close()
        return {name: [float(row[name]) for row in rows] for name in rows[0].keys()} if rows else {}  # noqa: SIM118

    def last_words(self) -> str:
        """The end of the engine's log."""
        log = self._folder / "engine.log"
        return log.read_text()[-4000:] if log.exists() else ""

    async def stop(self) -> None:
        """Stop the engine and the database."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._process.wait()
        if self._server is not None:
            await asyncio.to_thread(self._server.close)

    async def _command(self, *arguments: str) -> None:
        process = await asyncio.create_subprocess_exec(
            _SIGNALBOX, *arguments, env=self._environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(START_TIMEOUT_S):
            output, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"signalbox {' '.join(arguments)}: {output.decode()}")
