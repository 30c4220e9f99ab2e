"""What an operator asks a bot to do: immutable, versioned configurations and the accounts they run on."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fnmatch import fnmatchcase

from msgspec import Struct

from signalbox.domain.errors import ConfigError
from signalbox.domain.ids import AccountId, ConfigurationId
from signalbox.domain.orders import Mode
from signalbox.domain.positions import ExitPlan


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
    """How an entry is sent. MEXC may switch MARKET off, or cancel it in a listing's first minute."""

    MARKET = "market"
    IOC_LIMIT = "ioc_limit"
    MARKET_THEN_IOC = "market_then_ioc"


class ListingSniperParameters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What only the listing sniper needs.

    `max_slippage` is the fraction above the reference price that an IOC limit entry may pay; `max_price` an absolute
    bound in quote per base. Intervals in seconds.
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
    exit_plan: ExitPlan = ExitPlan(take_profit=Decimal("0.20"), time_limit_s=Decimal(300))


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


def check_configuration(configuration: BotConfiguration) -> None:
    """Refuse a configuration that breaks a rule. Raises ConfigError naming field, value and rule."""
    c, p = configuration, configuration.parameters
    _require(ok=bool(c.name.strip()), field="name", value=repr(c.name), rule="must not be empty")
    _require(ok=bool(c.symbols), field="symbols", value="none", rule="must name at least one pair or pattern")
    for symbol in c.symbols:
        _require(
            ok=_is_pattern(symbol),
            field="symbols",
            value=repr(symbol),
            rule="must be a pair or a pattern like *USDT",
        )
    _require(ok=c.quote_amount > 0, field="quote_amount", value=c.quote_amount, rule="must be above 0")
    _require(
        ok=1 <= c.max_trades_per_hour <= 100,
        field="max_trades_per_hour",
        value=c.max_trades_per_hour,
        rule="must be 1 to 100",
    )
    _require(ok=c.max_daily_spend > 0, field="max_daily_spend", value=c.max_daily_spend, rule="must be above 0")
    _require(ok=1 <= c.recv_window <= 1000, field="recv_window", value=c.recv_window, rule="must be 1 to 1000 ms")
    _require(
        ok=p.max_concurrent_listings >= 1,
        field="max_concurrent_listings",
        value=p.max_concurrent_listings,
        rule="must be 1 or more",
    )
    _require(ok=p.freshness_s > 0, field="freshness_s", value=p.freshness_s, rule="must be above 0")
    _require(ok=p.max_slippage >= 0, field="max_slippage", value=p.max_slippage, rule="must be 0 or more")
    _require(
        ok=p.calendar_interval_s > 0,
        field="calendar_interval_s",
        value=p.calendar_interval_s,
        rule="must be above 0",
    )
    _require(
        ok=p.ticker_interval_s > 0,
        field="ticker_interval_s",
        value=p.ticker_interval_s,
        rule="must be above 0",
    )
    _require(
        ok=p.max_price is None or p.max_price > 0,
        field="max_price",
        value=p.max_price,
        rule="must be above 0",
    )
    for name in ("take_profit", "stop_loss", "time_limit_s"):
        value = getattr(p.exit_plan, name)
        _require(ok=value is None or value > 0, field=f"exit_plan.{name}", value=value, rule="must be above 0")
    stop_loss = p.exit_plan.stop_loss
    _require(
        ok=stop_loss is None or stop_loss < 1,
        field="exit_plan.stop_loss",
        value=stop_loss,
        rule="must be below 1",
    )


def _is_pattern(symbol: str) -> bool:
    return bool(symbol) and symbol == symbol.strip() and not any(c.isspace() or c == "," for c in symbol)


def symbol_matches(symbol: str, patterns: tuple[str, ...]) -> str | None:
    """The first pattern that the symbol matches (`*` any run, `?` one character), or None."""
    return next((pattern for pattern in patterns if fnmatchcase(symbol, pattern)), None)


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
    _require(ok=s.max_trade_usdt > 0, field="max_trade_usdt", value=s.max_trade_usdt, rule="must be above 0")
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
        _require(ok=asset_cap >= 0, field=f"asset_exposure_caps.{asset}", value=asset_cap, rule="must be 0 or more")


def effective_mode(configuration: BotConfiguration, settings: AccountSettings) -> Mode:
    """Live needs both keys: the configuration asks for it, and the account allows it (mode live, auto_trade on)."""
    allowed = settings.mode is Mode.LIVE and settings.auto_trade
    return Mode.LIVE if configuration.mode is Mode.LIVE and allowed else Mode.SIMULATION
