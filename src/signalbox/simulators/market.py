"""A venue-neutral market: an order book with price-time priority and a seeded price process.

Nothing here knows an exchange's protocol. Prices and quantities are `Decimal`; the random source is handed in,
so that one seed always gives one path. Floats appear only inside the random draw and leave it as whole parts
per million.
"""

import math
import random
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from enum import StrEnum
from typing import Generic, TypeVar

OwnerT = TypeVar("OwnerT")
ZERO = Decimal(0)
PPM = 1_000_000


class Seeds:
    """One reproducible random source per purpose, all derived from one seed.

    Separate sources keep purposes independent: a client that asks for more books does not change any price path.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def source(self, purpose: str) -> random.Random:
        """The random source for one purpose; the same seed and purpose always give the same numbers."""
        return random.Random(f"{self.seed}/{purpose}")  # noqa: S311 - reproducible on purpose, never a secret


class Side(StrEnum):
    """Which way an order trades."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> "Side":
        """The side that this one trades against."""
        return Side.SELL if self is Side.BUY else Side.BUY


@dataclass(slots=True, eq=False)
class Resting(Generic[OwnerT]):
    """An order that waits in the book; `owner` is None for the house (the simulated other traders)."""

    side: Side
    price: Decimal
    remaining: Decimal
    owner: OwnerT | None = None


@dataclass(frozen=True, slots=True)
class Match(Generic[OwnerT]):
    """One execution, at the price of the order that rested."""

    maker: Resting[OwnerT]
    price: Decimal
    quantity: Decimal


@dataclass(slots=True)
class _HalfBook(Generic[OwnerT]):
    """One side; `keys` holds the prices best first (bids are stored negated)."""

    side: Side
    keys: list[Decimal] = field(default_factory=list)
    levels: dict[Decimal, deque[Resting[OwnerT]]] = field(default_factory=dict)

    def key(self, price: Decimal) -> Decimal:
        return -price if self.side is Side.BUY else price

    def add(self, order: Resting[OwnerT]) -> None:
        level = self.levels.get(order.price)
        if level is None:
            level = self.levels[order.price] = deque()
            insort(self.keys, self.key(order.price))
        level.append(order)

    def drop_level(self, price: Decimal) -> None:
        del self.levels[price]
        del self.keys[bisect_left(self.keys, self.key(price))]

    def prices(self) -> Iterator[Decimal]:
        return (abs(key) for key in self.keys)


class OrderBook(Generic[OwnerT]):
    """Bids and asks with price-time priority. `version` grows by one with every change."""

    def __init__(self) -> None:
        self._halves: dict[Side, _HalfBook[OwnerT]] = {side: _HalfBook(side) for side in Side}
        self.version = 1

    def best(self, side: Side) -> tuple[Decimal, Decimal] | None:
        """Best price of one side and the quantity there, or None when that side is empty."""
        half = self._halves[side]
        if not half.keys:
            return None
        price = abs(half.keys[0])
        return price, sum((order.remaining for order in half.levels[price]), ZERO)

    def levels(self, side: Side, limit: int) -> list[tuple[Decimal, Decimal]]:
        """Up to `limit` (price, quantity) levels, best first."""
        half = self._halves[side]
        return [
            (abs(key), sum((order.remaining for order in half.levels[abs(key)]), ZERO)) for key in half.keys[:limit]
        ]

    def available(self, taker: Side, limit_price: Decimal) -> Decimal:
        """Quantity that a taker could trade at `limit_price` or better."""
        total = ZERO
        half = self._halves[taker.opposite]
        for price in half.prices():
            if _is_worse(taker, price, limit_price):
                break
            total += sum((order.remaining for order in half.levels[price]), ZERO)
        return total

    def would_cross(self, taker: Side, price: Decimal) -> bool:
        """Whether an order at this price would trade at once."""
        best = self.best(taker.opposite)
        return best is not None and not _is_worse(taker, best[0], price)

    def take(self, taker: Side, quantity: Decimal, limit_price: Decimal) -> list[Match[OwnerT]]:
        """Execute up to `quantity` against the other side, never worse than `limit_price`."""
        half = self._halves[taker.opposite]
        matches: list[Match[OwnerT]] = []
        while quantity > 0 and half.keys:
            price = abs(half.keys[0])
            if _is_worse(taker, price, limit_price):
                break
            level = half.levels[price]
            maker = level[0]
            traded = min(quantity, maker.remaining)
            maker.remaining -= traded
            quantity -= traded
            matches.append(Match(maker, price, traded))
            if maker.remaining == 0:
                level.popleft()
                if not level:
                    half.drop_level(price)
        if matches:
            self.version += 1
        return matches

    def rest(self, order: Resting[OwnerT]) -> None:
        """Put an order into the book behind those already waiting at its price."""
        self._halves[order.side].add(order)
        self.version += 1

    def remove(self, order: Resting[OwnerT]) -> bool:
        """Take an order out; False when it is no longer there."""
        half = self._halves[order.side]
        level = half.levels.get(order.price)
        if level is None or order not in level:
            return False
        level.remove(order)
        if not level:
            half.drop_level(order.price)
        self.version += 1
        return True

    def remove_house(self) -> None:
        """Take out everything that belongs to the house, so that it can quote anew."""
        for half in self._halves.values():
            for price in list(half.prices()):
                kept = deque(order for order in half.levels[price] if order.owner is not None)
                if kept:
                    half.levels[price] = kept
                else:
                    half.drop_level(price)
        self.version += 1

    def quote_house(self, quotes: Sequence[Resting[OwnerT]]) -> list[Match[OwnerT]]:
        """Replace the house's orders; returns what they traded with the orders of others on the way in."""
        self.remove_house()
        matches: list[Match[OwnerT]] = []
        for quote in quotes:
            for match in self.take(quote.side, quote.remaining, quote.price):
                quote.remaining -= match.quantity
                matches.append(match)
            if quote.remaining > 0:
                self._halves[quote.side].add(quote)
        return matches


def _is_worse(taker: Side, price: Decimal, limit_price: Decimal) -> bool:
    return price > limit_price if taker is Side.BUY else price < limit_price


@dataclass(frozen=True, slots=True)
class Shape:
    """How a fresh listing moves: up to `peak_ppm` of the opening price within `rise_ms`, then decay to `floor_ppm`."""

    peak_ppm: int = 2_200_000
    floor_ppm: int = 700_000
    rise_ms: int = 20_000
    decay_ms: int = 240_000

    def factor_ppm(self, elapsed_ms: int) -> int:
        """The multiple of the opening price after `elapsed_ms`, in parts per million."""
        if elapsed_ms < self.rise_ms:
            return PPM + (self.peak_ppm - PPM) * elapsed_ms // self.rise_ms
        fading = math.exp(-(elapsed_ms - self.rise_ms) / self.decay_ms)
        return self.floor_ppm + round((self.peak_ppm - self.floor_ppm) * fading)


class PriceProcess:
    """A seeded price path: a shape (or none) times mean-reverting noise, one value per step.

    The path depends only on the random source and the number of the step, never on when it is asked for.
    """

    def __init__(
        self,
        rng: random.Random,
        start: Decimal,
        *,
        step_ms: int,
        noise_ppm: int,
        shape: Shape | None = None,
    ) -> None:
        self._rng = rng
        self._start = start
        self._shape = shape
        self._noise_ppm = noise_ppm
        self._noise = 0
        self._origin_step = 0
        self.step_ms = step_ms
        self.step = 0
        self.held = False

    def advance(self) -> None:
        """Go on to the next step."""
        self.step += 1
        draw = self._rng.gauss(0, self._noise_ppm)
        if not self.held:
            self._noise = round(self._noise * 0.985 + draw)

    @property
    def price(self) -> Decimal:
        """The price of the current step, not rounded to any tick; never below a thousandth of the start."""
        factor = PPM
        if self._shape is not None and not self.held:
            factor = self._shape.factor_ppm((self.step - self._origin_step) * self.step_ms)
        factor = max(factor * (PPM + self._noise) // PPM, PPM // 1000)
        return self._start * factor / PPM

    def move_to(self, price: Decimal, *, hold: bool) -> None:
        """Jump to `price`; stay there when `hold`, else wander on from it without the listing shape."""
        self._start, self._noise, self._shape, self.held = price, 0, None, hold


def ladder(
    rng: random.Random, mid: Decimal, *, tick: Decimal, lot: Decimal, depth: int, spread_ppm: int, notional: Decimal
) -> list[Resting[OwnerT]]:
    """The house's quotes around `mid`: `depth` levels on each side, about `notional` of quote asset per level."""
    quotes: list[Resting[OwnerT]] = []
    for level in range(depth):
        gap = mid * (spread_ppm * (level + 1)) / (2 * PPM)
        size = notional * rng.randint(600, 1400) * (level + 2) / 2000
        bid = _to_step(mid - gap, tick, ROUND_DOWN)
        ask = _to_step(mid + gap, tick, ROUND_UP)
        if ask <= bid:
            ask = bid + tick
        if bid > 0:
            quotes.append(Resting(Side.BUY, bid, _lots(size / bid, lot)))
        quotes.append(Resting(Side.SELL, ask, _lots(size / ask, lot)))
    return quotes


def _lots(quantity: Decimal, lot: Decimal) -> Decimal:
    return max(_to_step(quantity, lot, ROUND_DOWN), lot)


def _to_step(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    return (value / step).quantize(Decimal(1), rounding=rounding) * step
