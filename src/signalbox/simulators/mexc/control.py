"""The control endpoint under `/control/`. It is no part of MEXC: tests, benches and demos steer the market with it.

Bodies are JSON and strict: unknown fields are refused with HTTP 422 and the name of the field. No authentication;
the simulator listens on this machine only, and `control_enabled=False` removes these paths altogether.
"""

from aiohttp import web

from signalbox.simulators.mexc.control_accounts import AccountControl
from signalbox.simulators.mexc.control_bodies import ChangeFaults, ChangeListing, Disconnect, MovePrice, NewListing
from signalbox.simulators.mexc.control_routes import body_of, strict
from signalbox.simulators.mexc.decimals import plain
from signalbox.simulators.mexc.dispatch import Dispatcher
from signalbox.simulators.mexc.exchange import Exchange
from signalbox.simulators.mexc.hub import Hub
from signalbox.simulators.mexc.options import ListingOptions, RateLimitOptions, updated_switches
from signalbox.simulators.mexc.pairs import Pair
from signalbox.simulators.mexc.rate_limits import RateLimits
from signalbox.simulators.mexc.rest_orders import describe_order


class Control:
    """Handlers of the control endpoint."""

    def __init__(self, exchange: Exchange, hub: Hub, dispatcher: Dispatcher, limits: RateLimits) -> None:
        self._exchange = exchange
        self._hub = hub
        self._dispatcher = dispatcher
        self._limits = limits

    def routes(self) -> list[web.RouteDef]:
        """The routes, to be added to an application."""
        return [
            web.post("/control/listings", strict(self.add_listing)),
            web.patch("/control/listings", strict(self.change_listing)),
            web.get("/control/listings", strict(self.listings)),
            web.get("/control/orders", strict(self.orders)),
            web.get("/control/events", strict(self.events)),
            web.post("/control/faults", strict(self.change_faults)),
            web.get("/control/faults", strict(self.faults)),
            web.post("/control/prices", strict(self.move_price)),
            web.post("/control/settings", strict(self.change_settings)),
            web.get("/control/settings", strict(self.settings)),
            web.post("/control/rate-limits", strict(self.change_rate_limits)),
            web.post("/control/disconnect", strict(self.disconnect)),
            web.post("/control/push", strict(self.push)),
            *AccountControl(self._exchange).routes(),
        ]

    async def add_listing(self, request: web.Request) -> object:
        """List a pair now or at a time; answers when it will open."""
        new = await body_of(request, NewListing)
        listing = ListingOptions(
            **{name: getattr(new, name) for name in ListingOptions.__struct_fields__ if name != "open_in_ms"},
            open_in_ms=new.open_in_ms if new.open_at_ms is None else new.open_at_ms - self._exchange.now_ms(),
        )
        pair = self._exchange.add_listing(listing)
        reached = self._hub.feeds.push_mini_tickers() if new.push_now else 0
        return self._describe(pair) | {"pushed_to": reached}

    async def change_listing(self, request: web.Request) -> object:
        """Move, cancel, halt or resume a pair, or change its rules."""
        change = await body_of(request, ChangeListing)
        pair, now = self._pair(change.symbol), self._exchange.now_ms()
        opens_at = change.open_at_ms
        if change.open_in_ms is not None:
            opens_at = now + change.open_in_ms
        if opens_at is not None:
            if pair.opened:
                raise ValueError(f"{pair.symbol} has opened already; it cannot be moved")
            pair.timetable.move_to(opens_at)
        if change.cancel:
            pair.timetable.gone_at_ms = now
        if change.api_tradable is not None:
            pair.timetable.api_from_ms = pair.timetable.opens_at_ms if change.api_tradable else None
        pair.change_rules(change.rules)
        self._exchange.advance(now)
        self._exchange.halt(pair, now, halted=pair.timetable.halted if change.halted is None else change.halted)
        return self._describe(pair)

    async def listings(self, _request: web.Request) -> object:
        """All fresh pairs with their real timetable (what no client of MEXC could know)."""
        return {"listings": [self._describe(pair) for pair in self._exchange.pairs.values() if pair.fresh]}

    async def orders(self, request: web.Request) -> object:
        """All received POST /order requests, refused ones included, and all orders as they stand."""
        symbol = request.query.get("symbol")
        requests = [
            {
                "arrived_ns": record.arrived_ns,
                "arrived_utc_ms": record.arrived_utc_ms,
                "account": record.account,
                "symbol": record.params.get("symbol"),
                "client_order_id": record.params.get("newClientOrderId"),
                "type": record.params.get("type"),
                "side": record.params.get("side"),
                "code": record.code,
                "order_id": record.order_id,
            }
            for record in self._dispatcher.order_requests
            if symbol in (None, record.params.get("symbol"))
        ]
        orders = [
            describe_order(order) | {"account": account.label, "arrived_ns": order.arrived_ns}
            for account in self._exchange.accounts.all
            for order in self._exchange.orders.orders(account, symbol)
        ]
        return {"requests": requests, "orders": orders}

    async def events(self, request: web.Request) -> object:
        """Per listing and connection: the monotonic time right before its first push was written to the socket."""
        symbol = request.query.get("symbol")
        frames = [frame for frame in self._hub.first_frames if symbol in (None, frame.symbol)]
        return {"connections": self._hub.connections, "first_frames": frames}

    async def change_faults(self, request: web.Request) -> object:
        """Arm or clear faults."""
        change = await body_of(request, ChangeFaults)
        if change.clear:
            self._exchange.faults.clear()
        for label in change.disarm:
            self._exchange.faults.clear(label)
        for fault in change.faults:
            self._exchange.faults.arm(fault)
        return await self.faults(request)

    async def faults(self, _request: web.Request) -> object:
        """What is armed, and what has struck how often."""
        return {"armed": self._exchange.faults.armed(), "struck": self._exchange.faults.struck}

    async def move_price(self, request: web.Request) -> object:
        """Move the market of one pair."""
        move = await body_of(request, MovePrice)
        if not move.price.is_finite() or move.price <= 0:
            raise ValueError(f"price must be above zero, got {move.price}")
        pair = self._pair(move.symbol)
        self._exchange.catch_up(pair, self._exchange.now_ms())
        if not pair.opened:
            raise ValueError(f"{pair.symbol} is not open yet; it has no market to move")
        self._exchange.move_price(pair, move.price, hold=move.hold)
        return {"symbol": pair.symbol, "price": plain(pair.price)}

    async def change_settings(self, request: web.Request) -> object:
        """Change switches; those not named stay as they are."""
        changes = await body_of(request, dict[str, object])
        self._exchange.switches = updated_switches(self._exchange.switches, changes)
        return self._exchange.switches

    async def settings(self, _request: web.Request) -> object:
        """All switches."""
        return self._exchange.switches

    async def change_rate_limits(self, request: web.Request) -> object:
        """Replace the limits; what was counted is forgotten."""
        self._limits.options = await body_of(request, RateLimitOptions)
        self._limits.forgive()
        return self._limits.options

    async def disconnect(self, request: web.Request) -> object:
        """Cut all websocket connections, or those that subscribed to a channel."""
        cut = await body_of(request, Disconnect)
        return {"disconnected": self._hub.disconnect(cut.channel)}

    async def push(self, _request: web.Request) -> object:
        """Send the miniTickers frame now."""
        return {"pushed_to": self._hub.feeds.push_mini_tickers()}

    def _pair(self, symbol: str) -> Pair:
        pair = self._exchange.pairs.get(symbol)
        if pair is None:
            raise LookupError(f"no pair {symbol!r}")
        return pair

    def _describe(self, pair: Pair) -> dict[str, object]:
        table = pair.timetable
        return {
            "symbol": pair.symbol,
            "phase": pair.phase(self._exchange.now_ms()).value,
            "opens_at_ms": table.opens_at_ms,
            "published_open_ms": table.published_open_ms,
            "gone_at_ms": table.gone_at_ms,
            "api_from_ms": table.api_from_ms,
            "price": plain(pair.price),
        }
