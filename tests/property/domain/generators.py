"""What hypothesis draws for the domain: amounts, steps, symbols, instants, fills, and the inputs of an entry."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from tests.unit.domain import examples

from signalbox.domain.configuration import OrderStyle
from signalbox.domain.instruments import InstrumentStatus
from signalbox.domain.orders import Fill, Mode, Side
from signalbox.domain.positions import ExitPlan, TakeProfitLevel
from signalbox.domain.risk.capacity import Usage
from signalbox.domain.risk.checks import EntryInputs
from signalbox.domain.signals import DetectionSource
from signalbox.domain.strategies.listing_sniper import entry_mode

quick = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
"""For every property test: a busy machine is no failure."""

SYMBOLS = ("NEWUSDT", "NEWUSDC", "4USDT", "GOLD(PAXG)USDT", "索拉拉USDT", "A[B]USDT")


def amounts(least: int = 0, most: int = 1_000_000, *, places: int = 12) -> st.SearchStrategy[Decimal]:
    """Amounts, prices and quantities from `least` to `most`, with none, two, half or all of `places` decimals."""
    return st.one_of([_whole_units(least * 10**digits, most, digits) for digits in _numbers_of_digits(places)])


def positive(most: int = 1_000_000, *, places: int = 12) -> st.SearchStrategy[Decimal]:
    """Amounts above zero."""
    return st.one_of([_whole_units(1, most, digits) for digits in _numbers_of_digits(places)])


def _numbers_of_digits(places: int) -> list[int]:
    return sorted({0, min(2, places), places // 2, places})


def _whole_units(least: int, most: int, digits: int) -> st.SearchStrategy[Decimal]:
    return st.integers(least, most * 10**digits).map(lambda units: Decimal(f"{units}E-{digits}"))


def steps() -> st.SearchStrategy[Decimal]:
    """Tick and lot sizes: powers of ten, and a few that are not."""
    powers = st.integers(-2, 14).map(lambda decimals: Decimal(1).scaleb(-decimals))
    return powers | st.sampled_from([Decimal("0.5"), Decimal("0.25"), Decimal(5), Decimal("0.3"), Decimal("0.0007")])


def instants() -> st.SearchStrategy[datetime]:
    """Instants in UTC."""
    return st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive bounds


@st.composite
def fills_of_one_order(draw: st.DrawFn, *, side: Side, most: int = 1_000_000) -> list[Fill]:
    """Distinct fills of one order: one side, one symbol, ids of its own, some at the same second."""
    return [
        Fill(
            exchange_trade_id=f"{number}X1",
            symbol="NEWUSDT",
            side=side,
            price=draw(positive(places=8)),
            quantity=draw(positive(most)),
            quote_quantity=draw(positive()),
            fee=draw(amounts(places=18)),
            fee_asset=draw(st.sampled_from(["USDT", "MX"])),
            filled_at=examples.NOW + timedelta(seconds=draw(st.integers(0, 2))),
        )
        for number in range(draw(st.integers(1, 5)))
    ]


def ratios() -> st.SearchStrategy[Decimal]:
    """Fractions between 0 and 1, neither of them included."""
    return st.integers(1, 9900).map(lambda number: Decimal(number) / 10_000)


_RATIOS = ratios()


def exit_plans() -> st.SearchStrategy[ExitPlan]:
    """Any mix of the rules that sell everything at once and remember nothing."""
    return st.builds(
        ExitPlan,
        take_profit=st.none() | _RATIOS,
        stop_loss=st.none() | _RATIOS,
        time_limit_s=st.none() | positive(100000, places=3),
    )


@st.composite
def any_exit_plans(draw: st.DrawFn) -> ExitPlan:
    """Any mix of all rules that a configuration may have."""
    levels = draw(st.just(()) | take_profit_levels())
    trailing = draw(st.none() | _RATIOS)
    return ExitPlan(
        take_profit=None if levels else draw(st.none() | _RATIOS),
        take_profit_levels=levels,
        stop_loss=draw(st.none() | _RATIOS),
        trailing_stop=trailing,
        trailing_activation=None if trailing is None else draw(st.none() | _RATIOS),
        time_limit_s=draw(st.none() | positive(100000, places=3)),
    )


@st.composite
def take_profit_levels(draw: st.DrawFn) -> tuple[TakeProfitLevel, ...]:
    """Ascending levels that sell at most everything."""
    gains = sorted(draw(st.sets(_RATIOS, min_size=1, max_size=4)))
    cuts = sorted(draw(st.sets(st.integers(1, 100), min_size=len(gains), max_size=len(gains))))
    shares = [Decimal(high - low) / 100 for low, high in zip([0, *cuts], cuts, strict=False)]
    return tuple(TakeProfitLevel(at=at, share=share) for at, share in zip(gains, shares, strict=True))


def usages() -> st.SearchStrategy[Usage]:
    """What may be taken, around the default limits."""
    by_symbol = st.dictionaries(st.sampled_from(SYMBOLS), amounts(most=300), max_size=4)
    return by_symbol.flatmap(
        lambda exposure: st.builds(
            Usage,
            orders_last_hour=st.integers(0, 12),
            spent_today=amounts(most=600),
            realised_today=amounts(-150, 150),
            exposure=amounts(most=600),
            exposure_by_symbol=st.just(exposure),
            symbols=st.just(tuple(sorted(exposure))),
        )
    )


@st.composite
def entry_inputs(draw: st.DrawFn) -> EntryInputs:
    """Inputs of an entry: any of the checks may agree or not."""
    symbol = draw(st.sampled_from(SYMBOLS))
    source = draw(st.sampled_from(DetectionSource))
    parameters: dict[str, Any] = {
        "order_style": draw(st.sampled_from(OrderStyle)),
        "max_price": draw(st.none() | positive(10, places=6)),
        "quote_assets": draw(st.sampled_from([("USDT",), ("USDT", "USDC")])),
        "deny_symbols": draw(st.sampled_from([(), ("4*",), ("A[B]USDT",)])),
        "exit_plan": draw(exit_plans()),
    }
    mode = draw(st.sampled_from(Mode))
    amount = draw(positive(60, places=2))
    return examples.entry_inputs(
        signal=examples.signal(symbol, source=source, at=draw(instants())),
        configuration=examples.configuration(
            symbols=draw(st.sampled_from([("*USDT",), ("*",), SYMBOLS[:2]])),
            quote_amount=amount,
            mode=mode,
            safety_enabled=draw(st.booleans()),
            parameters=parameters,
        ),
        settings=examples.settings(
            mode=mode,
            auto_trade=True,
            global_exposure_cap=draw(st.none() | amounts(most=600)),
            asset_exposure_caps=draw(
                st.dictionaries(st.sampled_from(["NEW", "4", "GOLD(PAXG)", "索拉拉"]), amounts(most=300))
            ),
            daily_loss_limit=draw(st.none() | amounts(most=150)),
        ),
        usage=draw(usages()),
        mode=entry_mode(source, mode),
        now=draw(instants()),
        amount=amount * Decimal("1.0005"),
        run_active=draw(st.booleans()),
        kill_switch=draw(st.booleans()),
        instrument=draw(
            st.none()
            | st.builds(
                examples.instrument,
                symbol=st.just(symbol),
                status=st.sampled_from(InstrumentStatus),
                tick_size=steps(),
                lot_size=steps(),
                opens_at=st.none() | instants(),
            )
        ),
        reference_price=draw(st.none() | positive(10)),
    )
