"""What is announced, and how the venues' clocks run: written by the engine, newest state wins."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct

from signalbox.domain.configuration import Venue
from signalbox.domain.ids import AccountId
from signalbox.domain.listings import ListingSchedule, ListingState, Move, UpcomingListing
from signalbox.domain.market import ClockReading
from signalbox.ledger.connecting import Connection
from signalbox.ledger.database import Database

_READ = """
SELECT id, symbol, opens_at, origins, disputed, state, moves, verdict, reasons, first_announced_at
FROM listing_schedule WHERE account_id = $1 AND symbol = ANY ($2) ORDER BY id
"""

_INSERT = """
INSERT INTO listing_schedule
    (account_id, symbol, opens_at, origins, disputed, state, moves, verdict, reasons, first_announced_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id
"""

_UPDATE = """
UPDATE listing_schedule SET
    opens_at = $2, origins = $3, disputed = $4, state = $5, moves = $6, verdict = $7, reasons = $8, updated_at = $9
WHERE id = $1
"""

_CLOSE = """
UPDATE listing_schedule SET
    state = CASE WHEN opens_at <= $4 THEN 'opened' ELSE 'cancelled' END, updated_at = $4
WHERE account_id = $1 AND state = 'scheduled' AND symbol <> ALL ($2) AND origins <@ $3
"""

_ADD_READING = """
INSERT INTO clock_offsets (venue, measured_at, offset_us, error_us, samples) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (venue, measured_at) DO NOTHING
"""


class _Row(Struct, kw_only=True):
    """One stored listing. Values as the database takes them."""

    opens_at: datetime
    origins: list[str]
    disputed: dict[str, datetime]
    state: ListingState
    moves: list[Move]
    verdict: str | None
    reasons: list[Any]
    first_announced_at: datetime


class Schedules:
    """Writes of listing_schedule and clock_offsets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_schedule(self, account_id: AccountId, schedule: ListingSchedule, *, at: datetime) -> None:
        """Bring the stored schedule up to date; only what differs is written. A listing keeps the row under which an
        earlier process began it, and the moves that happened in between are seen from its opening.

        A stored listing that is not named any more ends, once every source that announced it has been heard.
        """
        listings = sorted(schedule.listings, key=lambda listing: listing.first_announced_at)
        async with self._database.transaction() as connection:
            stored = await _read(connection, account_id, {listing.symbol for listing in listings})
            for listing in listings:
                await _write(connection, account_id, listing, stored[listing.symbol], at)
            waiting = [listing.symbol for listing in listings if listing.state is ListingState.SCHEDULED]
            await connection.execute(_CLOSE, account_id, waiting, sorted(schedule.heard), at)

    async def record_clock(self, venue: Venue, reading: ClockReading) -> None:
        """Keep one measurement. Repeating it changes nothing."""
        await self._database.execute(
            _ADD_READING,
            venue,
            reading.measured_at,
            _microseconds(reading.offset),
            _microseconds(reading.error),
            reading.samples,
        )


async def _read(connection: Connection, account_id: AccountId, symbols: set[str]) -> dict[str, dict[int, _Row]]:
    found: dict[str, dict[int, _Row]] = defaultdict(dict)
    for row in await connection.fetch(_READ, account_id, list(symbols)):
        found[row["symbol"]][row["id"]] = _row(row)
    return found


def _row(row: asyncpg.Record) -> _Row:
    return _Row(
        opens_at=row["opens_at"],
        origins=row["origins"],
        disputed=msgspec.convert(row["disputed"], dict[str, datetime]),
        state=ListingState(row["state"]),
        moves=msgspec.convert(row["moves"], list[Move]),
        verdict=row["verdict"],
        reasons=row["reasons"],
        first_announced_at=row["first_announced_at"],
    )


async def _write(
    connection: Connection, account_id: AccountId, listing: UpcomingListing, stored: dict[int, _Row], at: datetime
) -> None:
    number = _row_of(listing, stored)
    before = None if number is None else stored[number]
    if before is None and listing.state is not ListingState.SCHEDULED and _has_ended(listing, stored):
        return
    after = _merged(listing, before)
    if after == before:
        return
    values = (after.opens_at, after.origins, after.disputed, after.state, after.moves, after.verdict, after.reasons)
    if number is None:
        opens_at, *rest = values
        number = await connection.fetchval(
            _INSERT, account_id, listing.symbol, opens_at, *rest, after.first_announced_at, at
        )
    else:
        await connection.execute(_UPDATE, number, *values, at)
    stored[number] = after


def _row_of(listing: UpcomingListing, stored: dict[int, _Row]) -> int | None:
    """The row that is scheduled. One that ended does not end a listing that was announced after it."""
    for number, row in stored.items():
        if row.state is ListingState.SCHEDULED:
            same = listing.state is ListingState.SCHEDULED or row.first_announced_at <= listing.first_announced_at
            return number if same else None
    return None


def _has_ended(listing: UpcomingListing, stored: dict[int, _Row]) -> bool:
    return any(row.state is listing.state and row.opens_at == listing.opens_at for row in stored.values())


def _merged(listing: UpcomingListing, before: _Row | None) -> _Row:
    verdict = listing.verdict
    return _Row(
        opens_at=listing.opens_at,
        origins=list(listing.origins),
        disputed=listing.disputed,
        state=listing.state,
        moves=list(listing.moves) if before is None else merged_moves(before.moves, before.opens_at, listing),
        verdict=verdict.outcome.value if verdict else before.verdict if before else None,
        reasons=msgspec.to_builtins(list(verdict.reasons)) if verdict else before.reasons if before else [],
        first_announced_at=before.first_announced_at if before else listing.first_announced_at,
    )


def merged_moves(stored: list[Move], opens_at: datetime, listing: UpcomingListing) -> list[Move]:
    """The stored moves with those that are not stored yet. A difference that no move explains was made while nobody
    watched; it is dated to when the listing was seen again."""
    known_until = stored[-1].at if stored else None
    more = [move for move in listing.moves if known_until is None or move.at > known_until]
    began_at = more[0].old if more else listing.opens_at
    if began_at != opens_at:
        unseen = Move(at=listing.first_announced_at, old=opens_at, new=began_at, origin=listing.origins[0])
        more.insert(0, unseen)
    return [*stored, *more]


def _microseconds(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)
