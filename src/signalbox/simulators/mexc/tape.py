"""The public history of one pair: recent trades, minute candles and what the tickers say about them."""

from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice

from signalbox.simulators.market import Seeds, Side

ZERO = Decimal(0)
MINUTE_MS = 60_000
KEPT_TRADES = 1_000
KEPT_CANDLES = 1_500
HOURS_PER_DAY = 24


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """One execution as everybody sees it; `taker` is the side that crossed."""

    number: int
    price: Decimal
    quantity: Decimal
    taker: Side
    at_ms: int


@dataclass(slots=True)
class Candle:
    """One interval; `volume` in base, `turnover` in quote."""

    opens_at_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO
    turnover: Decimal = ZERO

    def add(self, price: Decimal, volume: Decimal, turnover: Decimal) -> None:
        """Count one more execution (or one later candle's close)."""
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        self.volume += volume
        self.turnover += turnover

    def absorb(self, later: "Candle") -> None:
        """Append a later candle, for longer intervals."""
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.volume += later.volume
        self.turnover += later.turnover


class Tape:
    """Trades and minute candles of one pair; empty until the first trade."""

    def __init__(self) -> None:
        self.trades: deque[PublicTrade] = deque(maxlen=KEPT_TRADES)
        self.candles: deque[Candle] = deque(maxlen=KEPT_CANDLES)
        self._hours: deque[Candle] = deque(maxlen=HOURS_PER_DAY)
        self.count = 0

    @property
    def last_price(self) -> Decimal | None:
        """Price of the latest trade, None before the first."""
        return self.candles[-1].close if self.candles else None

    def record(self, price: Decimal, quantity: Decimal, taker: Side, at_ms: int) -> PublicTrade:
        """Add one execution."""
        self.count += 1
        trade = PublicTrade(self.count, price, quantity, taker, at_ms)
        self.trades.append(trade)
        for candles, length_ms in ((self.candles, MINUTE_MS), (self._hours, 60 * MINUTE_MS)):
            opens_at = at_ms - at_ms % length_ms
            if not candles or candles[-1].opens_at_ms < opens_at:
                candles.append(Candle(opens_at, price, price, price, price))
            candles[-1].add(price, quantity, price * quantity)
        return trade

    def newest(self, limit: int) -> list[PublicTrade]:
        """Up to `limit` trades, newest first."""
        return list(islice(reversed(self.trades), limit))

    def day(self) -> Candle | None:
        """The last 24 hours (to the full hour) as one candle, None before the first trade."""
        return _merge(list(self._hours)) if self._hours else None

    def klines(self, interval_ms: int) -> list[Candle]:
        """All kept candles merged to a longer interval, oldest first."""
        groups: dict[int, list[Candle]] = {}
        for candle in self.candles:
            groups.setdefault(candle.opens_at_ms - candle.opens_at_ms % interval_ms, []).append(candle)
        merged = []
        for opens_at, candles in groups.items():
            candle = _merge(candles)
            candle.opens_at_ms = opens_at
            merged.append(candle)
        return merged

    def invent_history(self, seeds: Seeds, symbol: str, price: Decimal, until_ms: int, *, minutes: int) -> None:
        """Fill the past of an established pair with seeded candles that end at `price`."""
        rng = seeds.source(f"history/{symbol}")
        past: list[Candle] = []
        close = price
        opens_at = until_ms - until_ms % MINUTE_MS
        for _ in range(minutes):
            opens_at -= MINUTE_MS
            open_ = close * (1_000_000 + rng.randint(-900, 900)) / 1_000_000
            candle = Candle(opens_at, open_, max(open_, close), min(open_, close), close)
            candle.volume = Decimal(rng.randint(100, 5000)) / 100
            candle.turnover = candle.volume * (open_ + close) / 2
            past.append(candle)
            close = open_
        self.candles.extendleft(past)
        self._hours.extend(self.klines(60 * MINUTE_MS)[-HOURS_PER_DAY:])


def _merge(candles: list[Candle]) -> Candle:
    first = candles[0]
    merged = Candle(first.opens_at_ms, first.open, first.high, first.low, first.close, first.volume, first.turnover)
    for candle in candles[1:]:
        merged.absorb(candle)
    return merged
