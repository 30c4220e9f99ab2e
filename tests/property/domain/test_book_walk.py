"""The simulated fills, whatever the book: never above the amount, always whole lots, never beyond the limit."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from signalbox.domain.book_walk import WalkFill, buy_by_quote, take_quantity, total_quantity, total_quote
from signalbox.domain.instruments import Instrument, InstrumentStatus
from signalbox.domain.market import BookLevel
from signalbox.domain.money import step_of
from signalbox.domain.orders import Side


def amounts(places: int, highest: int = 10**9) -> SearchStrategy[Decimal]:
    """Positive decimals with up to `places` decimals."""
    return st.integers(1, highest).map(lambda n: Decimal(n).scaleb(-places))


def instruments() -> SearchStrategy[Instrument]:
    return st.builds(
        lambda decimals, rate: Instrument(
            symbol="ABCUSDT",
            base="ABC",
            quote="USDT",
            status=InstrumentStatus.TRADING,
            tick_size=step_of(8),
            lot_size=step_of(decimals),
            min_notional=Decimal(1),
            min_notional_market=Decimal(1),
            taker_rate=Decimal(rate).scaleb(-4),
        ),
        st.integers(0, 8),
        st.integers(0, 50),
    )


def books(side: Side) -> SearchStrategy[list[BookLevel]]:
    levels = st.lists(
        st.builds(BookLevel, price=amounts(8), quantity=amounts(8)), max_size=12, unique_by=lambda level: level.price
    )
    return levels.map(lambda found: sorted(found, key=lambda level: level.price, reverse=side is Side.SELL))


def assert_sound(fills: list[WalkFill], levels: list[BookLevel], instrument: Instrument) -> None:
    offered = {level.price: level.quantity for level in levels}
    assert [fill.price for fill in fills] == [
        level.price for level in levels if level.price in {f.price for f in fills}
    ]
    for fill in fills:
        assert 0 < fill.quantity <= offered[fill.price]
        assert fill.quantity % instrument.lot_size == 0
        assert fill.quote == fill.price * fill.quantity
        assert fill.fee == fill.quote * instrument.taker_rate


@given(books(Side.BUY), amounts(6), instruments())
def test_a_buy_by_amount_never_spends_more_than_the_amount(
    levels: list[BookLevel], spend: Decimal, instrument: Instrument
) -> None:
    fills = buy_by_quote(levels, spend, instrument)
    assert_sound(fills, levels, instrument)
    assert total_quote(fills) <= spend


@given(books(Side.BUY), amounts(6), instruments())
def test_a_buy_by_amount_stops_only_when_money_or_book_is_used_up(
    levels: list[BookLevel], spend: Decimal, instrument: Instrument
) -> None:
    fills = buy_by_quote(levels, spend, instrument)
    left = spend - total_quote(fills)
    taken = {fill.price: fill.quantity for fill in fills}
    for level in levels:
        rest = level.quantity - taken.get(level.price, Decimal(0))
        if rest >= instrument.lot_size:
            assert left < level.price * instrument.lot_size
            break


@given(st.sampled_from(Side), st.data(), amounts(8), instruments())
def test_a_quantity_is_never_exceeded_and_a_limit_is_kept(
    side: Side, data: st.DataObject, quantity: Decimal, instrument: Instrument
) -> None:
    levels = data.draw(books(side))
    limit = data.draw(st.none() | amounts(8))
    fills = take_quantity(levels, quantity, instrument, side=side, limit_price=limit)
    assert_sound(fills, levels, instrument)
    assert total_quantity(fills) <= quantity
    if limit is not None:
        assert all(fill.price <= limit if side is Side.BUY else fill.price >= limit for fill in fills)
