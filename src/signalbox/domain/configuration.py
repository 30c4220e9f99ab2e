"""What an operator asks a bot to do: immutable, versioned configurations and the accounts they run on."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import pairwise

from msgspec import Struct

from signalbox.domain.errors import ConfigError
from signalbox.domain.ids import AccountId, ConfigurationId
from signalbox.domain.money import total
from signalbox.domain.orders import MAX_RECV_WINDOW_MS, Mode
from signalbox.domain.positions import ExitPlan

DOLLAR_ASSETS = frozenset({"USDT", "USDC"})
"""Quote assets that the limits count one to one. An amount in BTC beside them would make every limit meaningless."""

LONGEST_INTERVAL_S = Decimal(3600)
SHORTEST_CALENDAR_INTERVAL_S = Decimal(1)
SHORTEST_TICKER_INTERVAL_S = Decimal("0.5")
"""Of 300 request weight in ten seconds (MEXC spot docs, "LIMITS") one read of all prices costs 10."""

SHORTEST_FRESHNESS_S = Decimal("0.5")
EARLIEST_LEAD_MS = -1000
LATEST_LEAD_MS = 10_000
"""An order that is due later than this after an opening is no snipe any more."""

BURST_INTERVALS_MS = (85, 5000)
"""Twelve orders and cancels in a second are one in 84 ms (MEXC spot docs, "LIMITS")."""

LONGEST_WARM_S = Decimal(30)
LONGEST_HOLDING_S = Decimal(366 * 24 * 3600)


class Venue(StrEnum):
    """The exchanges that Signalbox speaks to."""

    MEXC = "mexc"
    HYPERLIQUID = "hyperliquid"


class Environment(StrEnum):
    """Scope of an account's credentials."""

    LOCAL = "local"
    DEV = "dev"
    PROD = "prod"


class Account(Struct, frozen=True, kw_only=True):
    """A credential set on a venue. Holds no secret: those are found by the label."""

    id: AccountId
    venue: Venue
    label: str
    environment: Environment = Environment.LOCAL
    validated_at: datetime | None = None
    last_error: str | None = None


class Strategy(StrEnum):
    """The two bots."""

    LISTING_SNIPER = "listing_sniper"
    FADE = "fade"


class OrderStyle(StrEnum):
    """How an entry is sent. MEXC may switch MARKET off, or cancel it in a listing's first minute.

    A market order takes any price inside the venue's own protective band, so a highest price rules it out: with a
    `max_price`, market_then_ioc sends no market order and begins with the limit.
    """

    MARKET = "market"
    IOC_LIMIT = "ioc_limit"
    MARKET_THEN_IOC = "market_then_ioc"


class ListingSniperParameters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What only the listing sniper needs.

    `max_slippage` is the fraction above the reference price that an IOC limit entry may pay; `max_price` an absolute
    bound in quote per base, which no market order can keep. Intervals in seconds, unless they say milliseconds.

    `opening_lead_ms`: how long after a scheduled opening, by the venue's clock, the order shall arrive (negative:
    before it). `burst_interval_ms`: the pause between attempts while the venue says "not yet". `warm_s`: for how long
    before an opening the engine keeps its paths hot, which costs one processor core; 0 switches that off.
    """

    order_style: OrderStyle = OrderStyle.MARKET_THEN_IOC
    max_price: Decimal | None = None
    max_slippage: Decimal = Decimal("0.10")
    quote_assets: tuple[str, ...] = ("USDT",)
    deny_symbols: tuple[str, ...] = ()
    max_concurrent_listings: int = 3
    freshness_s: Decimal = Decimal(10)
    calendar_interval_s: Decimal = Decimal(5)
    ticker_interval_s: Decimal = Decimal(1)
    opening_lead_ms: int = 0
    burst_interval_ms: int = 100
    warm_s: Decimal = Decimal(2)
    exit_plan: ExitPlan = ExitPlan(take_profit=Decimal("0.20"), time_limit_s=Decimal(300))


def begins_with_limit(parameters: ListingSniperParameters) -> bool:
    """True when an entry's first order is a limit, which needs a price and the market's rules before it is sent."""
    if parameters.order_style is OrderStyle.MARKET_THEN_IOC:
        return parameters.max_price is not None
    return parameters.order_style is OrderStyle.IOC_LIMIT


class BotConfiguration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An immutable preset. A change makes a new version under the same name. Amounts in quote currency."""

    id: ConfigurationId
    name: str
    version: int
    strategy: Strategy
    symbols: tuple[str, ...]
    quote_amount: Decimal
    max_trades_per_hour: int
    max_daily_spend: Decimal
    recv_window: int
    created_at: datetime
    created_by: str
    mode: Mode = Mode.SIMULATION
    safety_enabled: bool = True
    parameters: ListingSniperParameters = ListingSniperParameters()


def _require(*, ok: bool, field: str, value: object, rule: str) -> None:
    if not ok:
        raise ConfigError(f"{field} {rule}, got {value}")


def _require_finite(struct: Struct, *, within: str = "") -> None:
    """Refuse NaN and infinities: msgspec reads both into a Decimal, and an infinite limit is none."""
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        if isinstance(value, Decimal):
            _require(ok=value.is_finite(), field=within + name, value=value, rule="must be a finite number")


def _require_above_zero(value: Decimal | None, *, field: str, most: Decimal | None = None) -> None:
    rule = "must be above 0" if most is None else f"must be above 0 and at most {most}"
    ok = value is None or (value > 0 and (most is None or value <= most))
    _require(ok=ok, field=field, value=value, rule=rule)


def _require_between(value: Decimal | int, least: Decimal | int, most: Decimal | int, *, field: str) -> None:
    _require(ok=least <= value <= most, field=field, value=value, rule=f"must be {least} to {most}")


def check_configuration(configuration: BotConfiguration) -> None:
    """Refuse a configuration that breaks a rule. Raises ConfigError naming field, value and rule."""
    c = configuration
    _require_finite(c)
    _require(ok=bool(c.name.strip()), field="name", value=repr(c.name), rule="must not be empty")
    _require(ok=c.version >= 1, field="version", value=c.version, rule="must be 1 or more")
    _require(ok=bool(c.symbols), field="symbols", value="none", rule="must name at least one pair or pattern")
    _require_patterns(c.symbols, field="symbols")
    _require_above_zero(c.quote_amount, field="quote_amount")
    _require(
        ok=1 <= c.max_trades_per_hour <= 100,
        field="max_trades_per_hour",
        value=c.max_trades_per_hour,
        rule="must be 1 to 100",
    )
    _require_above_zero(c.max_daily_spend, field="max_daily_spend")
    _require(
        ok=c.max_daily_spend >= c.quote_amount,
        field="max_daily_spend",
        value=c.max_daily_spend,
        rule=f"must be quote_amount ({c.quote_amount}) or more: nothing could ever be bought",
    )
    _require(
        ok=1 <= c.recv_window <= MAX_RECV_WINDOW_MS,
        field="recv_window",
        value=c.recv_window,
        rule=f"must be 1 to {MAX_RECV_WINDOW_MS} ms",
    )
    _check_parameters(c.parameters)
    _check_exit_plan(c.parameters.exit_plan)


def _check_parameters(p: ListingSniperParameters) -> None:
    _require_finite(p)
    _require(ok=bool(p.quote_assets), field="quote_assets", value="none", rule="must name at least one asset")
    for asset in p.quote_assets:
        _require(
            ok=asset in DOLLAR_ASSETS,
            field="quote_assets",
            value=repr(asset),
            rule=f"must be among {' '.join(sorted(DOLLAR_ASSETS))}: the account's limits are counted in dollars",
        )
    _require_patterns(p.deny_symbols, field="deny_symbols")
    _require(
        ok=p.max_concurrent_listings >= 1,
        field="max_concurrent_listings",
        value=p.max_concurrent_listings,
        rule="must be 1 or more",
    )
    _require(
        ok=0 <= p.max_slippage <= 1,
        field="max_slippage",
        value=p.max_slippage,
        rule="must be 0 to 1 (a fraction: 0.10 = 10 %)",
    )
    _require_above_zero(p.max_price, field="max_price")
    _require(
        ok=p.max_price is None or p.order_style is not OrderStyle.MARKET,
        field="max_price",
        value=f"{p.max_price} with {p.order_style}",
        rule=f"needs the order style {OrderStyle.IOC_LIMIT} or {OrderStyle.MARKET_THEN_IOC}: a market order takes any"
        " price",
    )
    _require_between(p.freshness_s, SHORTEST_FRESHNESS_S, LONGEST_INTERVAL_S, field="freshness_s")
    _require_between(
        p.calendar_interval_s, SHORTEST_CALENDAR_INTERVAL_S, LONGEST_INTERVAL_S, field="calendar_interval_s"
    )
    _require_between(p.ticker_interval_s, SHORTEST_TICKER_INTERVAL_S, LONGEST_INTERVAL_S, field="ticker_interval_s")
    _check_opening(p)


def _check_opening(p: ListingSniperParameters) -> None:
    _require_between(p.opening_lead_ms, EARLIEST_LEAD_MS, LATEST_LEAD_MS, field="opening_lead_ms")
    _require(
        ok=p.opening_lead_ms < p.freshness_s * 1000,
        field="opening_lead_ms",
        value=p.opening_lead_ms,
        rule=f"must be below freshness_s ({p.freshness_s} s): the order would be due after its deadline",
    )
    _require_between(p.burst_interval_ms, *BURST_INTERVALS_MS, field="burst_interval_ms")
    _require_between(p.warm_s, 0, LONGEST_WARM_S, field="warm_s")


def _check_exit_plan(plan: ExitPlan) -> None:
    _require_finite(plan, within="exit_plan.")
    _require_above_zero(plan.take_profit, field="exit_plan.take_profit")
    _check_levels(plan)
    _require_above_zero(plan.stop_loss, field="exit_plan.stop_loss")
    _require(
        ok=plan.stop_loss is None or plan.stop_loss < 1,
        field="exit_plan.stop_loss",
        value=plan.stop_loss,
        rule="must be below 1",
    )
    _require_above_zero(plan.trailing_stop, field="exit_plan.trailing_stop")
    _require(
        ok=plan.trailing_stop is None or plan.trailing_stop < 1,
        field="exit_plan.trailing_stop",
        value=plan.trailing_stop,
        rule="must be below 1",
    )
    _require_above_zero(plan.trailing_activation, field="exit_plan.trailing_activation")
    _require(
        ok=plan.trailing_activation is None or plan.trailing_stop is not None,
        field="exit_plan.trailing_activation",
        value=plan.trailing_activation,
        rule="needs a trailing_stop: it says from which gain on that counts",
    )
    _require_above_zero(plan.time_limit_s, field="exit_plan.time_limit_s", most=LONGEST_HOLDING_S)


def _check_levels(plan: ExitPlan) -> None:
    levels = plan.take_profit_levels
    _require(
        ok=plan.take_profit is None or not levels,
        field="exit_plan.take_profit_levels",
        value=f"{len(levels)} beside a take_profit of {plan.take_profit}",
        rule="must be empty while take_profit sells everything: use one of the two",
    )
    for number, level in enumerate(levels, 1):
        field = f"exit_plan.take_profit_levels.{number}"
        _require_finite(level, within=f"{field}.")
        _require_above_zero(level.at, field=f"{field}.at")
        _require_above_zero(level.share, field=f"{field}.share", most=Decimal(1))
    gains = [level.at for level in levels]
    _require(
        ok=all(lower < higher for lower, higher in pairwise(gains)),
        field="exit_plan.take_profit_levels",
        value=" ".join(str(gain) for gain in gains),
        rule="must ascend from level to level",
    )
    sold = total(level.share for level in levels)
    _require(
        ok=sold <= 1,
        field="exit_plan.take_profit_levels",
        value=sold,
        rule="must not sell more than was bought: the shares add up to at most 1",
    )


def _require_patterns(patterns: tuple[str, ...], *, field: str) -> None:
    for pattern in patterns:
        ok = bool(pattern) and not any(char.isspace() or char == "," for char in pattern)
        _require(ok=ok, field=field, value=repr(pattern), rule="must be a pair or a pattern like *USDT")
        ok = not any("a" <= char <= "z" for char in pattern)
        _require(
            ok=ok, field=field, value=repr(pattern), rule=f"must be in upper case, as symbols are: {pattern.upper()}"
        )


def symbol_matches(symbol: str, patterns: tuple[str, ...]) -> str | None:
    """The first pattern that the symbol matches (`*` any run, `?` one character, all else itself), or None."""
    for pattern in patterns:
        if pattern.startswith("*") and not ("*" in pattern[1:] or "?" in pattern):  # the usual one, *USDT
            matches = symbol.endswith(pattern[1:])
        else:
            matches = fnmatchcase(symbol, pattern.replace("[", "[[]"))
        if matches:
            return pattern
    return None


class AccountSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Guardrails of one account. Amounts in quote currency; None means unlimited where it is allowed."""

    account_id: AccountId
    version: int = 1
    mode: Mode = Mode.SIMULATION
    max_trade_usdt: Decimal = Decimal(50)
    max_position_usdt: Decimal = Decimal(200)
    global_exposure_cap: Decimal | None = Decimal(500)
    asset_exposure_caps: dict[str, Decimal] = {}
    daily_loss_limit: Decimal | None = Decimal(100)
    auto_trade: bool = False


def check_settings(settings: AccountSettings) -> None:
    """Refuse settings that break a rule. Raises ConfigError naming field, value and rule."""
    s = settings
    _require_finite(s)
    _require_above_zero(s.max_trade_usdt, field="max_trade_usdt")
    _require(
        ok=s.max_position_usdt >= s.max_trade_usdt,
        field="max_position_usdt",
        value=s.max_position_usdt,
        rule=f"must be max_trade_usdt ({s.max_trade_usdt}) or more",
    )
    cap, loss = s.global_exposure_cap, s.daily_loss_limit
    _require(ok=cap is None or cap >= 0, field="global_exposure_cap", value=cap, rule="must be 0 or more")
    _require(ok=loss is None or loss >= 0, field="daily_loss_limit", value=loss, rule="must be 0 or more")
    for asset, asset_cap in s.asset_exposure_caps.items():
        name_is_clean = bool(asset) and not any(char.isspace() for char in asset)
        _require(ok=name_is_clean, field="asset_exposure_caps", value=repr(asset), rule="must be keyed by an asset")
        ok = asset_cap.is_finite() and asset_cap >= 0
        _require(ok=ok, field=f"asset_exposure_caps.{asset}", value=asset_cap, rule="must be a number, 0 or more")


def live_allowed(settings: AccountSettings) -> bool:
    """The account's key to live trading: mode live, auto_trade on."""
    return settings.mode is Mode.LIVE and settings.auto_trade


def effective_mode(configuration: BotConfiguration, settings: AccountSettings) -> Mode:
    """Live needs both keys: the configuration asks for it, and the account allows it."""
    return Mode.LIVE if configuration.mode is Mode.LIVE and live_allowed(settings) else Mode.SIMULATION
