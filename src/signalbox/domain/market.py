"""Prices as a venue shows them."""

from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct


class BookTicker(Struct, frozen=True, kw_only=True):
    """Best prices of a market. A side without orders is None."""

    symbol: str
    bid: Decimal | None
    bid_quantity: Decimal | None
    ask: Decimal | None
    ask_quantity: Decimal | None
    received_at: datetime


class BookLevel(Struct, frozen=True, array_like=True):
    """One price level: price in quote per base, quantity in base."""

    price: Decimal
    quantity: Decimal


class OrderBook(Struct, frozen=True, kw_only=True):
    """A snapshot of the book, best levels first."""

    symbol: str
    bids: tuple[BookLevel, ...]
    asks: tuple[BookLevel, ...]
    received_at: datetime


class ClockReading(Struct, frozen=True, kw_only=True):
    """How far a venue's clock is from ours. `offset` is the venue's time minus this machine's; the true offset lies
    within `error` of it. `samples` is how many comparisons it rests on."""

    offset: timedelta
    error: timedelta
    measured_at: datetime
    samples: int = 1
