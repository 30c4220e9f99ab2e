# ruff: noqa: ARG002 - a fake takes all that its port takes
"""Ports in memory: a clock, ids, a journal, and a venue whose answers are scripted. The ledger is in fake_ledger."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any
from uuid import UUID

from msgspec import Struct
from tests.unit.domain import examples
from tests.unit.engine.fake_ledger import FakeDatabase

from signalbox.domain.configuration import Account
from signalbox.domain.ids import ClientOrderId, OrderId
from signalbox.domain.instruments import Instrument, TradableSymbols
from signalbox.domain.listings import ListingSchedule, ListingState, UpcomingListing
from signalbox.domain.market import BookLevel, BookTicker, ClockReading, OrderBook
from signalbox.domain.orders import (
    Accepted,
    EvidenceState,
    Fill,
    Mode,
    Order,
    OrderEvidence,
    Purpose,
    RefusalKind,
    Rejected,
    Side,
    StageTimes,
    SubmitOutcome,
    Unknown,
)
from signalbox.domain.ports import QUOTE_ASSETS, EventSink, FeedIntervals, nothing_to_do
from signalbox.domain.signals import DetectionSource, Sighting
from signalbox.domain.venue_records import AccountUpdate, Balance, StreamOpened, VenueOrder
from signalbox.engine.account import AccountVenues

START = datetime(2026, 3, 14, 12, 0, 0, tzinfo=UTC)
PRICE = Decimal("0.5")
FEE = Decimal("0.001")
NEVER = timedelta(days=365)


class ManualClock:
    """Wall and monotonic time, both the event loop's (virtual) time."""

    def _elapsed(self) -> float:
        return asyncio.get_running_loop().time() - 1000.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self._elapsed())

    def monotonic_ns(self) -> int:
        return round(self._elapsed() * 1_000_000_000)

    def at(self, monotonic_ns: int) -> datetime:
        return START + timedelta(microseconds=monotonic_ns // 1000)


class CountingIds:
    """1, 2, 3 …; `first` keeps two processes apart."""

    def __init__(self, first: int = 1) -> None:
        self._next = first

    def new_id(self) -> UUID:
        self._next += 1
        return UUID(int=self._next)


class MemoryJournal:
    """Keeps what was told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.states: dict[str, str] = {}
        self.alerts: dict[tuple[str, str], tuple[str, str]] = {}
        """The open ones: severity and message by kind and subject."""
        self.raised: list[tuple[str, str]] = []

    def event(self, level: str, category: str, message: str, **details: Any) -> None:
        self.events.append((level, message, details))

    def health(self, component: str, status: str, **details: Any) -> None:
        self.states[component] = status

    def alert(self, kind: str, subject: str, message: str, *, severity: str = "warning", **details: Any) -> None:
        self.alerts[kind, subject] = (severity, message)
        self.raised.append((kind, subject))
        self.events.append((severity, message, {"alert": kind, **details}))  # an alert is an event as well

    def resolve(self, kind: str, subject: str, reason: str) -> None:
        self.alerts.pop((kind, subject), None)

    def told(self, text: str) -> bool:
        """True when some event says so."""
        return any(text in message for _, message, _ in self.events)


class Answer(Struct, kw_only=True):
    """How the venue takes one order.

    `outcome` is what `submit` answers; `sent` whether anything left the machine; `taken` whether the venue has the
    order all the same; `filled` the part of it that is executed; `open_for` how long it stays open; `seen_after` when
    it becomes visible to look-ups; `before` runs while the order is on its way.
    """

    outcome: str = "accepted"
    taken: bool = True
    filled: Decimal = Decimal(1)
    open_for: timedelta = timedelta(0)
    seen_after: timedelta = timedelta(0)
    kind: RefusalKind = RefusalKind.TERMINAL
    price_cap: Decimal | None = None
    least_notional: Decimal | None = None
    retry_after_s: float | None = None
    sent: bool = True
    before: Callable[[], Awaitable[object]] | None = None


def accepted(filled: str = "1", **changes: Any) -> Answer:
    """Taken, and executed to this part."""
    return Answer(filled=Decimal(filled), **changes)


def refused(kind: RefusalKind, **changes: Any) -> Answer:
    """Surely not taken."""
    return Answer(outcome="rejected", kind=kind, taken=False, **changes)


def unknown(*, taken: bool, **changes: Any) -> Answer:
    """No clear answer; whether the venue has the order only a look-up tells."""
    return Answer(outcome="unknown", taken=taken, **changes)


class _Booked(Struct, kw_only=True):
    order: Order
    exchange_order_id: str
    evidence: OrderEvidence
    fills: list[Fill]
    final_at: datetime
    seen_at: datetime


def venue_order(client_order_id: str | None, exchange_order_id: str, **fields: Any) -> VenueOrder:
    """An order as a venue lists it: a market buy that was filled, unless `fields` say otherwise."""
    values: dict[str, Any] = {
        "symbol": "NEWUSDT",
        "side": Side.BUY,
        "kind": "MARKET",
        "status": "FILLED",
        "evidence": OrderEvidence(
            state=EvidenceState.FILLED,
            exchange_order_id=exchange_order_id,
            executed_quantity=Decimal(10),
            executed_quote=Decimal(5),
        ),
        "price": PRICE,
        "quantity": Decimal(10),
        "placed_at": START,
    }
    return VenueOrder(client_order_id=client_order_id, exchange_order_id=exchange_order_id, **{**values, **fields})


class FakeVenue:
    """An OrderVenue. Unscripted orders are accepted and filled at the market's price."""

    fill_model: str | None = "fake"

    def __init__(self, database: FakeDatabase, market: "FakeMarket", clock: ManualClock) -> None:
        self._db = database
        self._market = market
        self._clock = clock
        self.answers: list[Answer] = []
        self.answers_for: dict[str, list[Answer]] = defaultdict(list)
        self.sent: list[Order] = []
        self.sent_times: dict[OrderId, datetime] = {}
        self.arrived = asyncio.Event()
        self.violations: list[str] = []
        self.cancelled: list[Order] = []
        self.find_error: Exception | None = None
        self.look_up: Callable[[Order], Awaitable[OrderEvidence]] = self._look_up
        self.ahead_s = 0.0
        self.fills_error: Exception | None = None
        self.credentials_error: Exception | None = None
        self.tradable = TradableSymbols(has_key=False)
        self.tradable_error: Exception | None = None
        self.warmed: list[datetime] = []
        self.warm_error: Exception | None = None
        self.trip = timedelta(0)
        self.pace: Callable[[Purpose, int], float] | None = None
        self.cancel_hangs = False
        self.closed = False
        self.moved: dict[str, Decimal] = {}
        """Wallet without our orders, where it is not 10,000 USDT."""
        self.foreign: list[VenueOrder] = []
        self.lists = 0
        """How often the orders of a market were listed."""
        self.unlisted: set[str] = set()
        """Trade ids of executions that the order's totals count and no list shows."""
        self.balances_error: Exception | None = None
        self.orders_error: Exception | None = None
        self.watchers: list[Callable[[AccountUpdate], None]] = []
        self.gate: Callable[[Order], str | None] | None = None
        self._book: dict[ClientOrderId, _Booked] = {}

    def prepare(self, order: Order) -> None:
        """Nothing to sign."""

    async def submit(self, order: Order, stages: StageTimes) -> SubmitOutcome:
        self._inspect(order)
        answer = self._answer(order)
        if answer.sent:
            self.sent.append(order)
            self.sent_times[order.id] = self._clock.now()
            self.arrived.set()
            stages.sent_at = self._clock.now()
        number = str(len(self.sent))
        if answer.taken:
            self._take(order, answer, number)
        await asyncio.sleep(0.01)
        if answer.before is not None:
            await answer.before()
        stages.acknowledged_at = self._clock.now()
        if answer.outcome == "accepted":
            return Accepted(exchange_order_id=number, response={"orderId": number})
        if answer.outcome == "unknown":
            return Unknown(reason="no answer")
        return Rejected(
            code=answer.kind.name,
            message=f"refused: {answer.kind}",
            kind=answer.kind,
            response={},
            price_cap=answer.price_cap,
            least_notional=answer.least_notional,
            retry_after_s=answer.retry_after_s,
            sent=answer.sent,
        )

    def _answer(self, order: Order) -> Answer:
        if self.answers_for[order.symbol]:
            return self.answers_for[order.symbol].pop(0)
        return self.answers.pop(0) if self.answers else Answer()

    def _inspect(self, order: Order) -> None:
        """What must be true of every order that arrives."""
        row = self._db.orders.get(order.id)
        if row is None:
            self.violations.append(f"{order.symbol}: sent without a durable intent")
        if any(other.client_order_id == order.client_order_id for other in self.sent):
            self.violations.append(f"{order.symbol}: sent twice under one client order id")
        if self.gate is not None and (reason := self.gate(order)) is not None:
            self.violations.append(f"{order.symbol}: {reason}")

    def _take(self, order: Order, answer: Answer, number: str) -> None:
        price = order.limit_price if order.limit_price is not None else self._market.price(order.symbol)
        asked = order.quantity if order.quantity is not None else (order.quote_amount or Decimal(0)) / price
        quantity = (asked * answer.filled).quantize(Decimal("0.01"), rounding=ROUND_DOWN)
        now = self._clock.now()
        filled_at = now + timedelta(seconds=self.ahead_s)
        fills = [self._fill(order, number, quantity, price, filled_at)] if quantity else []
        state = (
            EvidenceState.CANCELLED
            if not quantity
            else EvidenceState.FILLED
            if answer.filled == 1
            else EvidenceState.PARTIALLY_CANCELLED
        )
        self._book[order.client_order_id] = _Booked(
            order=order,
            exchange_order_id=number,
            evidence=OrderEvidence(
                state=state,
                exchange_order_id=number,
                executed_quantity=quantity,
                executed_quote=quantity * price,
            ),
            fills=fills,
            final_at=now + answer.open_for,
            seen_at=now + answer.seen_after,
        )

    @staticmethod
    def _fill(order: Order, number: str, quantity: Decimal, price: Decimal, now: datetime) -> Fill:
        return examples.fill(
            f"T{number}",
            str(quantity),
            str(price),
            side=order.side,
            symbol=order.symbol,
            fee=quantity * price * FEE,
            filled_at=now,
        )

    async def find_order(self, order: Order) -> OrderEvidence:
        return await self.look_up(order)

    async def _look_up(self, order: Order) -> OrderEvidence:
        await asyncio.sleep(0.005)
        if self.find_error is not None:
            raise self.find_error
        booked = self._book.get(order.client_order_id)
        if booked is None or self._clock.now() < booked.seen_at:
            return OrderEvidence(state=EvidenceState.NOT_FOUND)
        if self._clock.now() < booked.final_at:
            return OrderEvidence(state=EvidenceState.OPEN, exchange_order_id=booked.exchange_order_id)
        return booked.evidence

    async def fills(self, order: Order, exchange_order_id: str) -> Sequence[Fill]:
        await asyncio.sleep(0.005)
        if self.fills_error is not None:
            raise self.fills_error
        fills = self._book[order.client_order_id].fills
        return [fill for fill in fills if fill.exchange_trade_id not in self.unlisted]

    def executes_more(self, symbol: str, quantity: str, price: Decimal = PRICE, *, number: int = 0) -> Fill:
        """One of our orders (the first in this market, or the one with this number) is executed further, also when it
        had ended; returns the execution."""
        booked = [b for b in self._book.values() if b.order.symbol == symbol][number]
        name = f"{booked.exchange_order_id}-{len(booked.fills)}"
        fill = self._fill(booked.order, name, Decimal(quantity), price, self._clock.now())
        booked.fills.append(fill)
        before = booked.evidence
        booked.evidence = OrderEvidence(
            state=EvidenceState.FILLED,
            exchange_order_id=booked.exchange_order_id,
            executed_quantity=before.executed_quantity + fill.quantity,
            executed_quote=before.executed_quote + fill.quote_quantity,
        )
        return fill

    async def cancel(self, order: Order) -> None:
        if self.cancel_hangs:
            await asyncio.Event().wait()
        self.cancelled.append(order)

    async def tradable_symbols(self) -> TradableSymbols:
        await asyncio.sleep(0)
        if self.tradable_error is not None:
            raise self.tradable_error
        return self.tradable

    async def balances(self) -> Sequence[Balance]:
        await asyncio.sleep(0.005)
        if self.balances_error is not None:
            raise self.balances_error
        held = {"USDT": Decimal(10_000), **self.moved}
        for booked in self._book.values():
            sign = 1 if booked.order.side is Side.BUY else -1
            base = booked.order.symbol.removesuffix("USDT")
            for fill in booked.fills:
                held[base] = held.get(base, Decimal(0)) + sign * fill.quantity
                held["USDT"] -= sign * fill.quote_quantity
                held[fill.fee_asset] = held.get(fill.fee_asset, Decimal(0)) - fill.fee
        return [Balance(asset=asset, free=amount) for asset, amount in held.items() if amount]

    async def recent_orders(self, symbol: str, since: datetime) -> Sequence[VenueOrder]:
        self.lists += 1
        await asyncio.sleep(0.005)
        if self.orders_error is not None:
            raise self.orders_error
        now = self._clock.now()
        ours = [
            venue_order(
                booked.order.client_order_id,
                booked.exchange_order_id,
                symbol=symbol,
                side=booked.order.side,
                evidence=booked.evidence
                if now >= booked.final_at
                else OrderEvidence(state=EvidenceState.OPEN, exchange_order_id=booked.exchange_order_id),
            )
            for booked in self._book.values()
            if booked.order.symbol == symbol and now >= booked.seen_at
        ]
        return [*ours, *(order for order in self.foreign if order.symbol == symbol)]

    async def watch(self, on_update: Callable[[AccountUpdate], None]) -> None:
        self.watchers.append(on_update)
        on_update(StreamOpened())
        try:
            await asyncio.Event().wait()
        finally:
            self.watchers.remove(on_update)

    def push(self, update: AccountUpdate) -> None:
        """The private stream says something."""
        for on_update in list(self.watchers):
            on_update(update)

    async def check_credentials(self) -> None:
        await asyncio.sleep(0)
        if self.credentials_error is not None:
            raise self.credentials_error

    async def warm(self) -> None:
        self.warmed.append(self._clock.now())
        if self.warm_error is not None:
            raise self.warm_error
        await asyncio.sleep(0)

    async def round_trip(self) -> timedelta:
        await asyncio.sleep(0)
        if self.warm_error is not None:
            raise self.warm_error
        return self.trip

    def order_wait_s(self, purpose: Purpose, orders: int = 1) -> float:
        return self.pace(purpose, orders) if self.pace is not None else 0.0

    async def close(self) -> None:
        self.closed = True

    def bought(self) -> Decimal:
        """Quote that buys took from the account, fees included, as the venue knows it."""
        return sum(
            (
                fill.quote_quantity + fill.fee
                for booked in self._book.values()
                if booked.order.side is Side.BUY
                for fill in booked.fills
            ),
            Decimal(0),
        )

    def holdings(self) -> dict[str, Decimal]:
        """Base held by symbol, as the venue knows it; symbols that are flat are left out."""
        held: dict[str, Decimal] = defaultdict(Decimal)
        for booked in self._book.values():
            sign = 1 if booked.order.side is Side.BUY else -1
            held[booked.order.symbol] += sign * sum((fill.quantity for fill in booked.fills), Decimal(0))
        return {symbol: quantity for symbol, quantity in held.items() if quantity}


class FakeMarket:
    """MarketData with a fixed price for everything, unless told otherwise."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.prices: dict[str, Decimal | None] = {}
        self.listeners: dict[str, list[Callable[[BookTicker], None]]] = defaultdict(list)
        self.asked: list[tuple[datetime, str]] = []
        self.known: dict[str, Instrument] = {}
        self.unknown: set[str] = set()
        self.error: Exception | None = None
        self.hangs = False
        self.closed = False

    def price(self, symbol: str) -> Decimal:
        """The market's price."""
        return self.prices.get(symbol) or PRICE

    async def _enter(self) -> None:
        await asyncio.sleep(0.002)
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error

    async def instruments(self) -> Sequence[Instrument]:
        await self._enter()
        return list(self.known.values())

    async def instrument(self, symbol: str, *, poll: bool = False) -> Instrument | None:
        await self._enter()
        if symbol in self.unknown:
            return None
        return self.known.get(symbol) or examples.instrument(symbol, taker_rate=FEE)

    async def book_ticker(self, symbol: str) -> BookTicker:
        self.asked.append((self._clock.now(), symbol))
        await self._enter()
        return self._ticker(symbol)

    async def watch_ticker(self, symbol: str, on_ticker: Callable[[BookTicker], None]) -> None:
        self.listeners[symbol].append(on_ticker)
        try:
            await asyncio.Event().wait()
        finally:
            self.listeners[symbol].remove(on_ticker)

    def push(self, symbol: str, price: Decimal | None) -> None:
        """The stream tells a new price; whoever asks hears it too."""
        self.prices[symbol] = price
        for on_ticker in list(self.listeners[symbol]):
            on_ticker(self._ticker(symbol))

    def _ticker(self, symbol: str) -> BookTicker:
        price = self.prices.get(symbol, PRICE)
        size = None if price is None else Decimal(1000)
        return BookTicker(
            symbol=symbol,
            bid=price,
            bid_quantity=size,
            ask=price,
            ask_quantity=size,
            received_at=self._clock.now(),
        )

    async def order_book(self, symbol: str, depth: int, *, poll: bool = False) -> OrderBook:
        await self._enter()
        if not poll:
            raise NotImplementedError
        price = self.prices.get(symbol, PRICE)
        levels = () if price is None else (BookLevel(price=price, quantity=Decimal(1000)),)
        return OrderBook(symbol=symbol, bids=levels, asks=levels, received_at=self._clock.now())

    async def close(self) -> None:
        self.closed = True


class FakeFeed:
    """A ListingFeed that shows what a test tells it to."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._watchers: list[Callable[[Sighting], None]] = []
        self.running = asyncio.Event()
        self.error: Exception | None = None
        self.hangs = False
        self.ahead = timedelta(0)
        self.on_schedule: Callable[[], None] = nothing_to_do
        self.quote_assets: tuple[str, ...] = ()
        self.known = frozenset({"OLDUSDT"})
        self.listings: dict[str, UpcomingListing] = {}
        self.markets: dict[str, Instrument] = {}
        self.heard = frozenset({"calendar", "exchange_info"})
        self.reading: ClockReading | None = None

    async def known_symbols(self) -> frozenset[str]:
        await asyncio.sleep(0)
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return self.known

    async def run(
        self,
        on_sighting: Callable[[Sighting], None],
        *,
        intervals: FeedIntervals,
        ahead: timedelta = timedelta(0),
        on_schedule: Callable[[], None] = nothing_to_do,
        quote_assets: Sequence[str] = QUOTE_ASSETS,
    ) -> None:
        self.ahead, self.on_schedule, self.quote_assets = ahead, on_schedule, tuple(quote_assets)
        self._watchers.append(on_sighting)
        self.running.set()
        try:
            await asyncio.Event().wait()
        finally:
            self._watchers.remove(on_sighting)
            if not self._watchers:
                self.running.clear()

    def upcoming(self) -> Sequence[UpcomingListing]:
        return [listing for listing in self.listings.values() if listing.state is ListingState.SCHEDULED]

    def schedule(self) -> ListingSchedule:
        return ListingSchedule(listings=tuple(self.listings.values()), markets=self.markets, heard=self.heard)

    def clock(self) -> ClockReading | None:
        return self.reading

    def monotonic_ns_at(self, venue_instant: datetime) -> int:
        offset = self.reading.offset if self.reading else timedelta(0)
        return round((venue_instant - offset - START) / timedelta(microseconds=1)) * 1000

    def announce(self, symbol: str, opens_at: datetime, **changes: Any) -> None:
        """A listing is announced, moved or ended; whoever watches is told."""
        values: dict[str, Any] = {"origins": ("calendar",), "first_announced_at": self._clock.now(), **changes}
        self.listings[symbol] = UpcomingListing(symbol=symbol, opens_at=opens_at, **values)
        self.on_schedule()

    def show(self, symbol: str, **changes: Any) -> None:
        """A source saw a new symbol. Nobody hears of it while the feed is not watched."""
        for on_sighting in list(self._watchers):
            on_sighting(self.sighting(symbol, **changes))

    def sighting(self, symbol: str, **changes: Any) -> Sighting:
        """What a source would say now."""
        values: dict[str, Any] = {
            "symbol": symbol,
            "source": DetectionSource.TICKER_DIFF,
            "seen_at": self._clock.now(),
            "received_ns": self._clock.monotonic_ns(),
        }
        return Sighting(**{**values, **changes})


class FakeVenues:
    """A VenueFactory that hands out the same fakes each time."""

    def __init__(self, venues: AccountVenues) -> None:
        self.venues = venues
        self.error: Exception | None = None
        self.hangs = False
        self.opened = 0

    async def open(self, account: Account, journal: EventSink) -> AccountVenues:
        self.opened += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return self.venues


def modes_of(venue: FakeVenue, *, live: bool) -> dict[Mode, Any]:
    """The venue under the modes that it serves."""
    return {Mode.SIMULATION: venue, Mode.LIVE: venue} if live else {Mode.SIMULATION: venue}
