"""Payloads become domain values; odd ones become one clear error each."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.unit.venues.mexc.payloads import payload

from signalbox.domain.instruments import InstrumentStatus
from signalbox.domain.orders import EvidenceState, Side
from signalbox.venues.mexc import parse, wire
from signalbox.venues.mexc.errors import MalformedAnswer

NOW = datetime(2026, 1, 1, 0, 0, 0, tzinfo=UTC)
OPENS = datetime(2026, 1, 1, 1, 0, 0, tzinfo=UTC)


def symbol_info(**changes: Any) -> wire.SymbolInfo:
    first = msgspec.json.decode(payload("http_get_exchange_info.json"))["symbols"][0]
    return msgspec.convert(first | changes, wire.SymbolInfo)


def test_exchange_information() -> None:
    found, bad = parse.instruments(payload("http_get_exchange_info.json"), NOW)
    by_symbol = {instrument.symbol: instrument for instrument in found}
    assert bad == []
    abc = by_symbol["ABCUSDT"]
    assert (abc.base, abc.quote, abc.status) == ("ABC", "USDT", InstrumentStatus.TRADING)
    assert (abc.tick_size, abc.lot_size) == (Decimal("0.00001"), Decimal("0.01"))
    assert (abc.min_notional, abc.min_notional_market) == (Decimal(1), Decimal(1))
    assert (abc.max_notional_market, abc.taker_rate) == (Decimal(100_000), Decimal("0.0005"))
    assert (abc.api_tradable, abc.market_orders, abc.opens_at) == (True, True, OPENS)
    assert by_symbol["NEWUSDT"].status is InstrumentStatus.ANNOUNCED
    assert by_symbol["NEWUSDT"].api_tradable, "before the opening the flag says nothing about the time after it"
    assert not by_symbol["WEBUSDT"].api_tradable
    assert by_symbol["WEBUSDT"].status is InstrumentStatus.TRADING
    assert by_symbol["索拉拉USDT"].tick_size == Decimal("0.0000001")
    assert by_symbol["GOLD(PAXG)USDT"].opens_at is None


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"status": 1}, "status", InstrumentStatus.TRADING),
        ({"status": "ENABLED"}, "status", InstrumentStatus.TRADING),
        ({"status": "3"}, "status", InstrumentStatus.OFFLINE),
        ({"orderTypes": ["LIMIT"]}, "market_orders", False),
        ({"filters": []}, "sell_band", None),
        ({"filters": [{"filterType": "OTHER"}, {"askMultiplierDown": "0.2"}]}, "sell_band", Decimal("0.2")),
        ({"filters": [{"askMultiplierDown": "1.5"}]}, "sell_band", None),
        ({"takerCommission": 0.002}, "taker_rate", Decimal("0.002")),
        ({"quoteAmountPrecisionMarket": "5"}, "min_notional_market", Decimal(5)),
        ({"quoteAmountPrecisionMarket": None}, "min_notional_market", Decimal(1)),
        ({"quoteAssetPrecision": None, "quotePrecision": 3}, "tick_size", Decimal("0.001")),
        ({"maxQuoteAmountMarket": "0"}, "max_notional_market", None),
        ({"firstOpenTime": 0}, "opens_at", None),
        ({"tradeSideType": "4"}, "api_tradable", False),
        ({"aFieldOfNextYear": {"x": 1}}, "symbol", "ABCUSDT"),
    ],
)
def test_the_forms_that_a_market_may_take(changes: dict[str, object], field: str, value: object) -> None:
    assert getattr(parse.instrument(symbol_info(**changes), NOW), field) == value


def test_one_odd_market_does_not_hide_the_others() -> None:
    info = msgspec.json.decode(payload("http_get_exchange_info.json"))
    info["symbols"].insert(1, {"symbol": "ODDUSDT", "status": "1"})
    found, bad = parse.instruments(msgspec.json.encode(info), NOW)
    assert len(found) == 5
    assert len(bad) == 1
    assert "ODDUSDT" in bad[0]


@pytest.mark.parametrize(
    ("minutes_after_opening", "status"),
    [(-60, InstrumentStatus.ANNOUNCED), (1, InstrumentStatus.ANNOUNCED), (61, InstrumentStatus.PAUSED)],
)
def test_status_2_is_announced_until_the_flip_is_overdue(minutes_after_opening: int, status: InstrumentStatus) -> None:
    info = symbol_info(status="2", firstOpenTime=1767229200000)
    assert parse.instrument(info, OPENS + timedelta(minutes=minutes_after_opening)).status is status


@pytest.mark.parametrize(
    "changes",
    [
        {"baseAssetPrecision": -1},
        {"baseAssetPrecision": 99},
        {"quoteAssetPrecision": None, "quotePrecision": None},
        {"quoteAmountPrecision": "NaN"},
        {"quoteAmountPrecision": "-1"},
        {"takerCommission": "Infinity"},
        {"firstOpenTime": 10**18},
    ],
)
def test_a_market_whose_numbers_make_no_sense_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises((ValueError, ArithmeticError)):
        parse.instrument(symbol_info(**changes), NOW)


def test_ticker_prices() -> None:
    prices, bad = parse.ticker_prices(payload("http_get_ticker_price_all.json"))
    assert [(entry.symbol, parse.optional_price(entry.price)) for entry in prices] == [
        ("ABCUSDT", Decimal("0.5")),
        ("索拉拉USDT", Decimal("0.0021")),
    ]
    assert bad == []


def test_pairs_without_a_trade_are_no_malformed_prices() -> None:
    body = (
        b'[{"symbol":"A","price":"0"},{"symbol":"B","price":""},{"symbol":"C","price":null},{"symbol":"D","price":1.5}]'
    )
    prices, bad = parse.ticker_prices(body)
    assert [parse.optional_price(entry.price) for entry in prices] == [None, None, None, Decimal("1.5")]
    assert bad == []


def test_one_odd_price_does_not_hide_the_others() -> None:
    prices, bad = parse.ticker_prices(b'[{"symbol":"ABCUSDT","price":"1"},{"symbol":7},{"price":"2"}]')
    assert [entry.symbol for entry in prices] == ["ABCUSDT"]
    assert len(bad) == 2


@pytest.mark.parametrize("value", [None, "", "0", "0.000", "-1", "NaN", "Infinity", "abc", 0, 0.0])
def test_no_price(value: Any) -> None:
    assert parse.optional_price(value) is None


def test_order_book_is_sorted_and_drops_empty_levels() -> None:
    body = b'{"bids":[["1","5"],["2","1"],["3","0"]],"asks":[["9","1"],["4","2"],[5,2.5]]}'
    book = parse.order_book(body, "ABCUSDT", NOW)
    assert [level.price for level in book.bids] == [2, 1]
    assert [level.price for level in book.asks] == [4, 5, 9]
    assert parse.order_book(payload("http_get_depth.json"), "ABCUSDT", NOW).asks[0].quantity == 7


@pytest.mark.parametrize("name", ["http_get_calendar.json", "http_get_calendar_with_zone.json"])
def test_calendar_entries(name: str) -> None:
    listings, bad = parse.calendar(payload(name))
    assert (listings[0].base, listings[0].opens_at) == ("ABC", OPENS)
    assert bad == []


@pytest.mark.parametrize("name", ["", " ", "A B", "x" * 41, "a\u0000b"])
def test_a_calendar_entry_without_a_usable_name_is_bad(name: str) -> None:
    entry = {"vcoinId": "1", "vcoinName": name, "firstOpenTime": 1767229200000}
    listings, bad = parse.calendar(msgspec.json.encode({"data": {"newCoins": [entry]}}))
    assert (listings, len(bad)) == ([], 1)


def test_an_acknowledgement_gives_only_its_id() -> None:
    assert parse.order_id(payload("http_post_order.json")) == "C02__900000000000000001"
    assert parse.order_id(b'{"orderId":123}') == "123"


def test_order_evidence() -> None:
    evidence = parse.order_evidence(payload("http_get_order_filled.json"))
    assert (evidence.state, evidence.exchange_order_id) == (EvidenceState.FILLED, "C02__900000000000000001")
    assert (evidence.executed_quantity, evidence.executed_quote) == (Decimal("47.61"), Decimal("23.805"))
    assert evidence.response["clientOrderId"] == "sb-0001"


@pytest.mark.parametrize(
    ("status", "executed", "state"),
    [
        ("NEW", "0", EvidenceState.OPEN),
        ("PARTIALLY_FILLED", "1", EvidenceState.OPEN),
        ("FILLED", "2", EvidenceState.FILLED),
        ("CANCELED", "0", EvidenceState.CANCELLED),
        ("CANCELED", "1", EvidenceState.PARTIALLY_CANCELLED),
        ("PARTIALLY_CANCELED", "1", EvidenceState.PARTIALLY_CANCELLED),
    ],
)
def test_order_states(status: str, executed: str, state: EvidenceState) -> None:
    body = msgspec.json.encode({"orderId": "1", "status": status, "executedQty": executed, "cummulativeQuoteQty": None})
    assert parse.order_evidence(body).state is state


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("http_get_order_new.json", EvidenceState.OPEN),
        ("http_get_order_canceled.json", EvidenceState.CANCELLED),
        ("http_get_order_partially_canceled.json", EvidenceState.PARTIALLY_CANCELLED),
    ],
)
def test_recorded_order_states(name: str, state: EvidenceState) -> None:
    assert parse.order_evidence(payload(name)).state is state


def test_fills() -> None:
    [fill] = parse.fills(payload("http_get_my_trades.json"), "C02__900000000000000001")
    assert (fill.exchange_trade_id, fill.side, fill.quantity) == ("700000000000000001X1", Side.BUY, Decimal("47.61"))
    assert (fill.quote_quantity, fill.fee, fill.fee_asset) == (Decimal("23.805"), Decimal("0.0119025"), "USDT")
    [in_mx] = parse.fills(payload("http_get_my_trades_fee_in_mx.json"), "C02__900000000000000001")
    assert (in_mx.fee, in_mx.fee_asset) == (Decimal("0.0058"), "MX")


def test_fills_are_oldest_first_and_of_the_order_asked_for() -> None:
    trade = msgspec.json.decode(payload("http_get_my_trades.json"))[0]
    later = trade | {"id": "b", "time": trade["time"] + 1000}
    other = trade | {"id": "c", "orderId": "C02__8"}
    found = parse.fills(msgspec.json.encode([later, other, trade]), trade["orderId"])
    assert [fill.exchange_trade_id for fill in found] == [trade["id"], "b"]


NAN_TRADE = (
    b'[{"id":"1","orderId":"1","symbol":"X","price":"1","qty":"1","quoteQty":"1","commission":"NaN",'
    b'"commissionAsset":"USDT","time":1,"isBuyer":true,"isMaker":false}]'
)
HTML = payload("http_get_calendar_challenge.html")


@pytest.mark.parametrize(
    "read",
    [
        parse.server_time,
        parse.default_symbols,
        lambda body: parse.instruments(body, NOW),
        parse.ticker_prices,
        lambda body: parse.order_book(body, "ABCUSDT", NOW),
        parse.calendar,
        parse.order_id,
        parse.order_evidence,
        lambda body: parse.fills(body, "1"),
        parse.may_trade,
        parse.api_key,
        parse.own_symbols,
    ],
)
@pytest.mark.parametrize(
    "body",
    [HTML, b"", b"null", b"[1,2", b'{"data":7,"symbols":1,"permissions":4,"orderId":[]}', b'"\xff\xfe"', b"[" * 5000],
)
def test_garbage_is_one_clear_error_with_a_bounded_excerpt(read: Callable[[bytes], object], body: bytes) -> None:
    with pytest.raises(MalformedAnswer) as caught:
        read(body)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (lambda body: parse.order_book(body, "X", NOW), b'{"bids":[["NaN","1"]],"asks":[]}'),
        (parse.order_evidence, b'{"orderId":"1","status":"EXPIRED"}'),
        (parse.order_evidence, b'{"orderId":"1","status":"FILLED","executedQty":"-1"}'),
        (parse.order_id, b'{"orderId":""}'),
        (
            lambda body: parse.fills(body, "1"),
            NAN_TRADE,
        ),
    ],
)
def test_well_formed_nonsense_is_malformed_too(read: Callable[[bytes], object], body: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        read(body)
