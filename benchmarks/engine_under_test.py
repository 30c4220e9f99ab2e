"""The engine as a user runs it: its own data directory, its own commands, live against the simulated exchange."""

import asyncio
import os
import sys
from collections.abc import Sequence
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
FROM trade_orders
WHERE acknowledged_at IS NOT NULL AND purpose = 'entry' AND attempt = 1 AND due_at IS NULL AND created_at > $1
ORDER BY created_at
"""
_SIGNALBOX = str(Path(sys.executable).with_name("signalbox"))
SIGNALBOX_ENGINE = (_SIGNALBOX, "engine")
UNPACED_ENGINE = (sys.executable, "-m", "benchmarks.engine_process", "--unpaced")
CONFIGURATION = {
    "--mode": "live", "--symbol": "*USDT", "--quote-amount": "10", "--max-daily-spend": "100000",
    "--max-trades-per-hour": "100", "--max-concurrent-listings": "100", "--order-style": "market",
    "--take-profit": "none", "--time-limit-s": "none",
}  # fmt: skip


class EngineUnderTest:
    """One life of an engine with a private PostgreSQL (fsync on) below `folder`."""

    def __init__(
        self, folder: Path, exchange: dict[str, Any], *, command: Sequence[str] = SIGNALBOX_ENGINE, **more: str
    ) -> None:
        """`more`: options of `signalbox config create` that differ, as max_daily_spend="400"."""
        folder.mkdir(parents=True, exist_ok=True)
        account = exchange["accounts"][0]
        self._folder = folder
        self._command_line = command
        self._configuration = CONFIGURATION | {"--" + name.replace("_", "-"): value for name, value in more.items()}
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
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> str:
        """Start the database and the engine, and a run. Returns the address of a database for others."""
        dsn = await self.set_up()
        await self.start_engine()
        await self.start_run()
        return dsn

    async def set_up(self) -> str:
        """Start the database, make the account and its configuration."""
        self._server = await asyncio.to_thread(open_embedded, self._folder)
        await asyncio.to_thread(create_database, self._server.url("postgres"), "bench")
        await self._command("account", "add", "bench")
        await self._command(
            "settings", "set", "bench", "--mode", "live", "--auto-trade", "--yes",
            "--global-exposure-cap", "none", "--daily-loss-limit", "none",
        )  # fmt: skip
        options = [part for option in self._configuration.items() for part in option]
        await self._command("config", "create", "bench", *options)
        return self._server.url("bench")

    async def start_engine(self) -> None:
        """Start the process; it may not be ready yet."""
        log = (self._folder / "engine.log").open("ab")
        self.process = await asyncio.create_subprocess_exec(*self._command_line, env=self._environment, stderr=log)

    async def start_run(self) -> None:
        """Start a run and wait until it is up."""
        await self._command("run", "start", "bench", "bench")

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Ask the engine's ledger."""
        assert self._server is not None
        connection = await asyncpg.connect(self._server.url("signalbox"))
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    async def stages(self, skip: int = 3) -> dict[str, list[float]]:
        """Microseconds that each first order spent in each stage, as the ledger recorded them, after the first few."""
        earlier = await self.fetch(
            "SELECT created_at FROM trade_orders WHERE purpose = 'entry' AND attempt = 1 AND due_at IS NULL"
            " ORDER BY created_at LIMIT $1",
            skip,
        )
        rows = await self.fetch(_STAGES, earlier[-1]["created_at"])
        return {name: [float(row[name]) for row in rows] for name in rows[0].keys()} if rows else {}  # noqa: SIM118

    def last_words(self) -> str:
        """The end of the engine's log."""
        log = self._folder / "engine.log"
        return log.read_text()[-4000:] if log.exists() else ""

    async def stop_engine(self) -> None:
        """Stop the engine; the database goes on."""
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            async with asyncio.timeout(START_TIMEOUT_S):
                await self.process.wait()

    async def stop(self) -> None:
        """Stop the engine and the database."""
        await self.stop_engine()
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
