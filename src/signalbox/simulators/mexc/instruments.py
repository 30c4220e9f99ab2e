"""What a pair is and when it opens: the rules that exchangeInfo publishes and the life cycle of a listing."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from signalbox.simulators.mexc.decimals import plain


class Phase(StrEnum):
    """Where a pair is in its life."""

    UNKNOWN = "unknown"  # nobody outside knows it
    PENDING = "pending"  # announced, not yet open
    OPEN = "open"
    HALTED = "halted"
    GONE = "gone"  # cancelled before it opened, or delisted


@dataclass(frozen=True, slots=True)
class Rules:
    """The trading rules of one pair. Scales are numbers of decimals; rates and ratios are fractions."""

    symbol: str
    base: str
    quote: str
    full_name: str
    coin_id: str
    quantity_scale: int = 2
    price_scale: int = 4
    min_notional: Decimal = Decimal(1)
    max_notional: Decimal = Decimal(2_000_000)
    max_notional_market: Decimal = Decimal(100_000)
    min_quantity: Decimal = Decimal(0)
    percent_price: Decimal | None = Decimal("0.2")
    maker_rate: Decimal = Decimal(0)
    taker_rate: Decimal = Decimal("0.0005")
    market_band: Decimal | None = None
    pre_open_code: int | None = None
    open_price: Decimal | None = None
    opening_cap: Decimal | None = None
    opening_cap_ms: int = 60_000
    buy_only_ms: int = 0

    @property
    def tick(self) -> Decimal:
        """Smallest price step."""
        return Decimal(1).scaleb(-self.price_scale)

    @property
    def lot(self) -> Decimal:
        """Smallest quantity step."""
        return Decimal(1).scaleb(-self.quantity_scale)


@dataclass(slots=True)
class Timetable:
    """When what about a pair becomes true, in UTC milliseconds. `None` means never.

    `published_open_ms` is what the calendar and `firstOpenTime` say, `opens_at_ms` when orders are really taken.
    """

    opens_at_ms: int
    published_open_ms: int | None
    calendar_from_ms: int | None
    visible_from_ms: int | None
    status_online_at_ms: int
    api_from_ms: int | None
    gone_at_ms: int | None = None
    halted: bool = False
    open_time_in_info: bool = True
    moves: list[tuple[int, int | None]] = field(default_factory=list)

    def apply_moves(self, now_ms: int) -> bool:
        """Carry out reschedulings that are due; True when something changed."""
        changed = False
        while self.moves and self.moves[0][0] <= now_ms:
            at_ms, opens_at_ms = self.moves.pop(0)
            changed = True
            if opens_at_ms is None:
                self.gone_at_ms = at_ms
            else:
                self.move_to(opens_at_ms)
        return changed

    def move_to(self, published_open_ms: int) -> None:
        """Shift the opening; lateness and the other offsets stay as they were."""
        planned = self.published_open_ms if self.published_open_ms is not None else self.opens_at_ms
        shift = published_open_ms - planned
        self.opens_at_ms += shift
        self.status_online_at_ms += shift
        if self.published_open_ms is not None:
            self.published_open_ms += shift
        if self.api_from_ms is not None:
            self.api_from_ms += shift
        if self.visible_from_ms is not None:
            self.visible_from_ms = min(self.visible_from_ms, self.opens_at_ms)

    def phase(self, now_ms: int) -> Phase:
        """The phase at one moment."""
        if self.gone_at_ms is not None and now_ms >= self.gone_at_ms:
            return Phase.GONE
        if now_ms >= self.opens_at_ms:
            return Phase.HALTED if self.halted else Phase.OPEN
        if self.is_visible(now_ms):
            return Phase.PENDING
        return Phase.UNKNOWN

    def is_visible(self, now_ms: int) -> bool:
        """Whether exchangeInfo shows the pair."""
        if self.gone_at_ms is not None and now_ms >= self.gone_at_ms:
            return False
        return self.visible_from_ms is not None and now_ms >= self.visible_from_ms

    def is_api_tradable(self, now_ms: int) -> bool:
        """Whether the API may trade it (`isSpotTradingAllowed`)."""
        return self.api_from_ms is not None and now_ms >= self.api_from_ms

    def in_calendar(self, now_ms: int, history_ms: int) -> bool:
        """Whether the calendar of new coins shows it."""
        if self.calendar_from_ms is None or self.published_open_ms is None:
            return False
        if self.gone_at_ms is not None and now_ms >= self.gone_at_ms:
            return False
        return self.calendar_from_ms <= now_ms <= self.published_open_ms + history_ms


@dataclass(frozen=True, slots=True)
class Visible:
    """What exchangeInfo says about a pair that changes with time."""

    status: str
    api_tradable: bool
    side_type: int
    first_open_ms: int | None


def visible_at(rules: Rules, timetable: Timetable, now_ms: int) -> Visible:
    """The changing fields at one moment."""
    online = now_ms >= timetable.status_online_at_ms and not timetable.halted
    buying_only = timetable.opens_at_ms <= now_ms < timetable.opens_at_ms + rules.buy_only_ms
    return Visible(
        status="1" if online else "2",
        api_tradable=timetable.is_api_tradable(now_ms),
        side_type=2 if buying_only else 1,
        first_open_ms=timetable.published_open_ms if timetable.open_time_in_info else None,
    )


def exchange_info_entry(rules: Rules, visible: Visible) -> dict[str, object]:
    """One element of exchangeInfo `symbols` (fields and types as observed on the live endpoint, 2025-12 and 2026)."""
    entry: dict[str, object] = {
        "symbol": rules.symbol,
        "status": visible.status,
        "baseAsset": rules.base,
        "baseAssetPrecision": rules.quantity_scale,
        "quoteAsset": rules.quote,
        "quotePrecision": rules.price_scale,
        "quoteAssetPrecision": rules.price_scale,
        "baseCommissionPrecision": rules.quantity_scale,
        "quoteCommissionPrecision": rules.price_scale,
        "orderTypes": ["LIMIT", "MARKET", "LIMIT_MAKER"],
        "isSpotTradingAllowed": visible.api_tradable,
        "isMarginTradingAllowed": False,
        "quoteAmountPrecision": plain(rules.min_notional),
        "baseSizePrecision": plain(rules.min_quantity),
        "permissions": ["SPOT"],
        "filters": _filters(rules),
        "maxQuoteAmount": plain(rules.max_notional),
        "makerCommission": plain(rules.maker_rate),
        "takerCommission": plain(rules.taker_rate),
        "quoteAmountPrecisionMarket": plain(rules.min_notional),
        "maxQuoteAmountMarket": plain(rules.max_notional_market),
        "fullName": rules.full_name,
        "tradeSideType": visible.side_type,
        "contractAddress": "",
        "conceptPlateIds": [],
        "st": False,
        "bizType": 0,
        "conceptPlates": [],
    }
    if visible.first_open_ms is not None:
        entry["firstOpenTime"] = visible.first_open_ms
    return entry


def _filters(rules: Rules) -> list[dict[str, str]]:
    if rules.percent_price is None:
        return []
    ratio = plain(rules.percent_price)
    return [{"filterType": "PERCENT_PRICE_BY_SIDE", "bidMultiplierUp": ratio, "askMultiplierDown": ratio}]
