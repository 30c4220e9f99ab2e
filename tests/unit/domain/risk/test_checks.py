"""Each check at its boundary: limit, value, verdict and kind."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.unit.domain.examples import NOW, configuration, entry_inputs, instrument, settings, signal, usage

from signalbox.domain.configuration import OrderStyle
from signalbox.domain.instruments import InstrumentStatus
from signalbox.domain.orders import Mode
from signalbox.domain.risk.checks import CheckKind, CheckVerdict, EntryInputs, RiskCheck, SkipCode
from signalbox.domain.risk.entry_rules import ENTRY_CHECKS

CENT = Decimal("0.01")
LIMITS = {
    "kill_switch",
    "credentials",
    "max_trade_usdt",
    "max_position_usdt",
    "asset_exposure_cap",
    "global_exposure_cap",
    "daily_loss_limit",
    "max_daily_spend",
    "max_trades_per_hour",
    "max_concurrent_listings",
}


def _run(name: str, inputs: EntryInputs) -> RiskCheck:
    results = {check(inputs).name: check(inputs) for check in ENTRY_CHECKS}
    return results[name]


def test_every_check_has_a_name_of_its_own_and_agrees_to_a_good_entry() -> None:
    results = [check(entry_inputs()) for check in ENTRY_CHECKS]
    assert len({result.name for result in results}) == len(ENTRY_CHECKS)
    assert {result.verdict for result in results} <= {CheckVerdict.PASSED, CheckVerdict.NOT_APPLICABLE}
    assert {result.name for result in results if result.kind is CheckKind.LIMIT} == LIMITS
    for result in results:
        assert (result.code is SkipCode.SAFETY_CONSTRAINT) == (result.kind is CheckKind.LIMIT)
        assert result.message


PASSED, FAILED, ABSENT = CheckVerdict.PASSED, CheckVerdict.FAILED, CheckVerdict.NOT_APPLICABLE
IOC = configuration(parameters={"order_style": OrderStyle.IOC_LIMIT})


@pytest.mark.parametrize(
    ("name", "changes", "verdict"),
    [
        ("kill_switch", {"kill_switch": True}, FAILED),
        ("credentials", {"mode": Mode.LIVE}, PASSED),
        ("credentials", {"mode": Mode.LIVE, "credentials_refused": True}, FAILED),
        ("credentials", {"mode": Mode.SIMULATION, "credentials_refused": True}, ABSENT),
        ("run_active", {"run_active": False}, FAILED),
        ("freshness", {"now": NOW + timedelta(seconds=10)}, PASSED),
        ("freshness", {"now": NOW + timedelta(seconds=10, microseconds=1)}, FAILED),
        ("symbol_allowed", {"configuration": configuration(symbols=("NEWUSDT",))}, PASSED),
        ("symbol_allowed", {"configuration": configuration(symbols=("OTHERUSDT",))}, FAILED),
        ("symbol_allowed", {"configuration": configuration(parameters={"deny_symbols": ("NEW*",)})}, FAILED),
        (
            "symbol_allowed",
            {"configuration": configuration(parameters={"deny_symbols": ("A[B]USDT",)}), "signal": signal("A[B]USDT")},
            FAILED,
        ),
        ("quote_asset", {"instrument": instrument(quote="BTC")}, FAILED),
        ("quote_asset", {"instrument": None}, PASSED),
        ("quote_asset", {"instrument": None, "signal": signal("NEWBTC")}, FAILED),
        ("tradable", {"instrument": None}, ABSENT),
        ("tradable", {"instrument": instrument(api_tradable=False)}, FAILED),
        ("tradable", {"instrument": instrument(status=InstrumentStatus.OFFLINE)}, FAILED),
        ("tradable", {"instrument": instrument(status=InstrumentStatus.ANNOUNCED)}, PASSED),
        ("duplicate", {"usage": usage(symbols=("NEWUSDT",))}, FAILED),
        ("duplicate", {"usage": usage(symbols=("OTHERUSDT",))}, PASSED),
        ("min_notional", {"instrument": instrument(min_notional_market=Decimal(25))}, PASSED),
        ("min_notional", {"instrument": instrument(min_notional_market=Decimal("25.01"))}, FAILED),
        ("min_notional", {"instrument": instrument(min_notional=Decimal(100))}, PASSED),
        ("min_notional", {"instrument": instrument(min_notional=Decimal(100)), "configuration": IOC}, FAILED),
        ("min_notional", {"instrument": None}, ABSENT),
        ("price_sanity", {"configuration": configuration(parameters={"max_price": Decimal("0.5")})}, PASSED),
        ("price_sanity", {"configuration": configuration(parameters={"max_price": Decimal("0.4999")})}, FAILED),
        ("price_sanity", {}, ABSENT),
        ("priceable", {}, ABSENT),
        ("priceable", {"configuration": IOC}, PASSED),
        ("priceable", {"configuration": IOC, "instrument": None}, FAILED),
        ("priceable", {"configuration": IOC, "reference_price": None}, FAILED),
    ],
)
def test_a_check_at_its_boundary(name: str, changes: dict[str, Any], verdict: CheckVerdict) -> None:
    assert _run(name, entry_inputs(**changes)).verdict is verdict


@pytest.mark.parametrize(
    ("name", "taken", "limited"),
    [
        ("max_trade_usdt", {}, {"settings": settings(max_trade_usdt=Decimal("24.99"))}),
        (
            "max_position_usdt",
            {"exposure_by_symbol": {"NEWUSDT": Decimal("174.96"), "OTHERUSDT": Decimal(900)}},
            {},
        ),
        (
            "asset_exposure_cap",
            {"exposure_by_symbol": {"NEWUSDT": Decimal("4.96"), "OTHERUSDT": Decimal(900)}},
            {"settings": settings(asset_exposure_caps={"NEW": Decimal(30)})},
        ),
        ("global_exposure_cap", {"exposure": Decimal("474.96")}, {}),
        ("max_daily_spend", {"spent_today": Decimal("474.96")}, {}),
        ("max_trades_per_hour", {"orders_last_hour": 10}, {}),
        ("max_concurrent_listings", {"symbols": ("A", "B", "C")}, {}),
        ("daily_loss_limit", {"realised_today": Decimal(-100)}, {}),
    ],
)
def test_g1_a_limit_blocks_from_one_cent_above(name: str, taken: dict[str, Any], limited: dict[str, Any]) -> None:
    above = entry_inputs(usage=usage(**taken), **limited)
    assert _run(name, above).verdict is FAILED
    one_less: dict[str, Any] = {key: _one_less(value) for key, value in taken.items()}
    looser = {"settings": settings(max_trade_usdt=Decimal(25))} if name == "max_trade_usdt" else limited
    at_the_limit = _run(name, entry_inputs(usage=usage(**one_less), **looser))
    assert at_the_limit.verdict is PASSED
    assert at_the_limit.limit is not None
    assert at_the_limit.value is not None


def _one_less(value: Any) -> Any:
    """One cent, one order, one listing or one cent of loss less."""
    if isinstance(value, dict):
        return {symbol: amount - CENT for symbol, amount in value.items()}
    if isinstance(value, tuple):
        return value[1:]
    if isinstance(value, int):
        return value - 1
    return value - CENT if value > 0 else value + CENT


def test_an_absent_limit_is_recorded_as_not_applicable() -> None:
    unlimited = entry_inputs(settings=settings(global_exposure_cap=None, daily_loss_limit=None))
    for name in ("global_exposure_cap", "daily_loss_limit", "asset_exposure_cap"):
        result = _run(name, unlimited)
        assert (result.verdict, result.limit) == (ABSENT, None)


def test_a_loss_limit_of_zero_allows_trading_until_the_first_loss() -> None:
    strict = settings(daily_loss_limit=Decimal(0))
    assert _run("daily_loss_limit", entry_inputs(settings=strict)).verdict is PASSED
    lost = usage(realised_today=Decimal("-0.01"))
    assert _run("daily_loss_limit", entry_inputs(settings=strict, usage=lost)).verdict is FAILED
    won = usage(realised_today=Decimal(5))
    assert _run("daily_loss_limit", entry_inputs(settings=strict, usage=won)).value == "0"


def test_the_cap_of_an_asset_counts_all_its_pairs() -> None:
    dollars = configuration(parameters={"quote_assets": ("USDT", "USDC")})
    held = usage(exposure_by_symbol={"NEWUSDC": Decimal(10), "NEWERUSDT": Decimal(90), "XNEWUSDT": Decimal(90)})
    result = _run(
        "asset_exposure_cap",
        entry_inputs(configuration=dollars, usage=held, settings=settings(asset_exposure_caps={"NEW": Decimal(35)})),
    )
    assert result.verdict is FAILED
    assert result.value == "35.05"


def test_the_cap_of_an_asset_holds_before_its_market_is_known() -> None:
    capped = settings(asset_exposure_caps={"GOLD(PAXG)": Decimal(25)})
    inputs = entry_inputs(instrument=None, signal=signal("GOLD(PAXG)USDT"), settings=capped)
    assert _run("asset_exposure_cap", inputs).verdict is FAILED


@pytest.mark.parametrize(
    ("name", "taken", "enforced"),
    [
        ("max_daily_spend", {"spent_today": Decimal(500)}, False),
        ("max_trades_per_hour", {"orders_last_hour": 10}, False),
        ("max_concurrent_listings", {"symbols": ("A", "B", "C")}, False),
        ("global_exposure_cap", {"exposure": Decimal(500)}, True),
        ("daily_loss_limit", {"realised_today": Decimal(-100)}, True),
    ],
)
def test_safety_enabled_switches_off_the_configurations_own_limits_only(
    name: str, taken: dict[str, Any], enforced: bool
) -> None:
    result = _run(name, entry_inputs(configuration=configuration(safety_enabled=False), usage=usage(**taken)))
    assert result.verdict is (FAILED if enforced else CheckVerdict.NOT_ENFORCED)
    assert ("safety_enabled is off" in result.message) is not enforced


def test_a_total_that_28_digits_would_round_down_to_the_limit_is_above_it() -> None:
    inputs = entry_inputs(
        usage=usage(exposure=Decimal("474.95")),
        amount=Decimal("25.0500000000000000000000000000001"),
    )
    assert _run("global_exposure_cap", inputs).verdict is FAILED
