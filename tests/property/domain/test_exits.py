"""Exit rules fire exactly from their bound on, stop-loss before trailing stop before take-profit before time: checked
against fractions. What they sell is never more than is held, and each level sells its share."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from functools import reduce
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from tests.property.domain.generators import any_exit_plans, exit_plans, positive, quick, ratios, take_profit_levels
from tests.unit.domain.examples import NOW, fill, instrument, position

from signalbox.domain.instruments import Instrument
from signalbox.domain.money import round_down
from signalbox.domain.orders import Fill, Side
from signalbox.domain.positions import ExitPlan, ExitRule, Position, TakeProfitLevel, apply_fill
from signalbox.domain.strategies.exits import ExitInputs, decide_exit, exit_shape


def _expected(plan: ExitPlan, entry: Fraction, bid: Fraction | None, held_us: int) -> ExitRule | None:
    if plan.stop_loss is not None and bid is not None and bid <= entry * (1 - Fraction(plan.stop_loss)):
        return ExitRule.STOP_LOSS
    if plan.take_profit is not None and bid is not None and bid >= entry * (1 + Fraction(plan.take_profit)):
        return ExitRule.TAKE_PROFIT
    if plan.time_limit_s is not None and held_us >= Fraction(plan.time_limit_s) * 1_000_000:
        return ExitRule.TIME_LIMIT
    return None


@settings(quick, max_examples=300)
@given(
    plan=exit_plans(),
    quantity=positive(places=6),
    cost=positive(places=6),
    change=st.none() | st.decimals(Decimal("-0.999"), Decimal(2), places=3),
    held_ms=st.integers(0, 200_000_000),
)
def test_the_first_rule_at_its_bound_fires(
    plan: ExitPlan, quantity: Decimal, cost: Decimal, change: Decimal | None, held_ms: int
) -> None:
    bid = None if change is None else cost / quantity * (1 + change)
    held = position(plan=plan, held=timedelta(milliseconds=held_ms), quantity=quantity, cost=cost)
    verdict = decide_exit(ExitInputs(position=held, now=NOW, bid=bid))
    expected = _expected(
        plan, Fraction(cost) / Fraction(quantity), None if bid is None else Fraction(bid), held_ms * 1000
    )
    assert (verdict.rule if verdict else None) == expected
    if verdict:
        assert [check.name for check in verdict.checks] == ["stop_loss", "take_profit", "time_limit"]


@quick
@given(
    bids=st.lists(positive(10, places=4), min_size=1, max_size=20),
    trail=ratios(),
    activation=st.none() | ratios(),
    entry=positive(10, places=4),
)
def test_a_trailing_stop_fires_exactly_when_the_bid_fell_by_its_fraction_from_the_highest(
    bids: list[Decimal], trail: Decimal, activation: Decimal | None, entry: Decimal
) -> None:
    plan = ExitPlan(trailing_stop=trail, trailing_activation=activation)
    held = position(plan=plan, quantity=Decimal(10), cost=entry * 10)
    peak = Fraction(0)
    for bid in bids:
        peak = max(peak, Fraction(bid))
        verdict = decide_exit(ExitInputs(position=held, now=NOW, bid=bid))
        counts = activation is None or peak >= Fraction(entry) * (1 + Fraction(activation))
        assert (verdict is not None) == (counts and bid <= peak * (1 - Fraction(trail)))
        held = structs.replace(held, highest_bid=max(held.highest_bid or bid, bid))


@st.composite
def _markets(draw: st.DrawFn) -> Instrument:
    minimum = draw(st.sampled_from([Decimal(0), Decimal(1), Decimal(5)]))
    return instrument(
        lot_size=draw(st.sampled_from([Decimal("0.01"), Decimal(1), Decimal("0.3")])),
        min_notional=minimum,
        min_notional_market=minimum,
        max_notional_market=draw(st.none() | st.just(Decimal(100))),
    )


@settings(quick, max_examples=200)
@given(
    plan=any_exit_plans(),
    market=_markets(),
    bought=positive(200, places=2),
    steps=st.lists(
        st.tuples(positive(3, places=3), st.decimals(0, 1, places=2), st.booleans()), min_size=1, max_size=25
    ),
    discount=st.none() | ratios(),
)
def test_whatever_the_prices_and_fills_no_more_is_sold_than_is_held(
    plan: ExitPlan, market: Instrument, bought: Decimal, steps: list[tuple[Decimal, Decimal, bool]], discount: Any
) -> None:
    """Random prices; of each order a random part is executed; sometimes the wallet has less than the books."""
    held = _after_buying(plan, bought)
    for number, (bid, executed, short) in enumerate(steps):
        free = held.quantity / 2 if short else None
        inputs = ExitInputs(
            position=held, now=NOW, bid=bid, instrument=market, free=free, discount=discount, flatten=number > 20
        )
        verdict = decide_exit(inputs)
        if verdict is None:
            continue
        assert verdict.quantity is not None
        assert 0 <= verdict.quantity <= (held.quantity if free is None else free)
        assert verdict.quantity % market.lot_size == 0
        shape = exit_shape(inputs, verdict)
        if shape is None:
            continue
        assert shape.quantity == verdict.quantity > 0
        if shape.limit_price is not None:
            assert 0 < shape.limit_price <= bid
        filled = round_down(verdict.quantity * executed, market.lot_size)
        held = _sell(held, filled, bid, f"S{number}")
        assert held.quantity >= 0
        assert held.bought == bought


@settings(quick, max_examples=200)
@given(
    levels=take_profit_levels(),
    bought=st.integers(1_000, 100_000).map(lambda lots: Decimal(lots) / 100),
    bids=st.lists(st.integers(80, 250).map(lambda cents: Decimal(cents) / 100), min_size=1, max_size=20),
    parts=st.lists(st.decimals(0, 1, places=2), min_size=1, max_size=5),
)
def test_each_level_sells_its_share_within_one_lot(
    levels: tuple[TakeProfitLevel, ...], bought: Decimal, bids: list[Decimal], parts: list[Decimal]
) -> None:
    market = instrument(min_notional=Decimal(0), min_notional_market=Decimal(0))
    held = _after_buying(ExitPlan(take_profit_levels=levels), bought)
    highest = Decimal(0)
    for number, bid in enumerate(bids):
        highest = max(highest, bid)
        for part in [*parts, Decimal(1)]:  # executed in pieces, the last of them whole
            verdict = decide_exit(ExitInputs(position=held, now=NOW, bid=bid, instrument=market))
            if verdict is None:
                break
            assert verdict.level is not None
            assert verdict.quantity is not None
            held = _sell(held, round_down(verdict.quantity * part, market.lot_size), bid, f"S{number} {part}")
        # the entry price is 1, so a level is reached by a bid of 1 + its gain
        asked = sum((level.share for level in levels if 1 + level.at <= highest), Decimal(0)) * bought
        assert asked - market.lot_size < bought - held.quantity <= asked


def _after_buying(plan: ExitPlan, bought: Decimal) -> Position:
    """Bought at a price of 1."""
    return _fold(position(plan=plan), [fill("B", str(bought), "1", fee=Decimal(0))])


def _sell(held: Position, quantity: Decimal, price: Decimal, trade_id: str) -> Position:
    if not quantity:
        return held
    return _fold(held, [fill(trade_id, str(quantity), str(price), side=Side.SELL)])


def _fold(held: Position, fills: list[Fill]) -> Position:
    return reduce(lambda before, one: apply_fill(before, one, quote_asset="USDT", base_asset="NEW"), fills, held)


@quick
@given(data=st.data(), bought=positive(100, places=2))
def test_any_order_of_partial_fills_leads_to_the_same_decision(data: st.DataObject, bought: Decimal) -> None:
    plan = ExitPlan(take_profit_levels=data.draw(take_profit_levels()))
    held = _after_buying(plan, bought)
    cuts = sorted(data.draw(st.lists(st.decimals(0, 1, places=2), max_size=4)))
    pieces = [bought * (high - low) / 2 for low, high in zip([Decimal(0), *cuts], cuts, strict=False) if high > low]
    sales = [fill(f"S{n}", str(piece), "1", side=Side.SELL, fee=Decimal(0)) for n, piece in enumerate(pieces)]
    shuffled = data.draw(st.permutations(sales))
    bid = data.draw(positive(3, places=2))
    first, second = [
        decide_exit(ExitInputs(position=_fold(held, fills), now=NOW, bid=bid, instrument=instrument()))
        for fills in (sales, shuffled)
    ]
    assert first == second
