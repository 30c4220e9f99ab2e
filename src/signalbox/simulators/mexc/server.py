"""The simulated exchange on a real socket."""

import asyncio
import contextlib

from aiohttp import web

from signalbox.simulators.mexc import rest_account, rest_orders, rest_public, rest_website
from signalbox.simulators.mexc.clock import Clock
from signalbox.simulators.mexc.control import Control
from signalbox.simulators.mexc.dispatch import Dispatcher
from signalbox.simulators.mexc.exchange import Exchange
from signalbox.simulators.mexc.hub import Hub
from signalbox.simulators.mexc.listen_keys import ListenKeys
from signalbox.simulators.mexc.options import SimulatorOptions
from signalbox.simulators.mexc.rate_limits import RateLimits
from signalbox.simulators.mexc.rest_account import UserDataStream, describe_account
from signalbox.simulators.mexc.rest_calendar import Calendar

MAX_BODY_BYTES = 1 << 20
SHUTDOWN_S = 1.0
SHORTEST_SLEEP_S = 0.001


class SimulatedMexc:
    """A running simulator. Made by `start_server`; ends with `close`."""

    def __init__(self, options: SimulatorOptions, clock: Clock) -> None:
        self.options = options
        self.exchange = Exchange(options, clock)
        self._keys = ListenKeys(self.exchange.seeds, options.listen_key_ms)
        self.hub = Hub(self.exchange, self._keys)
        self.limits = RateLimits(options.rate_limits)
        self.dispatcher = Dispatcher(
            self.exchange,
            self.limits,
            {
                **rest_public.ENDPOINTS,
                **rest_website.ENDPOINTS,
                **rest_orders.ENDPOINTS,
                **rest_account.ENDPOINTS,
                **UserDataStream(self._keys).endpoints(),
                **Calendar().endpoints(),
            },
        )
        self._runner: web.AppRunner | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._port = options.port
        self.exchange.wake = self._woken.set

    @property
    def rest_url(self) -> str:
        """Base URL of the REST API, without a slash at its end."""
        return f"http://{self.options.host}:{self._port}"

    @property
    def ws_url(self) -> str:
        """URL of the websocket."""
        return f"ws://{self.options.host}:{self._port}/ws"

    @property
    def calendar_url(self) -> str:
        """URL of the calendar of new coins."""
        return f"{self.rest_url}/api/operation/new_coin_calendar"

    @property
    def accounts(self) -> list[dict[str, object]]:
        """The test accounts with their credentials and free balances."""
        return [describe_account(account) for account in self.exchange.accounts.all]

    def describe(self) -> dict[str, object]:
        """What a client needs to use this simulator, ready for JSON."""
        return {
            "venue": "mexc",
            "rest": self.rest_url,
            "ws": self.ws_url,
            "calendar": self.calendar_url,
            "simulated": True,
            "seed": self.options.seed,
            "accounts": self.accounts,
        }

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_get("/ws", self.hub.handle)
        if self.options.control_enabled:
            app.add_routes(Control(self.exchange, self.hub, self.dispatcher, self.limits).routes())
        app.router.add_route("*", "/api/{path:.*}", self.dispatcher.handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S, handle_signals=False)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.options.host, self.options.port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self._port = int(self._runner.addresses[0][1])
        self._ticker = asyncio.create_task(self._tick())

    async def wait_failed(self) -> None:
        """Wait until the exchange's own work fails, and raise that error; a broken market must not look alive."""
        if self._ticker is not None:
            await asyncio.shield(self._ticker)

    async def close(self) -> None:
        """Stop listening, close all connections. Safe to call twice.

        Raises what made the exchange's own work fail, if it did.
        """
        ticker, self._ticker = self._ticker, None
        await self.hub.close()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        if ticker is not None:
            ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticker

    async def _tick(self) -> None:
        """Let the exchange do what is due, and sleep exactly until something is due again."""
        while True:
            self._woken.clear()
            now = self.exchange.now_ms()
            self.exchange.advance(now)
            wait_s = max(SHORTEST_SLEEP_S, (self.exchange.next_due_ms() - now) / 1000)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._woken.wait()
