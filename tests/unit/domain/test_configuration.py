"""Configurations and settings: each bad field is refused with its name, its value and the rule."""

from decimal import Decimal
from itertools import product
from typing import Any

import msgspec
import pytest
from tests.unit.domain import examples

from signalbox.domain.configuration import (
    AccountSettings,
    BotConfiguration,
    OrderStyle,
    begins_with_limit,
    check_configuration,
    check_settings,
    effective_mode,
    symbol_matches,
)
from signalbox.domain.errors import ConfigError
from signalbox.domain.orders import Mode
from signalbox.domain.positions import ExitPlan

NAN, INFINITY = Decimal("NaN"), Decimal("Infinity")
REAL_SYMBOLS = ["NEWUSDT", "4USDT", "67USDT", "GOLD(PAXG)USDT", "索拉拉USDT", "🐸USDT", "A[B]USDT", "A!B-C.D$USDT"]


def test_the_examples_and_the_defaults_are_valid() -> None:
    check_configuration(examples.configuration())
    every_rule = ExitPlan(
        take_profit_levels=examples.levels(("0.1", "0.5"), ("0.3", "0.5")),
        stop_loss=Decimal("0.1"),
        trailing_stop=Decimal("0.05"),
        trailing_activation=Decimal("0.2"),
        time_limit_s=Decimal(60),
    )
    check_configuration(examples.configuration(parameters={"exit_plan": every_rule}))
    check_configuration(
        examples.configuration(parameters={"max_price": Decimal(2), "order_style": OrderStyle.IOC_LIMIT})
    )
    check_configuration(
        examples.configuration(parameters={"max_price": Decimal(2), "order_style": OrderStyle.MARKET_THEN_IOC})
    )
    check_settings(examples.settings())


@pytest.mark.parametrize(
    ("style", "max_price", "limit"),
    [
        (OrderStyle.MARKET, None, False),
        (OrderStyle.MARKET_THEN_IOC, None, False),
        (OrderStyle.MARKET_THEN_IOC, Decimal(2), True),
        (OrderStyle.IOC_LIMIT, None, True),
        (OrderStyle.IOC_LIMIT, Decimal(2), True),
    ],
)
def test_a_highest_price_rules_out_market_orders(style: OrderStyle, max_price: Decimal | None, limit: bool) -> None:
    configuration = examples.configuration(parameters={"order_style": style, "max_price": max_price})
    check_configuration(configuration)
    assert begins_with_limit(configuration.parameters) is limit


@pytest.mark.parametrize(
    ("changes", "field", "value", "rule"),
    [
        ({"name": " "}, "name", "' '", "must not be empty"),
        ({"version": 0}, "version", "0", "must be 1 or more"),
        ({"symbols": ()}, "symbols", "none", "at least one"),
        ({"symbols": ("NEWUSDT", "")}, "symbols", "''", "must be a pair or a pattern"),
        ({"symbols": (" NEWUSDT",)}, "symbols", "' NEWUSDT'", "must be a pair or a pattern"),
        ({"symbols": ("NEWUSDT,ABCUSDT",)}, "symbols", "'NEWUSDT,ABCUSDT'", "must be a pair or a pattern"),
        ({"symbols": ("NEW USDT",)}, "symbols", "'NEW USDT'", "must be a pair or a pattern"),
        ({"symbols": ("*usdt",)}, "symbols", "'*usdt'", "must be in upper case, as symbols are: *USDT"),
        ({"quote_amount": Decimal(0)}, "quote_amount", "0", "must be above 0"),
        ({"quote_amount": Decimal(-5)}, "quote_amount", "-5", "must be above 0"),
        ({"quote_amount": NAN}, "quote_amount", "NaN", "must be a finite number"),
        ({"quote_amount": INFINITY}, "quote_amount", "Infinity", "must be a finite number"),
        ({"max_trades_per_hour": 0}, "max_trades_per_hour", "0", "must be 1 to 100"),
        ({"max_trades_per_hour": 101}, "max_trades_per_hour", "101", "must be 1 to 100"),
        ({"max_daily_spend": Decimal(0)}, "max_daily_spend", "0", "must be above 0"),
        ({"max_daily_spend": Decimal("24.99")}, "max_daily_spend", "24.99", "must be quote_amount (25) or more"),
        ({"max_daily_spend": INFINITY}, "max_daily_spend", "Infinity", "must be a finite number"),
        ({"recv_window": 0}, "recv_window", "0", "must be 1 to 1000"),
        ({"recv_window": 1001}, "recv_window", "1001", "must be 1 to 1000"),
    ],
)
def test_a_configuration_with_a_bad_field_is_refused(
    changes: dict[str, Any], field: str, value: str, rule: str
) -> None:
    _refused(examples.configuration(**changes), field, value, rule)


@pytest.mark.parametrize(
    ("parameters", "field", "value", "rule"),
    [
        ({"max_price": Decimal(0)}, "max_price", "0", "must be above 0"),
        ({"max_price": NAN}, "max_price", "NaN", "must be a finite number"),
        (
            {"max_price": Decimal(2), "order_style": OrderStyle.MARKET},
            "max_price",
            "2 with market",
            "needs the order style ioc_limit or market_then_ioc",
        ),
        ({"max_slippage": Decimal("-0.1")}, "max_slippage", "-0.1", "must be 0 to 1"),
        ({"max_slippage": Decimal("1.01")}, "max_slippage", "1.01", "must be 0 to 1"),
        ({"max_slippage": INFINITY}, "max_slippage", "Infinity", "must be a finite number"),
        ({"quote_assets": ()}, "quote_assets", "none", "at least one"),
        ({"quote_assets": ("USDT", "")}, "quote_assets", "''", "limits are counted in dollars"),
        ({"quote_assets": ("BTC",)}, "quote_assets", "'BTC'", "limits are counted in dollars"),
        ({"deny_symbols": ("",)}, "deny_symbols", "''", "must be a pair or a pattern"),
        ({"deny_symbols": ("BAD USDT",)}, "deny_symbols", "'BAD USDT'", "must be a pair or a pattern"),
        ({"max_concurrent_listings": 0}, "max_concurrent_listings", "0", "must be 1 or more"),
        ({"deny_symbols": ("badUSDT",)}, "deny_symbols", "'badUSDT'", "must be in upper case, as symbols are: BADUSDT"),
        ({"freshness_s": Decimal(0)}, "freshness_s", "0", "must be 0.5 to 3600"),
        ({"freshness_s": Decimal("1e20")}, "freshness_s", "1E+20", "must be 0.5 to 3600"),
        ({"calendar_interval_s": Decimal(0)}, "calendar_interval_s", "0", "must be 1 to 3600"),
        ({"calendar_interval_s": Decimal("0.99")}, "calendar_interval_s", "0.99", "must be 1 to 3600"),
        ({"ticker_interval_s": Decimal(-1)}, "ticker_interval_s", "-1", "must be 0.5 to 3600"),
        ({"ticker_interval_s": Decimal("0.4")}, "ticker_interval_s", "0.4", "must be 0.5 to 3600"),
        ({"ticker_interval_s": Decimal(3601)}, "ticker_interval_s", "3601", "must be 0.5 to 3600"),
        ({"opening_lead_ms": -1001}, "opening_lead_ms", "-1001", "must be -1000 to 10000"),
        ({"opening_lead_ms": 10_001, "freshness_s": Decimal(60)}, "opening_lead_ms", "10001", "must be -1000 to 10000"),
        ({"opening_lead_ms": 10_000}, "opening_lead_ms", "10000", "must be below freshness_s (10 s)"),
        ({"burst_interval_ms": 84}, "burst_interval_ms", "84", "must be 85 to 5000"),
        ({"burst_interval_ms": 5001}, "burst_interval_ms", "5001", "must be 85 to 5000"),
        ({"warm_s": Decimal(-1)}, "warm_s", "-1", "must be 0 to 30"),
        ({"warm_s": Decimal(31)}, "warm_s", "31", "must be 0 to 30"),
        ({"exit_plan": ExitPlan(take_profit=Decimal(0))}, "exit_plan.take_profit", "0", "must be above 0"),
        ({"exit_plan": ExitPlan(take_profit=INFINITY)}, "exit_plan.take_profit", "Infinity", "must be a finite number"),
        ({"exit_plan": ExitPlan(stop_loss=Decimal(0))}, "exit_plan.stop_loss", "0", "must be above 0"),
        ({"exit_plan": ExitPlan(stop_loss=Decimal(1))}, "exit_plan.stop_loss", "1", "must be below 1"),
        ({"exit_plan": ExitPlan(time_limit_s=Decimal(0))}, "exit_plan.time_limit_s", "0", "must be above 0"),
        ({"exit_plan": ExitPlan(time_limit_s=Decimal("1e15"))}, "exit_plan.time_limit_s", "1E+15", "at most 31622400"),
        ({"exit_plan": ExitPlan(time_limit_s=NAN)}, "exit_plan.time_limit_s", "NaN", "must be a finite number"),
        ({"exit_plan": ExitPlan(trailing_stop=Decimal(0))}, "exit_plan.trailing_stop", "0", "must be above 0"),
        ({"exit_plan": ExitPlan(trailing_stop=Decimal(1))}, "exit_plan.trailing_stop", "1", "must be below 1"),
        (
            {"exit_plan": ExitPlan(trailing_stop=Decimal("0.1"), trailing_activation=Decimal(0))},
            "exit_plan.trailing_activation",
            "0",
            "must be above 0",
        ),
        (
            {"exit_plan": ExitPlan(trailing_activation=Decimal("0.1"))},
            "exit_plan.trailing_activation",
            "0.1",
            "needs a trailing_stop",
        ),
        (
            {"exit_plan": ExitPlan(take_profit=Decimal("0.2"), take_profit_levels=examples.levels(("0.1", "0.5")))},
            "exit_plan.take_profit_levels",
            "1 beside a take_profit of 0.2",
            "use one of the two",
        ),
        (
            {"exit_plan": ExitPlan(take_profit_levels=examples.levels(("0.1", "0.5"), ("0", "0.5")))},
            "exit_plan.take_profit_levels.2.at",
            "0",
            "must be above 0",
        ),
        (
            {"exit_plan": ExitPlan(take_profit_levels=examples.levels(("0.1", "1.5")))},
            "exit_plan.take_profit_levels.1.share",
            "1.5",
            "must be above 0 and at most 1",
        ),
        (
            {"exit_plan": ExitPlan(take_profit_levels=examples.levels(("0.1", "NaN")))},
            "exit_plan.take_profit_levels.1.share",
            "NaN",
            "must be a finite number",
        ),
        (
            {"exit_plan": ExitPlan(take_profit_levels=examples.levels(("0.2", "0.5"), ("0.2", "0.5")))},
            "exit_plan.take_profit_levels",
            "0.2 0.2",
            "must ascend",
        ),
        (
            {"exit_plan": ExitPlan(take_profit_levels=examples.levels(("0.1", "0.6"), ("0.2", "0.5")))},
            "exit_plan.take_profit_levels",
            "1.1",
            "at most 1",
        ),
    ],
)
def test_sniper_parameters_with_a_bad_field_are_refused(
    parameters: dict[str, Any], field: str, value: str, rule: str
) -> None:
    _refused(examples.configuration(parameters=parameters), field, value, rule)


def _refused(configuration: BotConfiguration, field: str, value: str, rule: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_configuration(configuration)
    message = str(caught.value)
    assert message.startswith(f"{field} ")
    assert rule in message
    assert message.endswith(f"got {value}")


@pytest.mark.parametrize(
    ("changes", "field", "value", "rule"),
    [
        ({"max_trade_usdt": Decimal(0)}, "max_trade_usdt", "0", "must be above 0"),
        ({"max_trade_usdt": NAN}, "max_trade_usdt", "NaN", "must be a finite number"),
        ({"max_trade_usdt": INFINITY}, "max_trade_usdt", "Infinity", "must be a finite number"),
        ({"max_position_usdt": Decimal("49.99")}, "max_position_usdt", "49.99", "must be max_trade_usdt (50) or more"),
        ({"max_position_usdt": INFINITY}, "max_position_usdt", "Infinity", "must be a finite number"),
        ({"global_exposure_cap": Decimal(-1)}, "global_exposure_cap", "-1", "must be 0 or more"),
        ({"global_exposure_cap": INFINITY}, "global_exposure_cap", "Infinity", "must be a finite number"),
        ({"daily_loss_limit": Decimal(-1)}, "daily_loss_limit", "-1", "must be 0 or more"),
        ({"daily_loss_limit": NAN}, "daily_loss_limit", "NaN", "must be a finite number"),
        ({"asset_exposure_caps": {"NEW": Decimal(-1)}}, "asset_exposure_caps.NEW", "-1", "0 or more"),
        ({"asset_exposure_caps": {"NEW": NAN}}, "asset_exposure_caps.NEW", "NaN", "must be a number"),
        ({"asset_exposure_caps": {"": Decimal(1)}}, "asset_exposure_caps", "''", "must be keyed by an asset"),
        ({"asset_exposure_caps": {" NEW": Decimal(1)}}, "asset_exposure_caps", "' NEW'", "must be keyed by an asset"),
    ],
)
def test_settings_with_a_bad_field_are_refused(changes: dict[str, Any], field: str, value: str, rule: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_settings(examples.settings(**changes))
    message = str(caught.value)
    assert message.startswith(f"{field} ")
    assert rule in message
    assert message.endswith(f"got {value}")


def test_unlimited_is_said_with_none_and_zero_is_a_limit() -> None:
    check_settings(examples.settings(global_exposure_cap=None, daily_loss_limit=None))
    check_settings(examples.settings(global_exposure_cap=Decimal(0), daily_loss_limit=Decimal(0)))


@pytest.mark.parametrize(
    ("text", "kind"),
    [(b'{"account_id": 5}', AccountSettings), (b'{"take_proft": "0.2"}', ExitPlan)],
)
def test_a_wrong_type_and_an_unknown_field_are_refused(text: bytes, kind: type) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=kind)


@pytest.mark.parametrize(("configured", "allowed", "auto_trade"), list(product(Mode, Mode, [False, True])))
def test_g3_live_needs_every_key(configured: Mode, allowed: Mode, auto_trade: bool) -> None:
    mode = effective_mode(
        examples.configuration(mode=configured), examples.settings(mode=allowed, auto_trade=auto_trade)
    )
    every_key = configured is Mode.LIVE and allowed is Mode.LIVE and auto_trade
    assert mode is (Mode.LIVE if every_key else Mode.SIMULATION)


def test_g3_nothing_is_live_by_default() -> None:
    assert effective_mode(examples.configuration(), examples.settings()) is Mode.SIMULATION


@pytest.mark.parametrize("symbol", REAL_SYMBOLS)
def test_s3_a_real_symbol_is_usable_as_exact_pair_and_by_pattern(symbol: str) -> None:
    check_configuration(examples.configuration(symbols=(symbol, f"{symbol[0]}*", "*USDT")))
    assert symbol_matches(symbol, (symbol,)) == symbol
    assert symbol_matches(symbol, ("OTHERUSDT", f"{symbol[0]}*")) == f"{symbol[0]}*"
    assert symbol_matches(symbol, ("*USDT",)) == "*USDT"
    assert symbol_matches(symbol, ("?" * len(symbol),)) is not None
    assert symbol_matches(symbol + "X", (symbol,)) is None
    assert symbol_matches("X" + symbol, (symbol,)) is None


@pytest.mark.parametrize(
    ("pattern", "symbol", "matches"),
    [
        ("A[BC]USDT", "A[BC]USDT", True),
        ("A[BC]USDT", "ABUSDT", False),
        ("[!A]USDT", "BUSDT", False),
        ("GOLD(*)USDT", "GOLD(PAXG)USDT", True),
        ("GOLD(*)USDT", "GOLDUSDT", False),
        ("?USDT", "索USDT", True),
        ("?USDT", "索拉USDT", False),
        ("NEW.SDT", "NEWUSDT", False),
        ("*usdt", "NEWUSDT", False),
        ("*", "NEWUSDT", True),
        ("*USDT", "NEWUSDTX", False),
        ("*USDT", "NEW\nUSDT", True),
        ("*USDT", "NEWUSDT\n", False),
    ],
)
def test_in_a_pattern_only_star_and_question_mark_are_special(pattern: str, symbol: str, matches: bool) -> None:
    assert (symbol_matches(symbol, (pattern,)) == pattern) is matches


def test_a_long_pattern_of_stars_is_matched_in_no_time() -> None:
    assert symbol_matches("A" * 200, ("*A" * 40 + "B",)) is None
