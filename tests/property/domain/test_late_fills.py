"""Whatever comes late, in whatever order: positions are the fold of their fills, and totals are the venue's."""

from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.domain import examples

from signalbox.domain.explained_fills import explained_rest, is_explained
from signalbox.domain.orders import EvidenceState, Fill, OrderEvidence, Side
from signalbox.domain.position_folds import after_fills, refolded
from signalbox.domain.positions import UniqueFills

INSTRUMENT = examples.instrument(taker_rate=Decimal("0.0005"))
NOW = examples.NOW

quantities = st.decimals("0.01", "500", places=2)
prices = st.decimals("0.0001", "50", places=4)


@st.composite
def buys(draw: st.DrawFn) -> list[Fill]:
    """Executions of an entry, each with an id of its own and the venue's times cut to the second."""
    count = draw(st.integers(1, 8))
    return [
        examples.fill(
            f"b{number}",
            str(draw(quantities)),
            str(draw(prices)),
            filled_at=NOW + timedelta(seconds=draw(st.integers(0, 3))),
        )
        for number in range(count)
    ]


@given(fills=buys(), data=st.data())
def test_late_fills_give_the_position_that_fills_in_time_give(fills: list[Fill], data: st.DataObject) -> None:
    """Any part of an entry's fills may come after the position was sold in parts or as a whole."""
    whole = after_fills(examples.position(), fills, INSTRUMENT, now=NOW)
    late = data.draw(st.integers(0, len(fills)))
    early = after_fills(examples.position(), fills[late:], INSTRUMENT, now=NOW)
    assert refolded(early, fills, INSTRUMENT, now=NOW).quantity == whole.quantity
    in_time = refolded(examples.position(), fills, INSTRUMENT, now=NOW)
    assert refolded(early, data.draw(st.permutations(fills)), INSTRUMENT, now=NOW) == (
        in_time if early.closed_at is None or in_time.closed_at is None else early
    )
    assert (in_time.cost, in_time.realised_pnl, in_time.fees) == (whole.cost, whole.realised_pnl, whole.fees)


@given(fills=buys(), share=st.decimals("0.1", "1", places=1), price=prices)
def test_money_is_kept_when_a_sold_position_grows(fills: list[Fill], share: Decimal, price: Decimal) -> None:
    """Result minus cost is what sells brought minus what buys cost minus the fees, before and after."""
    bought = sum((fill.quantity for fill in fills), Decimal(0))
    sold = max(Decimal("0.01"), (bought * share).quantize(Decimal("0.01")))
    sale = examples.fill("s1", str(min(sold, bought)), str(price), side=Side.SELL, filled_at=NOW)
    position = refolded(examples.position(), [*fills, sale], INSTRUMENT, now=NOW)
    paid = sum((fill.quote_quantity + fill.fee for fill in fills), Decimal(0))
    assert position.realised_pnl - position.cost == sale.quote_quantity - sale.fee - paid
    assert position.quantity == bought - sale.quantity
    assert (position.closed_at is None) == (position.quantity >= INSTRUMENT.lot_size)


@given(fills=buys(), data=st.data())
def test_the_explained_rest_makes_the_totals_whole(fills: list[Fill], data: st.DataObject) -> None:
    everything = UniqueFills()
    everything.add(fills)
    quantity, quote, fees = everything.totals()
    evidence = OrderEvidence(
        state=EvidenceState.FILLED, exchange_order_id="C1", executed_quantity=quantity, executed_quote=quote
    )
    listed = fills[data.draw(st.integers(0, len(fills))) :]
    rest = explained_rest(
        examples.order(), evidence, listed, instrument=INSTRUMENT, revision=data.draw(st.integers(1, 3)), now=NOW
    )
    if len(listed) == len(fills):
        assert rest is None
        return
    assert rest is not None
    assert is_explained(rest)
    assert not any(is_explained(fill) for fill in fills)
    both = UniqueFills()
    both.add([*listed, rest])
    assert both.totals()[:2] == (quantity, quote)
    if listed:  # all pay one rate
        assert abs(both.totals()[2]["USDT"] - fees["USDT"]) < Decimal("1e-15")
