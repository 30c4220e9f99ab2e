"""Simulation mode: filled on the live book, never on a wish, and never sent anywhere."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs
from tests.venue_examples import NOON, ManualClock, example_order

from signalbox.domain.errors import InvariantError, VenueUnavailable
from signalbox.domain.instruments import Instrument, InstrumentStatus
from signalbox.domain.market import BookLevel, BookTicker, OrderBook
from signalbox.domain.orders import (
    Accepted,
    EvidenceState,
    Mode,
    Order,
    OrderType,
    RefusalKind,
    Rejected,
    Side,
    StageTimes,
    SubmitOutcome,
    TimeInForce,
)
from signalbox.venues.paper.venue import PaperVenue

ABC = Instrument(
    symbol="ABCUSDT",
    base="ABC",
    quote="USDT",
    status=InstrumentStatus.TRADING,
    tick_size=Decimal("0.0001"),
    lot_size=Decimal("0.01"),
    min_notional=Decimal(1),
    min_notional_market=Decimal(2),
    taker_rate=Decimal("0.001"),
    opens_at=NOON - timedelta(hours=1),
)
IOC: dict[str, Any] = {"order_type": OrderType.LIMIT, "time_in_force": TimeInForce.IOC}
FOK: dict[str, Any] = {"order_type": OrderType.LIMIT, "time_in_force": TimeInForce.FOK}


def levels(*pairs: tuple[str, str]) -> tuple[BookLevel, ...]:
    return tuple(BookLevel(price=Decimal(price), quantity=Decimal(quantity)) for price, quantity in pairs)


class FakeMarket:
    """MarketData with one market."""

    def __init__(self) -> None:
        self.instrument_now: Instrument | None = ABC
        self.asks = levels(("0.5", "20"), ("0.6", "10"), ("1", "100"))
        self.bids = levels(("0.49", "30"), ("0.4", "10"))
        self.away = False

    async def instruments(self) -> Sequence[Instrument]:
        return [self.instrument_now] if self.instrument_now else []

    async def instrument(self, symbol: str, *, poll: bool = False) -> Instrument | None:
        assert not poll
        if self.away:
            raise VenueUnavailable("the venue is away")
        return self.instrument_now if symbol == "ABCUSDT" else None

    async def book_ticker(self, symbol: str) -> BookTicker:
        raise NotImplementedError(symbol)

    async def watch_ticker(self, symbol: str, on_ticker: Callable[[BookTicker], None]) -> None:
        raise NotImplementedError(symbol)

    async def order_book(self, symbol: str, depth: int, *, poll: bool = False) -> OrderBook:
        assert depth > 0
        assert not poll
        return OrderBook(symbol=symbol, bids=self.bids, asks=self.asks, received_at=NOON)

    async def close(self) -> None: ...


class Desk:
    """A paper venue on a fake market."""

    def __init__(self) -> None:
        self.market = FakeMarket()
        self.venue = PaperVenue(self.market, clock=ManualClock())

    async def send(self, **changes: Any) -> tuple[Order, SubmitOutcome]:
        order = example_order(mode=Mode.SIMULATION, **changes)
        return order, await self.venue.submit(order, StageTimes())

    async def fills(self, order: Order) -> list[tuple[Decimal, Decimal]]:
        evidence = await self.venue.find_order(order)
        return [(f.price, f.quantity) for f in await self.venue.fills(order, evidence.exchange_order_id or "")]


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_a_market_buy_walks_the_asks_until_the_money_is_used(desk: Desk) -> None:
    order, outcome = await desk.send(quote_amount=Decimal(20))
    assert isinstance(outcome, Accepted)
    assert await desk.fills(order) == [
        (Decimal("0.5"), Decimal(20)),
        (Decimal("0.6"), Decimal(10)),
        (Decimal(1), Decimal(4)),
    ]
    evidence = await desk.venue.find_order(order)
    assert (evidence.state, evidence.executed_quantity, evidence.executed_quote) == (
        EvidenceState.FILLED,
        Decimal(34),
        Decimal(20),
    )
    assert outcome.response["fill_model"] == desk.venue.fill_model == "book-walk-v1"
    assert outcome.response["simulated"] is True


async def test_fees_are_the_taker_rate_in_quote_and_ids_come_from_the_order(desk: Desk) -> None:
    order, outcome = await desk.send(quote_amount=Decimal(10))
    assert isinstance(outcome, Accepted)
    [fill] = await desk.venue.fills(order, outcome.exchange_order_id)
    assert (fill.fee, fill.fee_asset) == (Decimal("0.010"), "USDT")
    assert fill.exchange_trade_id == f"paper-{order.id.hex}-1"
    assert list(await desk.venue.fills(order, "another")) == []


async def test_a_book_that_is_too_thin_ends_partially_cancelled(desk: Desk) -> None:
    order, _ = await desk.send(quote_amount=Decimal(500))
    evidence = await desk.venue.find_order(order)
    assert (evidence.state, evidence.executed_quote) == (EvidenceState.PARTIALLY_CANCELLED, Decimal(116))


async def test_a_market_sell_walks_the_bids_in_whole_lots(desk: Desk) -> None:
    order, _ = await desk.send(side=Side.SELL, quantity=Decimal("35.005"))
    assert await desk.fills(order) == [(Decimal("0.49"), Decimal(30)), (Decimal("0.4"), Decimal(5))]


@pytest.mark.parametrize(
    ("changes", "filled", "state"),
    [
        ({**IOC, "quantity": Decimal(25), "limit_price": Decimal("0.55")}, 20, EvidenceState.PARTIALLY_CANCELLED),
        ({**IOC, "quantity": Decimal(25), "limit_price": Decimal("0.6")}, 25, EvidenceState.FILLED),
        ({**IOC, "quantity": Decimal(25), "limit_price": Decimal("0.45")}, 0, EvidenceState.CANCELLED),
        ({**FOK, "quantity": Decimal(25), "limit_price": Decimal("0.55")}, 0, EvidenceState.CANCELLED),
        ({**FOK, "quantity": Decimal(25), "limit_price": Decimal("0.6")}, 25, EvidenceState.FILLED),
        (
            {**IOC, "side": Side.SELL, "quantity": Decimal(35), "limit_price": Decimal("0.45")},
            30,
            EvidenceState.PARTIALLY_CANCELLED,
        ),
    ],
)
async def test_limits_respect_their_price(
    desk: Desk, changes: dict[str, Any], filled: int, state: EvidenceState
) -> None:
    order, outcome = await desk.send(**changes)
    assert isinstance(outcome, Accepted)
    evidence = await desk.venue.find_order(order)
    assert (evidence.executed_quantity, evidence.state) == (Decimal(filled), state)


async def refusal(desk: Desk, **changes: Any) -> tuple[str, RefusalKind]:
    order, outcome = await desk.send(**changes)
    assert isinstance(outcome, Rejected)
    assert (await desk.venue.find_order(order)).state is EvidenceState.NOT_FOUND
    return outcome.code, outcome.kind


async def test_an_unknown_market_has_no_price_to_simulate_with(desk: Desk) -> None:
    assert await refusal(desk, symbol="INJECTEDUSDT") == ("NO_MARKET", RefusalKind.NOT_LISTED)


async def test_an_empty_side_has_none_either(desk: Desk) -> None:
    desk.market.asks = ()
    assert await refusal(desk) == ("NO_OPPOSITE", RefusalKind.NO_OPPOSITE)


async def test_a_market_that_opens_later_is_not_filled_on_its_early_book(desk: Desk) -> None:
    desk.market.instrument_now = structs.replace(
        ABC, status=InstrumentStatus.ANNOUNCED, opens_at=NOON + timedelta(seconds=1)
    )
    assert await refusal(desk) == ("NOT_OPEN", RefusalKind.NOT_OPEN_YET)


async def test_a_status_that_lags_behind_the_opening_does_not_matter(desk: Desk) -> None:
    desk.market.instrument_now = structs.replace(
        ABC, status=InstrumentStatus.ANNOUNCED, opens_at=NOON - timedelta(seconds=1)
    )
    _, outcome = await desk.send()
    assert isinstance(outcome, Accepted)


@pytest.mark.parametrize(
    ("changed", "order", "expected"),
    [
        ({"status": InstrumentStatus.PAUSED}, {}, ("NOT_OPEN", RefusalKind.NOT_OPEN_YET)),
        ({"api_tradable": False}, {}, ("NOT_API_TRADABLE", RefusalKind.NOT_LISTED)),
        ({"market_orders": False}, {}, ("NO_MARKET_ORDERS", RefusalKind.ORDER_TYPE)),
        ({}, {"quote_amount": Decimal("1.99")}, ("MIN_NOTIONAL", RefusalKind.TERMINAL)),
        ({}, {"side": Side.SELL, "quantity": Decimal(4)}, ("MIN_NOTIONAL", RefusalKind.TERMINAL)),
        (
            {},
            {"order_type": OrderType.LIMIT, "quantity": Decimal(9), "limit_price": Decimal(1)},
            ("UNSUPPORTED", RefusalKind.TERMINAL),
        ),
        ({}, {"side": Side.SELL, "quote_amount": Decimal(5)}, ("UNSUPPORTED", RefusalKind.TERMINAL)),
    ],
)
async def test_refusals(
    desk: Desk, changed: dict[str, Any], order: dict[str, Any], expected: tuple[str, RefusalKind]
) -> None:
    desk.market.instrument_now = structs.replace(ABC, **changed)
    assert await refusal(desk, **order) == expected


async def test_without_live_prices_nothing_is_invented(desk: Desk) -> None:
    desk.market.away = True
    assert await refusal(desk) == ("NO_PRICES", RefusalKind.THROTTLED)


async def test_the_same_order_again_gets_the_same_answer_and_no_new_fills(desk: Desk) -> None:
    order, first = await desk.send()
    before = await desk.fills(order)
    desk.market.asks = levels(("9", "9"))
    again = await desk.venue.submit(order, StageTimes())
    assert isinstance(first, Accepted)
    assert isinstance(again, Accepted)
    assert (again.exchange_order_id, again.response) == (first.exchange_order_id, first.response)
    assert await desk.fills(order) == before


async def test_a_new_process_knows_nothing_of_earlier_orders(desk: Desk) -> None:
    order, _ = await desk.send()
    after_restart = PaperVenue(desk.market, clock=ManualClock())
    assert (await after_restart.find_order(order)).state is EvidenceState.NOT_FOUND
    assert list(await after_restart.fills(order, "x")) == []


async def test_g3_a_live_order_is_never_simulated(desk: Desk) -> None:
    with pytest.raises(InvariantError, match="live mode"):
        await desk.venue.submit(example_order(), StageTimes())


async def test_stages_are_stamped(desk: Desk) -> None:
    stages = StageTimes()
    await desk.venue.submit(example_order(mode=Mode.SIMULATION), stages)
    assert stages.sent_at == stages.acknowledged_at == NOON
