"""What can be traded, and under which size rules."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

LONGEST_SYMBOL = 60


def is_symbol(text: str) -> bool:
    """Whether this can be a symbol at all. Real ones have non-ASCII letters and punctuation, but no spaces."""
    return 0 < len(text) <= LONGEST_SYMBOL and text.isprintable() and " " not in text  # no other space is printable


class InstrumentStatus(StrEnum):
    """Life of a market as its venue tells it."""

    ANNOUNCED = "announced"
    TRADING = "trading"
    PAUSED = "paused"
    OFFLINE = "offline"


class Instrument(Struct, frozen=True, kw_only=True, gc=False):
    """One market of a venue. Prices in quote per base, quantities in base, notionals in quote.

    `sell_band`: a limit sale may not be priced further below the last price than this fraction; None: no such rule.
    `api_tradable` is our conclusion, `api_flag` what the venue says at present: before an opening its "no" may only
    mean that nobody trades yet.
    """

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
    api_flag: bool = True
    sell_band: Decimal | None = None


class TradableSymbols(Struct, frozen=True, kw_only=True):
    """What a venue lets us trade over its API. None: not known, or nothing of that kind.

    `own` are the pairs that the account's key may trade, `default` those that any unbound key may trade. Simulation
    has no key.
    """

    own: frozenset[str] | None = None
    default: frozenset[str] | None = None
    has_key: bool = True

    @property
    def is_bound(self) -> bool | None:
        """Whether the key is bound to a list of pairs: it lacks most pairs of an unbound one. None: unknown."""
        if not self.has_key:
            return False
        if self.own is None or not self.default:
            return None
        return len(self.default & self.own) * 2 < len(self.default)
