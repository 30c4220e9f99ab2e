"""What the simulated exchange can be told at its start, and what can be switched while it runs.

`SimulatorOptions` is what it starts with; what can change later is changed over `/control`. `Switches` holds what
nobody knows for sure about the real exchange: every doubt is a field, both settings work, and
`POST /control/settings` changes them at run time.
"""

from decimal import Decimal
from typing import Literal

import msgspec

from signalbox.simulators.faults import Fault
from signalbox.simulators.mexc.signing import MixedSigning


class BadOptions(ValueError):
    """Options with which no exchange can start; the message names what is wrong."""


PathKind = Literal["spike", "walk", "flat"]


class _Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base: frozen, typos refused. Raises ValueError for a number that no exchange could have."""

    def __post_init__(self) -> None:
        """Refuse negative numbers, except where a sign has a meaning."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, Decimal) and not value.is_finite():
                raise ValueError(f"{name} must be a number, got {value}")
            if isinstance(value, int | Decimal) and value < 0 and name not in _SIGNED:
                raise ValueError(f"{name} must be 0 or more, got {value}")


_SIGNED = frozenset(
    {"seed", "clock_offset_ms", "clock_drift_ppm", "pre_open_code", "unknown_symbol_order_code", "open_in_ms"}
)
FASTEST_DRIFT_PPM = 500_000


def _default_balances() -> dict[str, Decimal]:
    return {"USDT": Decimal(10_000), "BTC": Decimal(1), "MX": Decimal(500)}


class AccountOptions(_Options, frozen=True):
    """One test account. `symbols` binds its key to these pairs (None: all pairs)."""

    label: str = "trader"
    balances: dict[str, Decimal] = msgspec.field(default_factory=_default_balances)
    permissions: tuple[str, ...] = ("SPOT_ACCOUNT_READ", "SPOT_DEAL_READ", "SPOT_DEAL_WRITE")
    symbols: tuple[str, ...] | None = None
    ip_whitelist: tuple[str, ...] = ()
    fee_in_mx: bool = False
    api_key: str | None = None
    secret: str | None = None


class ListingOptions(_Options, frozen=True):
    """One scripted listing. Times are milliseconds after the start of the simulator (or of the control request).

    `open_in_ms` is what the calendar and `firstOpenTime` say; orders are taken from `late_ms` after it.
    `announced` puts the pair into the calendar and, with status "2", into exchangeInfo (`announce_in_ms`); without
    it the pair is unknown until it opens (a surprise). `visible_before_open` False keeps an announced pair out of
    exchangeInfo until it opens. `status_late_ms` is how long exchangeInfo still says "2" after the opening.
    `moves` reschedules: (at, new open_in_ms), None as the new time cancels the listing. `halts` stops trading for a
    while: (from, until). `publish_first_open_time` False leaves the opening out of exchangeInfo.
    """

    symbol: str
    price: Decimal = Decimal("0.5")
    quote: str = "USDT"
    open_in_ms: int = 0
    announced: bool = True
    announce_in_ms: int = 0
    visible_before_open: bool = True
    publish_first_open_time: bool = True
    late_ms: int = 0
    status_late_ms: int = 0
    api_tradable: bool = True
    api_tradable_after_ms: int = 0
    moves: tuple[tuple[int, int | None], ...] = ()
    halts: tuple[tuple[int, int], ...] = ()
    pre_open_code: int | None = None
    opening_cap: Decimal | None = None
    opening_cap_ms: int = 60_000
    buy_only_ms: int = 0
    market_band: Decimal | None = None
    quantity_scale: int = 2
    price_scale: int | None = None
    min_notional: Decimal = Decimal(1)
    percent_price: Decimal | None = Decimal("0.2")
    maker_rate: Decimal = Decimal(0)
    taker_rate: Decimal = Decimal("0.0005")
    depth_notional: Decimal = Decimal(400)
    path: PathKind = "spike"

    def __post_init__(self) -> None:
        """Refuse a listing without a price, and a halt that ends before it begins."""
        super().__post_init__()
        if self.price <= 0:
            raise ValueError(f"price must be above 0, got {self.price}")
        for start, end in self.halts:
            if end <= start:
                raise ValueError(f"a halt must end after it begins, got {start} to {end}")


class ScheduleOptions(_Options, frozen=True):
    """The seeded schedule of listings. Probabilities are in percent; `count` 0 switches it off."""

    count: int = 0
    first_in_ms: int = 20_000
    every_ms: int = 60_000
    announce_ahead_ms: int = 45_000
    surprise_percent: int = 25
    move_percent: int = 20
    cancel_percent: int = 10
    late_percent: int = 30
    never_tradable_percent: int = 5
    hidden_percent: int = 30


class RateLimitOptions(_Options, frozen=True):
    """Request limits. `enforced` False counts nothing (benches).

    `ip_pool`: all requests of an address share one pool of weight, as the newer docs say, or each endpoint has one of
    its own, as the older ones did. `account_per_s` limits GET /account (the docs say 2; 0 counts nothing).
    """

    enforced: bool = True
    ip_weight: int = 300
    ip_pool: Literal["shared", "per_endpoint"] = "shared"
    account_per_s: int = 0
    uid_weight: int = 500
    weight_window_ms: int = 10_000
    orders_per_window: int = 12
    order_window_ms: int = 1_000
    retry_after: bool = True
    body: Literal["json", "text", "empty"] = "json"
    violations_before_ban: int = 10
    first_ban_ms: int = 120_000


class Switches(_Options, frozen=True):
    """The doubts about the real exchange, and its optional behaviour. All can change at run time.

    The defaults are the plain simulator: what most sources agree on, without the harsh opening rules
    (`market_cancel_ms` is 0: MARKET orders work from the first second). `opening_cap_percent` caps the first minute's
    buys of every listing that has no `opening_cap` of its own, in percent of its opening price.
    """

    # Before and at the opening
    pre_open_code: Literal[30001, 30016, 30000, 10007, -1121, 30025] = 30001
    unknown_symbol_order_code: Literal[10007, -1121] = 10007
    unbound_pair_code: Literal[10007, 30020, 70011] = 10007
    market_cancel_ms: int = 0
    opening_cap_percent: int | None = None
    cap_text: Literal["cannot_exceed", "not_higher"] = "cannot_exceed"
    # MARKET orders
    market_orders_off: bool = False
    market_off_code: Literal[30051, 30019, 30041, 30018, 26] = 30051
    market_band: Decimal = Decimal("0.05")
    market_band_is_percent_price: bool = False
    market_reference: Literal["last", "opposite"] = "last"
    market_underfill_says_filled: bool = False
    empty_book: Literal["refuse", "cancel"] = "refuse"
    ack_quantity_zero: bool = False
    # Client order ids and visibility
    duplicate_client_id: Literal["accept", "refuse"] = "accept"
    duplicate_client_id_code: int = 30026
    client_id_max_length: int = 32
    client_id_characters: Literal["word", "any"] = "word"
    client_id_visible_after_ms: int = 0
    ack_echoes_client_id: bool = False
    order_visible_after_ms: int = 0
    trades_visible_after_ms: int = 20
    my_trades_limit: Literal[100, 1000] = 100
    my_trades_default: Literal[100, 10] = 100
    # Signing and clock
    mixed_signing: MixedSigning = "concatenate"
    accept_upper_case_signature: bool = True
    require_json_content_type: bool = True
    clock_offset_ms: int = 0
    clock_drift_ppm: int = 0
    # Websocket
    multi_ack: Literal["joined", "each"] = "joined"
    protocol_ping_answered: bool = True
    mini_tickers_every_ms: int = 3_000
    june_2026_fields: bool = True
    # Before the first trade
    tickers_before_trade: Literal["absent", "zero"] = "absent"
    mini_tickers_before_trade: bool = False
    book_before_open: bool = False
    # Calendar
    calendar_zone: bool = False
    calendar_envelope: bool = True
    calendar_fallback_names: bool = False
    calendar_history_ms: int = 7 * 86_400_000
    calendar_frozen: bool = False
    # Errors
    error_extend: bool = False
    error_code_as_string: bool = False
    chinese_texts: bool = False
    altered_texts: bool = False

    def __post_init__(self) -> None:
        """Refuse a clock that hardly runs or runs away."""
        super().__post_init__()
        if abs(self.clock_drift_ppm) > FASTEST_DRIFT_PPM:
            raise ValueError(f"clock_drift_ppm must be within ±{FASTEST_DRIFT_PPM}, got {self.clock_drift_ppm}")


class SimulatorOptions(_Options, frozen=True):
    """Everything `serve` needs. `port` 0 takes a free port; the simulator binds to this machine only by default."""

    seed: int = 1
    host: str = "127.0.0.1"
    port: int = 0
    accounts: tuple[AccountOptions, ...] = (AccountOptions(),)
    listings: tuple[ListingOptions, ...] = ()
    schedule: ScheduleOptions = ScheduleOptions()
    rate_limits: RateLimitOptions = RateLimitOptions()
    switches: Switches = Switches()
    faults: tuple[Fault, ...] = ()
    control_enabled: bool = True
    filler_pairs: int = 0
    price_step_ms: int = 250
    idle_close_ms: int = 30_000
    silent_close_ms: int = 60_000
    connection_lifetime_ms: int = 86_400_000
    push_queue_limit: int = 5_000
    listen_key_ms: int = 3_600_000
    max_subscriptions: int = 30
    max_client_messages_per_s: int = 100
    exit_with_parent: bool = False


def updated_switches(current: Switches, changes: dict[str, object]) -> Switches:
    """A copy of `current` with `changes` applied; raises `msgspec.ValidationError` naming the bad field."""
    return msgspec.convert({**msgspec.to_builtins(current), **changes}, Switches)
