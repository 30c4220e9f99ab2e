"""Positions are folded from fills, each counted once, and nothing is lost by rounding."""

from decimal import Decimal

import pytest
from tests.unit.domain.examples import NOW, fill, position

from signalbox.domain.errors import InvariantError
from signalbox.domain.money import ZERO
from signalbox.domain.orders import Fill, Side
from signalbox.domain.positions import Position, UniqueFills, apply_fill


def _apply(start: Position, *fills: Fill) -> Position:
    for one in fills:
        start = apply_fill(start, one, quote_asset="USDT", base_asset="NEW")
    return start


def test_a_buy_adds_quantity_and_cost_and_its_fee_is_a_loss() -> None:
    after = _apply(position(), fill("1", "40", "0.5"))
    assert (after.quantity, after.cost, after.fees) == (Decimal(40), Decimal(20), Decimal("0.02"))
    assert after.realised_pnl == Decimal("-0.02")
    assert after.average_entry_price == Decimal("0.5")
    assert after.bought == Decimal(40)


def test_a_full_sale_leaves_nothing_and_books_the_result() -> None:
    after = _apply(position(), fill("1", "40", "0.5"), fill("2", "40", "0.6", side=Side.SELL))
    assert (after.quantity, after.cost) == (ZERO, ZERO)
    assert after.average_entry_price is None
    assert after.realised_pnl == Decimal(4) - Decimal("0.020") - Decimal("0.024")
    assert after.fees == Decimal("0.044")


def test_a_partial_sale_takes_its_share_of_the_cost() -> None:
    after = _apply(position(), fill("1", "40", "0.5"), fill("2", "10", "0.6", side=Side.SELL, fee=Decimal(0)))
    assert (after.quantity, after.cost) == (Decimal(30), Decimal(15))
    assert after.realised_pnl == Decimal("-0.02") + Decimal(6) - Decimal(5)


def test_the_cost_of_a_sold_part_is_rounded_down_to_eighteen_decimals() -> None:
    after = _apply(position(quantity=Decimal(3), cost=Decimal(2)), fill("1", "1", "1", side=Side.SELL, fee=ZERO))
    assert after.cost == Decimal("1.333333333333333334")
    assert after.realised_pnl == Decimal("0.333333333333333334")


def test_sums_close_to_the_last_digit_after_sales_by_thirds() -> None:
    bought = fill("1", "3", "0.33333333")
    sold = [fill(str(number), "1", "0.4", side=Side.SELL) for number in (2, 3, 4)]
    after = _apply(position(), bought, *sold)
    brought = sum(one.quote_quantity for one in sold)
    assert after.cost == 0
    assert after.realised_pnl == brought - bought.quote_quantity - after.fees


def test_a_fee_in_the_base_asset_reduces_what_is_held() -> None:
    after = _apply(position(), fill("1", "40", "0.5", fee=Decimal("0.04"), fee_asset="NEW"))
    assert (after.quantity, after.cost, after.fees, after.realised_pnl) == (Decimal("39.96"), Decimal(20), ZERO, ZERO)
    assert after.bought == Decimal("39.96")


def test_a_sale_leaves_what_was_bought_as_it_was() -> None:
    after = _apply(position(), fill("1", "40", "0.5"), fill("2", "10", "0.6", side=Side.SELL), fill("3", "2", "0.5"))
    assert (after.quantity, after.bought) == (Decimal(32), Decimal(42))


def test_a_fee_in_the_base_asset_leaves_with_a_sale() -> None:
    held = position(quantity=Decimal(40), cost=Decimal(20))
    after = _apply(held, fill("1", "20", "0.5", side=Side.SELL, fee=Decimal(1), fee_asset="NEW"))
    assert after.quantity == Decimal(19)
    assert after.cost == Decimal("9.5")


def test_a_fee_in_a_third_asset_is_no_quote_fee() -> None:
    after = _apply(position(), fill("1", "40", "0.5", fee=Decimal("0.001"), fee_asset="MX"))
    assert (after.quantity, after.fees, after.realised_pnl) == (Decimal(40), ZERO, ZERO)


def test_a_sale_of_more_than_is_held_books_the_surplus_without_cost() -> None:
    after = _apply(position(quantity=Decimal(1), cost=Decimal(2)), fill("1", "3", "2", side=Side.SELL, fee=Decimal(0)))
    assert (after.quantity, after.cost, after.realised_pnl) == (ZERO, ZERO, Decimal(4))


def test_a_sale_of_nothing_held_is_booked_too() -> None:
    after = _apply(position(), fill("1", "3", "2", side=Side.SELL, fee=Decimal(0)))
    assert (after.quantity, after.cost, after.realised_pnl) == (ZERO, ZERO, Decimal(6))


def test_a_fill_of_another_symbol_is_refused() -> None:
    with pytest.raises(InvariantError, match="OTHERUSDT is no fill of NEWUSDT"):
        _apply(position(), fill("1", "3", "2", symbol="OTHERUSDT"))


def test_a_fill_counts_once_however_often_it_arrives() -> None:
    fills = UniqueFills()
    first, second = fill("1", "2", "0.5"), fill("2", "3", "0.5")
    assert fills.add([first, first]) == [first]
    assert fills.add([second, first]) == [second]
    assert fills.add([first, second]) == []
    assert len(fills) == 2
    assert fills.totals() == (Decimal(5), Decimal("2.5"), {"USDT": Decimal("0.0025")})


def test_a_repeated_trade_id_keeps_the_first_version() -> None:
    fills = UniqueFills()
    fills.add([fill("1", "2", "0.5")])
    assert fills.add([fill("1", "9", "0.5")]) == []
    assert fills.totals()[0] == Decimal(2)


def test_the_same_trade_id_on_two_markets_is_two_fills() -> None:
    fills = UniqueFills()
    fills.add([fill("1", "2", "0.5"), fill("1", "2", "0.5", symbol="OTHERUSDT")])
    assert len(fills) == 2


def test_fees_are_totalled_by_asset() -> None:
    fills = UniqueFills()
    fills.add([fill("1", "2", "0.5"), fill("2", "2", "0.5"), fill("3", "2", "0.5", fee=Decimal(1), fee_asset="MX")])
    assert fills.totals()[2] == {"USDT": Decimal("0.002"), "MX": Decimal(1)}


def test_fills_of_one_second_have_a_stable_order() -> None:
    fills = UniqueFills()
    fills.add([fill("b", "1", "1"), fill("a", "1", "1"), fill("c", "1", "1", filled_at=NOW.replace(hour=11))])
    assert [one.exchange_trade_id for one in fills.in_order()] == ["c", "a", "b"]


def test_nothing_was_filled() -> None:
    assert UniqueFills().totals() == (ZERO, ZERO, {})
