"""How one attempt is priced and sized."""

from decimal import Decimal
from typing import Any

import pytest
from tests.unit.domain.examples import configuration, instrument

from signalbox.domain.configuration import ListingSniperParameters, OrderStyle
from signalbox.domain.order_shapes import first_shape, ioc_shape
from signalbox.domain.orders import OrderType, TimeInForce

MARKET = instrument()


@pytest.mark.parametrize("style", [OrderStyle.MARKET, OrderStyle.MARKET_THEN_IOC])
def test_s4_a_market_entry_spends_a_quote_amount(style: OrderStyle) -> None:
    shape = first_shape(configuration(parameters={"order_style": style}), instrument=None, price=None)
    assert shape is not None
    assert (shape.order_type, shape.quote_amount, shape.quantity) == (OrderType.MARKET, Decimal(25), None)


def test_s4_a_limit_entry_is_immediate_or_cancel_with_a_highest_price() -> None:
    ioc = configuration(parameters={"order_style": OrderStyle.IOC_LIMIT})
    shape = first_shape(ioc, instrument=instrument(), price=Decimal("0.5"))
    assert shape is not None
    assert (shape.order_type, shape.time_in_force) == (OrderType.LIMIT, TimeInForce.IOC)
    assert shape.limit_price == Decimal("0.55")
    assert shape.quantity == Decimal("45.45")  # 25 / 0.55 = 45.4545…
    assert shape.quote_amount is None


@pytest.mark.parametrize(
    ("price", "max_price", "price_cap", "limit_price"),
    [
        ("0.5", None, None, "0.55"),
        ("0.5", "0.52", None, "0.52"),
        ("0.5", None, "0.51", "0.51"),
        ("0.5", "0.52", "0.51", "0.51"),
        ("0.5", "0.51", "0.52", "0.51"),
        (None, "0.52", None, "0.52"),
        (None, "0.52", "0.51", "0.51"),
        ("0.50009", "0.52", None, "0.52"),
        ("0.12345", None, None, "0.1357"),  # 0.135795 down to the tick of 0.0001
    ],
)
def test_the_lowest_bound_wins_and_is_rounded_down(
    price: str | None, max_price: str | None, price_cap: str | None, limit_price: str
) -> None:
    shape = _ioc(price=price, max_price=max_price, price_cap=price_cap)
    assert shape is not None
    assert shape.limit_price == Decimal(limit_price)


@pytest.mark.parametrize(
    "arguments",
    [
        {"price": None},
        {"price": None, "price_cap": "0.5"},
        {"price": "0"},
        {"price": "0.00001"},  # rounds to nothing at a tick of 0.0001
        {"price": "0.5", "market": None},
        {"price": "100", "market": instrument(lot_size=Decimal(1))},  # 25 buys less than one lot
    ],
)
def test_there_is_no_shape_without_price_rules_or_size(arguments: dict[str, Any]) -> None:
    assert _ioc(**arguments) is None


def _ioc(*, price: str | None, max_price: str | None = None, price_cap: str | None = None, market: Any = MARKET) -> Any:
    return ioc_shape(
        ListingSniperParameters(max_price=None if max_price is None else Decimal(max_price)),
        Decimal(25),
        instrument=market,
        price=None if price is None else Decimal(price),
        price_cap=None if price_cap is None else Decimal(price_cap),
    )
