"""The venue of simulation mode: live prices, invented fills, no credentials. It cannot send anything."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct, structs

from signalbox.domain.book_walk import (
    FILL_MODEL,
    WalkFill,
    buy_by_quote,
    take_quantity,
    total_quantity,
    total_quote,
)
from signalbox.domain.errors import InvariantError, VenueUnavailable
from signalbox.domain.instruments import Instrument, InstrumentStatus, TradableSymbols
from signalbox.domain.market import OrderBook
from signalbox.domain.money import plain
from signalbox.domain.orders import (
    Accepted,
    EvidenceState,
    Fill,
    Mode,
    Order,
    OrderEvidence,
    OrderType,
    Purpose,
    RefusalKind,
    Rejected,
    Side,
    StageTimes,
    SubmitOutcome,
    TimeInForce,
)
from signalbox.domain.ports import Clock, MarketData
from signalbox.domain.venue_records import AccountUpdate, Balance, VenueOrder

BOOK_DEPTH = 200
_MOST_REMEMBERED = 10_000


class _Done(Struct, frozen=True, kw_only=True):
    outcome: Accepted
    evidence: OrderEvidence
    fills: tuple[Fill, ...]


class PaperVenue:
    """OrderVenue that fills at once on the live book or cancels.

    Remembers the last 10,000 orders for as long as the process lives; after a restart `find_order` knows nothing.
    Refusals carry codes of our own: NO_MARKET, NO_OPPOSITE, NOT_OPEN, NOT_API_TRADABLE, MIN_NOTIONAL, UNSUPPORTED,
    NO_PRICES.
    """

    fill_model: str | None = FILL_MODEL

    def __init__(self, market: MarketData, *, clock: Clock) -> None:
        self._market = market
        self._clock = clock
        self._instruments: dict[str, Instrument] = {}
        self._orders: OrderedDict[str, _Done] = OrderedDict()

    def prepare(self, order: Order) -> None:
        """Nothing to sign."""

    async def submit(self, order: Order, stages: StageTimes) -> SubmitOutcome:
        """Fill the order on the book as it is now. The same order again gets the same answer and no new fills.

        Raises InvariantError for a live order: it would be recorded as real and never be sent.
        """
        if order.mode is not Mode.SIMULATION:
            raise InvariantError(f"order {order.id} is in {order.mode} mode and must not be simulated")
        before = self._orders.get(order.client_order_id)
        if before is not None:
            return before.outcome
        stages.sent_at = self._clock.now()
        try:
            outcome = await self._execute(order)
        except VenueUnavailable as error:
            outcome = _refused("NO_PRICES", f"no live prices to simulate with: {error}", RefusalKind.THROTTLED)
        stages.acknowledged_at = self._clock.now()
        return outcome

    async def find_order(self, order: Order) -> OrderEvidence:
        """The simulated record; NOT_FOUND for orders of an earlier process."""
        done = self._orders.get(order.client_order_id)
        return done.evidence if done else OrderEvidence(state=EvidenceState.NOT_FOUND)

    async def fills(self, order: Order, exchange_order_id: str) -> Sequence[Fill]:
        """The simulated executions."""
        done = self._orders.get(order.client_order_id)
        return done.fills if done and done.outcome.exchange_order_id == exchange_order_id else ()

    async def cancel(self, order: Order) -> None:
        """Nothing to do: no simulated order rests."""

    async def balances(self) -> Sequence[Balance]:
        """None: simulated orders move no money."""
        return ()

    async def recent_orders(self, symbol: str, since: datetime) -> Sequence[VenueOrder]:  # noqa: ARG002 - the port's
        """None: nobody else can send a simulated order, and ours end at once."""
        return ()

    async def watch(self, on_update: Callable[[AccountUpdate], None]) -> None:  # noqa: ARG002 - the port's
        """Nothing ever changes by itself: waits until cancelled."""
        await asyncio.Event().wait()

    async def tradable_symbols(self) -> TradableSymbols:
        """Nothing binds simulation to any pair."""
        return TradableSymbols(has_key=False)

    async def check_credentials(self) -> None:
        """Nothing to check: there are none."""

    async def warm(self) -> None:
        """Nothing to open: prices come over the market data's own connections."""

    async def round_trip(self) -> timedelta:
        """None: nothing is sent."""
        return timedelta(0)

    def order_wait_s(self, purpose: Purpose, orders: int = 1) -> float:  # noqa: ARG002 - the port's signature
        """Never: no venue counts these."""
        return 0.0

    async def close(self) -> None:
        """Nothing to close: the market data belongs to whoever made it."""

    async def _execute(self, order: Order) -> SubmitOutcome:
        instrument = await self._instrument(order.symbol)
        refusal = _unfit(order, instrument, self._clock.now())
        if instrument is None or refusal is not None:
            return refusal or _no_market(order)
        book = await self._market.order_book(order.symbol, BOOK_DEPTH)
        refusal = _too_small(order, instrument, book)
        if refusal is not None:
            return refusal
        return self._remember(order, instrument, _walk(order, instrument, book))

    async def _instrument(self, symbol: str) -> Instrument | None:
        """Rules of a trading market are kept: they do not change within a run. Others are asked for each time."""
        known = self._instruments.get(symbol)
        if known is not None:
            return known
        instrument = await self._market.instrument(symbol)
        if instrument is not None and instrument.status is InstrumentStatus.TRADING and instrument.api_tradable:
            self._instruments[symbol] = instrument
        return instrument

    def _remember(self, order: Order, instrument: Instrument, walked: Sequence[WalkFill]) -> SubmitOutcome:
        filled_at = self._clock.now()
        fills = tuple(
            Fill(
                exchange_trade_id=f"paper-{order.id.hex}-{number}",
                symbol=order.symbol,
                side=order.side,
                price=fill.price,
                quantity=fill.quantity,
                quote_quantity=fill.quote,
                fee=fill.fee,
                fee_asset=instrument.quote,
                filled_at=filled_at,
            )
            for number, fill in enumerate(walked, start=1)
        )
        exchange_order_id = f"paper-{order.id.hex}"
        quantity, quote = total_quantity(walked), total_quote(walked)
        state = _end_state(order, walked, instrument)
        response = {
            "orderId": exchange_order_id,
            "symbol": order.symbol,
            "simulated": True,
            "fill_model": FILL_MODEL,
            "status": state.value,
            "executedQty": plain(quantity),
            "executedQuote": plain(quote),
        }
        done = _Done(
            outcome=Accepted(
                exchange_order_id=exchange_order_id,
                response=response,
                request={"simulated": True, "fill_model": FILL_MODEL},
            ),
            evidence=OrderEvidence(
                state=state,
                exchange_order_id=exchange_order_id,
                executed_quantity=quantity,
                executed_quote=quote,
                response=response,
            ),
            fills=fills,
        )
        done = self._orders.setdefault(order.client_order_id, done)
        while len(self._orders) > _MOST_REMEMBERED:
            self._orders.popitem(last=False)
        return done.outcome


def _unfit(order: Order, instrument: Instrument | None, now: datetime) -> Rejected | None:
    """Why the venue would not take this order at all, or None."""
    rests = order.order_type is OrderType.LIMIT and order.time_in_force not in (TimeInForce.IOC, TimeInForce.FOK)
    if rests or order.order_type is OrderType.TRIGGER:
        return _refused(
            "UNSUPPORTED",
            f"{FILL_MODEL} simulates market, IOC and FOK orders, not {order.order_type} that rests",
            RefusalKind.TERMINAL,
        )
    if order.quote_amount is not None and (order.side is Side.SELL or order.order_type is not OrderType.MARKET):
        return _refused("UNSUPPORTED", "only a market buy can be sized in quote", RefusalKind.TERMINAL)
    if instrument is None:
        return _no_market(order)
    if not instrument.api_tradable:
        return _refused(
            "NOT_API_TRADABLE", f"{order.symbol} is not open to trading over the API", RefusalKind.NOT_LISTED
        )
    is_closed = instrument.status in (InstrumentStatus.PAUSED, InstrumentStatus.OFFLINE)
    if is_closed or (instrument.opens_at is not None and instrument.opens_at > now):
        return _refused("NOT_OPEN", f"{order.symbol} is not open: {instrument.status}", RefusalKind.NOT_OPEN_YET)
    if order.order_type is OrderType.MARKET and not instrument.market_orders:
        return _refused("NO_MARKET_ORDERS", f"{order.symbol} takes no market orders", RefusalKind.ORDER_TYPE)
    return None


def _too_small(order: Order, instrument: Instrument, book: OrderBook) -> Rejected | None:
    """An empty book refuses as the venue would; so does a size under its minimum."""
    levels = book.asks if order.side is Side.BUY else book.bids
    if not levels:
        return _refused(
            "NO_OPPOSITE", f"nobody offers the other side of {order.symbol} right now", RefusalKind.NO_OPPOSITE
        )
    is_market = order.order_type is OrderType.MARKET
    minimum = instrument.min_notional_market if is_market else instrument.min_notional
    price = order.limit_price or levels[0].price
    notional = order.quote_amount if order.quote_amount is not None else (order.quantity or 0) * price
    if notional < minimum:
        refusal = _refused(
            "MIN_NOTIONAL",
            f"{plain(notional)} {instrument.quote} is below the minimum of {plain(minimum)} for {order.symbol}",
            RefusalKind.TERMINAL,
        )
        return structs.replace(refusal, least_notional=minimum)
    return None


def _walk(order: Order, instrument: Instrument, book: OrderBook) -> list[WalkFill]:
    levels = book.asks if order.side is Side.BUY else book.bids
    if order.quote_amount is not None:
        return buy_by_quote(levels, order.quote_amount, instrument)
    if order.quantity is None:
        raise InvariantError(f"order {order.id} has no size")
    walked = take_quantity(levels, order.quantity, instrument, side=order.side, limit_price=order.limit_price)
    if order.time_in_force is TimeInForce.FOK and total_quantity(walked) < order.quantity:
        return []
    return walked


def _end_state(order: Order, walked: Sequence[WalkFill], instrument: Instrument) -> EvidenceState:
    quantity = total_quantity(walked)
    if not quantity:
        return EvidenceState.CANCELLED
    if order.quantity is not None:
        is_whole = quantity >= order.quantity
    else:
        left = (order.quote_amount or total_quote(walked)) - total_quote(walked)
        is_whole = left < walked[-1].price * instrument.lot_size
    return EvidenceState.FILLED if is_whole else EvidenceState.PARTIALLY_CANCELLED


def _no_market(order: Order) -> Rejected:
    return _refused(
        "NO_MARKET",
        f"the venue has no market {order.symbol} (yet), so there is no price to simulate with",
        RefusalKind.NOT_LISTED,
    )


def _refused(code: str, message: str, kind: RefusalKind) -> Rejected:
    return Rejected(code=code, message=message, kind=kind, response={"simulated": True, "code": code, "msg": message})
