"""What can be traded, and under which size rules."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct


class InstrumentStatus(StrEnum):
    """Life of a market as its venue tells it."""

    ANNOUNCED = "announced"
    TRADING = "trading"
    PAUSED = "paused"
    OFFLINE = "offline"


class Instrument(Struct, frozen=True, kw_only=True):
    """One market of a venue. Prices in quote per base, quantities in base, notionals in quote."""

    symbol: str
    base: str
    quote: str
    status: InstrumentStatus
    tick_size: Decimal
    lot_size: Decimal
    min_notional: Decimal
    min_notional_market: Decimal
    max_notional_market: Decimal | None = None
    taker_rate: Decimal = Decimal(0)
    api_tradable: bool = True
    market_orders: bool = True
    opens_at: datetime | None = None
