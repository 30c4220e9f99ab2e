"""A whole world for a demonstration: a simulated exchange, a ledger of its own, an engine, and listings that happen."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Final

import aiohttp
import asyncpg
import msgspec
from msgspec import Struct, structs

from signalbox.app.children import Child, ChildFailed
from signalbox.app.database import (
    DEMO_DATABASE,
    MAINTENANCE_DATABASE,
    OpenDatabase,
    ensure_database,
    postgresql_directory,
)
from signalbox.app.demo_script import PlannedListing, demo_configuration, listing_script
from signalbox.app.operator import open_control
from signalbox.app.secrets import variable_name
from signalbox.app.settings import Settings, child_environment
from signalbox.control import accounts, configurations, guardrails, runs
from signalbox.control.context import Control
from signalbox.domain.configuration import BotConfiguration
from signalbox.domain.errors import ConfigError, ConflictError, LedgerUnavailable, SignalboxError
from signalbox.domain.orders import Mode
from signalbox.domain.runs import ACTIVE_STATUSES, RunStatus, StopMode
from signalbox.ledger import databases, migrate
from signalbox.ledger.embedded import open_embedded
from signalbox.ledger.file_lock import FileLock
from signalbox.venues.mexc import parse
from signalbox.venues.mexc.endpoints import MexcEndpoints

ACCOUNT: Final = "demo"
_SELF: Final = (sys.executable, "-P", "-m", "signalbox.cli.main")
_READY_TIMEOUT_S: Final = 20.0
_STOP_TIMEOUT_S: Final = 6.0
_POLL_S: Final = 0.1


class _Account(Struct, frozen=True):
    api_key: str
    secret: str


class SimulatorReady(Struct, frozen=True):
    """What the simulator prints when it is ready."""

    rest: str
    ws: str
    calendar: str
    accounts: list[_Account]


class Upcoming(Struct, frozen=True, kw_only=True):
    """A listing in the exchange's calendar."""

    symbol: str
    opens_in_s: float


class DemoFailed(SignalboxError):
    """The demonstration did not get where it should. Says where it stopped, with the last log lines."""


@contextmanager
def demo_database(settings: Settings) -> Iterator[OpenDatabase]:
    """A fresh database of the demo's own, beside the user's ledger and never in it.

    It stays afterwards, so that it can be looked at, and is made anew by the next demo. Raises ConflictError when
    another demo uses it.
    """
    lock = _demo_lock(settings.data_dir)
    try:
        if not lock.try_exclusive():
            raise ConflictError(
                "Another demo is running on this data directory: wait for it, or set SIGNALBOX_DATA_DIR."
            )
        if settings.database_url is not None:
            yield _fresh(
                OpenDatabase(databases.with_database(settings.database_url, DEMO_DATABASE)), settings.database_url
            )
            return
        with open_embedded(postgresql_directory(settings)) as server:
            yield _fresh(OpenDatabase(server.url(DEMO_DATABASE), server), server.url(MAINTENANCE_DATABASE))
    finally:
        lock.close()


def _demo_lock(directory: Path) -> FileLock:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return FileLock(directory / "demo.lock")
    except OSError as error:
        raise ConfigError(
            f"The data directory {directory} cannot be used: {error.strerror or error}."
            " Make it writable for this user, or name another one with SIGNALBOX_DATA_DIR."
        ) from error


def _fresh(database: OpenDatabase, server_url: str) -> OpenDatabase:
    try:
        databases.drop_database(server_url, DEMO_DATABASE)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise LedgerUnavailable(
            f"The demo's old database {DEMO_DATABASE!r} cannot be dropped: {str(error) or type(error).__name__}."
            " Name another server or none with SIGNALBOX_DATABASE_URL."
        ) from error
    ensure_database(server_url, DEMO_DATABASE)
    migrate.upgrade(database.url)
    return database


class DemoWorld:
    """The running parts of a demo."""

    def __init__(self, control: Control, simulator: Child, ready: SimulatorReady, seed: int) -> None:
        self.control = control
        self.ready = ready
        self.simulator = simulator
        self.engine: Child | None = None
        self.configuration: BotConfiguration | None = None
        self._http: aiohttp.ClientSession | None = None
        self._script = listing_script(random.Random(f"{seed}/demo"))  # noqa: S311 - a script, not a secret

    def check(self) -> None:
        """Raise ChildFailed when a part has ended by itself."""
        for child in (self.simulator, self.engine):
            if child is not None and child.has_ended:
                raise ChildFailed(child.failure("ended by itself"))

    async def start_engine(self, settings: Settings, database: OpenDatabase) -> None:
        """Start the engine with the simulated exchange and the simulated account's credentials."""
        account = self.ready.accounts[0]
        environment = child_environment(
            SIGNALBOX_DATABASE_URL=database.url,
            SIGNALBOX_DATA_DIR=str(settings.data_dir),
            SIGNALBOX_MEXC_REST_URL=self.ready.rest,
            SIGNALBOX_MEXC_WS_URL=self.ready.ws,
            SIGNALBOX_MEXC_CALENDAR_URL=self.ready.calendar,
            SIGNALBOX_LOG_FORMAT="json",
        )
        environment[variable_name(ACCOUNT, "api_key")] = account.api_key
        environment[variable_name(ACCOUNT, "api_secret")] = account.secret
        self.engine = await Child.start("engine", [*_SELF, "engine", "--exit-with-parent"], environment)

    async def set_up_trading(self) -> BotConfiguration:
        """An account that allows live orders (to the simulated exchange) and a configuration that asks for them."""
        await accounts.create_account(self.control, label=ACCOUNT)
        await guardrails.change_settings(
            self.control,
            ACCOUNT,
            {"mode": Mode.LIVE, "auto_trade": True, "max_trade_usdt": Decimal(150), "max_position_usdt": Decimal(200)},
        )
        self.configuration = await configurations.create_configuration(self.control, demo_configuration())
        return self.configuration

    async def start_run(self) -> None:
        """Start the run and wait until the engine says that it is running. Raises ChildFailed or DemoFailed."""
        run = await runs.start_bot(self.control, account_label=ACCOUNT, configuration_reference="demo")
        try:
            async with asyncio.timeout(_READY_TIMEOUT_S):
                while run.status is RunStatus.STARTING:
                    self.check()
                    await asyncio.sleep(_POLL_S)
                    run = await runs.run_by_id(self.control, run.id)
        except TimeoutError:
            raise DemoFailed(self.why("the engine did not start the run")) from None
        if run.status is not RunStatus.RUNNING:
            raise DemoFailed(self.why(f"the run is {run.status}: {run.error_message or 'no reason given'}"))

    async def stop_run(self) -> None:
        """Stop the run; entries end, the engine answers within seconds."""
        run = await runs.stop_bot(self.control, account_label=ACCOUNT, mode=StopMode.ENTRIES)
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                while run.status in ACTIVE_STATUSES:
                    self.check()
                    await asyncio.sleep(_POLL_S)
                    run = await runs.run_by_id(self.control, run.id)
        except TimeoutError:
            raise DemoFailed(self.why("the run did not stop")) from None

    async def next_listing(self) -> PlannedListing:
        """Let the next listing of the script happen on the simulated exchange."""
        planned = next(self._script)
        await self._call("POST", f"{self.ready.rest}/control/listings", msgspec.json.encode(planned))
        return planned

    async def upcoming(self) -> list[Upcoming]:
        """What the simulated exchange's calendar announces, soonest first."""
        entries, _ = parse.calendar(await self._call("GET", self.ready.calendar))
        now = self.control.clock.now()
        found = [
            Upcoming(symbol=f"{entry.base}USDT", opens_in_s=(entry.opens_at - now).total_seconds()) for entry in entries
        ]
        return sorted((item for item in found if item.opens_in_s > 0), key=lambda item: item.opens_in_s)

    def why(self, what: str) -> str:
        """A sentence with the last log lines of the parts."""
        lines = [
            f"{child.name}: {line}"
            for child in (self.engine, self.simulator)
            if child is not None
            for line in child.last_lines[-5:]
        ]
        return f"The demo stopped: {what}." + ("\n" + "\n".join(lines) if lines else "")

    async def close(self) -> None:
        """Stop all parts, the engine first."""
        if self._http is not None:
            await self._http.close()
        for child in (self.engine, self.simulator):
            if child is not None:
                await child.stop()

    async def _call(self, method: str, url: str, body: bytes | None = None) -> bytes:
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))
        try:
            async with self._http.request(method, url, data=body) as response:
                if response.status != 200:
                    raise DemoFailed(self.why(f"the simulated exchange answered {response.status} to {url}"))
                return await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DemoFailed(self.why(f"the simulated exchange does not answer: {error}")) from error


@asynccontextmanager
async def demo_world(
    settings: Settings, database: OpenDatabase, seed: int, say: Callable[[str], None]
) -> AsyncIterator[DemoWorld]:
    """All parts running and the run started; everything is stopped at the end. `say` is told each step of the way."""
    command = [*_SELF, "simulator", "mexc", "--seed", str(seed), "--listings", "0", "--exit-with-parent"]
    simulator = await Child.start("simulated exchange", command, child_environment())
    try:
        ready = msgspec.json.decode(await simulator.first_line(_READY_TIMEOUT_S), type=SimulatorReady)
    except BaseException:
        await simulator.stop()
        raise
    say(f"simulated MEXC ready at {ready.rest} (seed {seed})")
    inside = structs.replace(
        settings,
        database_url=database.url,
        operator="demo",
        mexc=MexcEndpoints(rest_url=ready.rest, ws_url=ready.ws, calendar_url=ready.calendar),
    )
    async with open_control(inside, database) as opened:
        control = structs.replace(opened, credentials=_Given())
        world = DemoWorld(control, simulator, ready, seed)
        try:
            await world.start_engine(inside, database)
            configuration = await world.set_up_trading()
            say(
                f"account {ACCOUNT} and configuration {configuration.name}:{configuration.version}: both switches say"
                " live, so real orders go to the simulated exchange"
            )
            await world.start_run()
            say("engine running, run started")
            yield world
        finally:
            await world.close()


class _Given:
    """The simulated account's credentials go to the engine only; here they count as given."""

    def missing(self, label: str) -> str | None:
        """Nothing is missing."""
        del label
        return None
