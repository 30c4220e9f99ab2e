"""Listings and signals; a test listing can be injected."""

from datetime import datetime

from signalbox.control.context import Control
from signalbox.domain.signals import DetectionSource, ListingSource, check_test_listing
from signalbox.ledger.queries import listings as queries
from signalbox.ledger.queries.listings import ListingRow, SignalRow, Since


async def inject_test_listing(control: Control, *, symbol: str, listed_at: datetime | None = None) -> ListingRow:
    """Record a listing that did not happen. It is traded in simulation only, whatever the account's mode.

    Symbols are upper-case on every venue, so a symbol in small letters is taken as the same in capitals.
    `listed_at` is now when it is None. Raises ConfigError ("Invalid symbol format", "listed_at cannot be in the
    future") or ConflictError ("Listing already recorded").
    """
    now = control.clock.now()
    instant = now.replace(microsecond=now.microsecond // 1000 * 1000) if listed_at is None else listed_at
    check_test_listing(symbol, instant, now)
    symbol = symbol.upper()
    async with control.sessions.write() as session:
        row = await queries.insert_test_listing(session, symbol, instant, at=now)
        await control.record(session, "trading", f"test listing {symbol} injected", symbol=symbol, listing_id=row.id)
    return row


async def list_listings(control: Control, wanted: Since, *, source: ListingSource | None = None) -> list[ListingRow]:
    """Listings, newest first."""
    async with control.sessions.read() as session:
        return await queries.list_listings(session, wanted, source=source)


async def list_signals(control: Control, wanted: Since, *, source: DetectionSource | None = None) -> list[SignalRow]:
    """Signals, newest first."""
    async with control.sessions.read() as session:
        return await queries.list_signals(session, wanted, source=source)
