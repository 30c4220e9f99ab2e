"""The tape and the timetable of a pair."""

from decimal import Decimal

import pytest

from signalbox.simulators.market import Seeds, Side
from signalbox.simulators.mexc.clock import ManualClock
from signalbox.simulators.mexc.exchange import Exchange
from signalbox.simulators.mexc.instruments import Phase
from signalbox.simulators.mexc.listings import listing_pair, price_scale
from signalbox.simulators.mexc.options import ListingOptions, SimulatorOptions
from signalbox.simulators.mexc.tape import Tape

D = Decimal
HOUR = 3_600_000


def whole(*values: Decimal) -> list[int]:
    """Exact whole numbers, for short comparisons."""
    assert all(value == int(value) for value in values)
    return [int(value) for value in values]


def test_candles_and_day() -> None:
    """Trades make minute candles, minutes make longer ones, the last 24 hours make the day."""
    tape = Tape()
    for at_ms, price in ((0, "1"), (30_000, "3"), (60_000, "2"), (HOUR, "5")):
        tape.record(D(price), D(10), Side.BUY, at_ms)
    first = tape.candles[0]
    assert whole(first.open, first.high, first.low, first.close, first.volume, first.turnover) == [1, 3, 1, 3, 20, 40]
    hours = tape.klines(HOUR)
    assert [whole(candle.open, candle.close, candle.volume) for candle in hours] == [[1, 2, 30], [5, 5, 10]]
    day = tape.day()
    assert day is not None
    assert whole(day.open, day.high, day.low, day.close, day.volume) == [1, 5, 1, 5, 40]
    assert [trade.price for trade in tape.newest(2)] == [5, 2]


def test_history_ends_at_the_price() -> None:
    """An established pair has a past that leads to its present price."""
    tape = Tape()
    tape.invent_history(Seeds(1), "BTCUSDT", D(100), 10 * HOUR + 5, minutes=90)
    assert tape.last_price == 100
    assert len(tape.candles) == 90
    assert all(candle.low <= candle.open <= candle.high for candle in tape.candles)
    times = [candle.opens_at_ms for candle in tape.candles]
    assert times == sorted(times)


def test_life_of_a_listing() -> None:
    """Unknown, pending, open; api trading later; then cancelled for good."""
    listing = ListingOptions(
        symbol="ABCUSDT", open_in_ms=1_000, announce_in_ms=500, late_ms=200, api_tradable_after_ms=300
    )
    table = listing_pair(Seeds(1), listing, 10_000, 250).timetable
    phases = [table.phase(now) for now in (10_499, 10_500, 11_199, 11_200)]
    assert phases == [Phase.UNKNOWN, Phase.PENDING, Phase.PENDING, Phase.OPEN]
    assert table.published_open_ms == 11_000
    assert (table.is_api_tradable(11_499), table.is_api_tradable(11_500)) == (False, True)
    table.halted = True
    assert table.phase(12_000) is Phase.HALTED
    table.gone_at_ms = 13_000
    assert table.phase(13_000) is Phase.GONE


def test_move_keeps_the_offsets() -> None:
    """Lateness, status and api delay move along with the opening."""
    listing = ListingOptions(symbol="ABCUSDT", open_in_ms=1_000, late_ms=200, status_late_ms=50)
    table = listing_pair(Seeds(1), listing, 0, 250).timetable
    table.move_to(5_000)
    assert (table.published_open_ms, table.opens_at_ms, table.status_online_at_ms) == (5_000, 5_200, 5_250)
    assert table.api_from_ms == 5_200


@pytest.mark.parametrize(("price", "scale"), [("0.5", 5), ("0.00012", 8), ("91000", 0), ("3.2", 4), ("120", 2)])
def test_price_scale(price: str, scale: int) -> None:
    """About five significant digits."""
    assert price_scale(D(price)) == scale


@pytest.mark.parametrize("symbol", ["USDT", "ABCBTC", ""])
def test_symbol_must_end_with_its_quote(symbol: str) -> None:
    """A listing without a base asset makes no sense."""
    with pytest.raises(ValueError, match="must be a base asset followed by the quote"):
        listing_pair(Seeds(1), ListingOptions(symbol=symbol), 0, 250)


def test_book_depends_on_the_step_not_on_who_looked() -> None:
    """An exchange that was looked at often has the same book and price as one that was looked at once."""

    def book_after(looks: int) -> object:
        clock = ManualClock()
        exchange = Exchange(SimulatorOptions(listings=(ListingOptions(symbol="ABCUSDT"),)), clock)
        pair = exchange.pairs["ABCUSDT"]
        for _ in range(looks):
            clock.advance(120_000 // looks)
            exchange.catch_up(pair, exchange.now_ms())
        return pair.price, pair.tape.last_price, pair.book.levels(Side.BUY, 20), pair.book.levels(Side.SELL, 20)

    assert book_after(1) == book_after(48)


def test_idle_pairs_are_swept_a_few_at_a_time() -> None:
    """Nobody looks; still no pair falls far behind."""
    clock = ManualClock()
    exchange = Exchange(SimulatorOptions(), clock)
    before = {symbol: pair.tape.count for symbol, pair in exchange.pairs.items()}
    for _ in range(10):
        clock.advance(1_000)
        exchange.advance(exchange.now_ms())
    assert all(pair.tape.count > before[symbol] for symbol, pair in exchange.pairs.items())
