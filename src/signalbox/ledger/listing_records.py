"""The record of every listing that appeared, as the engine writes it. Nothing here is on an order's way.

What was decided and bought stays where it is, in decisions and orders; a record's outcome is concluded from them, and
can be concluded again at any time. So a record that a crash kept from being written or finished is made good by the
next engine (`adopt_listings`, `listing_facts`).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec

from signalbox.domain.ids import AccountId, SignalId, listing_signal_id
from signalbox.domain.listing_records import (
    HINDSIGHT,
    MARKS_MIN,
    Conclusion,
    FirstBook,
    ListingFacts,
    ListingNote,
    MarketSeen,
    SeenBy,
    TradableProof,
    Unfinished,
    Watch,
    mark_window,
    proof_of,
)
from signalbox.domain.signals import LISTING_SOURCES, DetectionSource
from signalbox.ledger.connecting import Connection
from signalbox.ledger.database import Database
from signalbox.ledger.listing_statements import (
    ADOPT,
    ANNOUNCED,
    BIDS,
    BOOK,
    CANCELLED,
    CONCLUDE,
    FACTS,
    LEARN,
    MARKET,
    NOTE,
    RUN_BEFORE,
    SIGHTING,
    TAKE_BACK,
    UNFINISHED,
    UNWATCHED,
)
from signalbox.ledger.rows import Row, document

MOST_UNWATCHED = 500
"""More symbols than this that appeared at once are no listings but a hole in what we knew."""

_LATE_FILLS = timedelta(days=7)
_MICROSECOND = timedelta(microseconds=1)


class ListingRecords:
    """Writes of listing_records, listing_sightings and venue_symbols. Every method may be repeated."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note_listing(self, note: ListingNote, *, at: datetime) -> None:
        """A listing with everybody who saw it so far. What is known already is kept where it is earlier."""
        watch, first, proof = note.watch, note.sightings[0], proof_of(note.sightings)
        async with self._database.transaction() as connection:
            await connection.execute(
                NOTE,
                watch.account_id,
                note.listing_id,
                note.symbol,
                note.listed_at,
                note.is_test,
                watch.run_id,
                first.seen_at,
                first.source,
                note.opens_at,
                proof.at if proof else None,
                proof.by if proof else None,
                watch.quote_amount,
                at,
            )
            rows = [
                (
                    watch.account_id,
                    note.listing_id,
                    entry.source,
                    entry.seen_at,
                    entry.exchange_event_at,
                    entry.price,
                    entry.lag_ms,
                    first.seen_at,
                )
                for entry in note.sightings
            ]
            await connection.executemany(SIGHTING, rows)
            if not note.is_test:
                await connection.execute(LEARN, watch.venue, [note.symbol], at)

    async def note_markets(self, watch: Watch, markets: Sequence[MarketSeen], *, at: datetime) -> Sequence[str]:
        """The venue's list at the start of a run. Symbols that were never seen before appeared while no bot was
        watching: each gets a record that says so, and they are returned.

        The first list of a venue is where we start from, and while another run watches the venue nobody was away: then
        the symbols are only learnt. So are more than 500 at once: they are a hole in what we knew, not listings.
        """
        by_symbol = {market.symbol: market for market in markets}
        async with self._database.transaction() as connection:
            known = await connection.fetchval("SELECT EXISTS (SELECT FROM venue_symbols WHERE venue = $1)", watch.venue)
            rows = await connection.fetch(LEARN, watch.venue, sorted(by_symbol), at)
            new = [by_symbol[row["symbol"]] for row in rows]
            before = await connection.fetchrow(RUN_BEFORE, watch.venue, watch.run_id)
            watched = before is not None and before["status"] == "running"
            if not known or not new or watched or len(new) > MOST_UNWATCHED:
                return []
            return await _note_unwatched(connection, watch, new, _nobody(before), at)

    async def adopt_listings(self, account_id: AccountId, *, since: datetime, at: datetime) -> int:
        """Records for listings that have none: decided on by an engine that ended before it wrote them (or dropped them
        under load), or announced and taken back. How many there were."""
        async with self._database.transaction() as connection:
            lost = await connection.fetch(ADOPT, account_id, since, at)
            await connection.executemany(SIGHTING, [values for row in lost for values in _evidence(row)])
            gone = await connection.fetch(CANCELLED, account_id, since)
            await connection.executemany(TAKE_BACK, [_taken_back(row, at) for row in gone])
        return len(lost) + len(gone)

    async def listing_facts(
        self, account_id: AccountId, *, also: Sequence[SignalId] = (), at: datetime
    ) -> Sequence[ListingFacts]:
        """What the ledger has on listings without an outcome, on those that were missed and yet bought (a late fill),
        and on the ones named."""
        rows = await self._database.fetch(FACTS, account_id, list(also), at - _LATE_FILLS)
        return [document(dict(row), ListingFacts) for row in rows]

    async def conclude_listing(
        self, account_id: AccountId, listing_id: SignalId, conclusion: Conclusion, *, at: datetime
    ) -> None:
        """What became of a listing. What was traded stays so."""
        c = conclusion
        await self._database.execute(
            CONCLUDE, account_id, listing_id, c.outcome, c.decision_id, c.code, c.limit, c.reason, at
        )

    async def note_market(
        self,
        account_id: AccountId,
        listing_id: SignalId,
        *,
        api_tradable: bool,
        proof: TradableProof | None,
        at: datetime,
    ) -> None:
        """What the venue's rules say of a listing now. A proof counts when there was none before."""
        values = (proof.at, proof.by) if proof else (None, None)
        await self._database.execute(MARKET, account_id, listing_id, api_tradable, *values, at)

    async def note_first_book(
        self, account_id: AccountId, listing_id: SignalId, book: FirstBook, *, at: datetime
    ) -> None:
        """What the quote amount would have bought. Only the first one counts."""
        values = (book.read_at, book.best_ask, book.quantity, book.spent)
        await self._database.execute(BOOK, account_id, listing_id, *values, at)

    async def note_bid(
        self, account_id: AccountId, listing_id: SignalId, minutes: int, bid: Decimal, *, at: datetime
    ) -> None:
        """The best bid so many minutes after the first book. Only the first one counts."""
        await self._database.execute(BIDS[minutes], account_id, listing_id, bid, at)

    async def unfinished_listings(self, account_id: AccountId, *, at: datetime) -> Sequence[Unfinished]:
        """Real listings of which a look back is still to come at that instant."""
        rows = await self._database.fetch(UNFINISHED, account_id, at - 3 * HINDSIGHT, HINDSIGHT)
        found = [_unfinished(row, at) for row in rows]
        return [one for one in found if one.missing_min]


async def _note_unwatched(
    connection: Connection, watch: Watch, markets: Sequence[MarketSeen], reason: str, at: datetime
) -> Sequence[str]:
    rows = await connection.fetch(ANNOUNCED, watch.account_id, [market.symbol for market in markets], at)
    announced = {row["symbol"]: row["opens_at"] for row in rows}
    openings = [market.opens_at or announced.get(market.symbol) for market in markets]
    instants = [opens_at or at.replace(second=0, microsecond=0) for opens_at in openings]
    rows = await connection.fetch(
        UNWATCHED,
        watch.account_id,
        watch.run_id,
        at,
        reason,
        watch.quote_amount,
        [listing_signal_id(market.symbol, instant) for market, instant in zip(markets, instants, strict=True)],
        [market.symbol for market in markets],
        instants,
        openings,
        [market.tradable for market in markets],
        LISTING_SOURCES[DetectionSource.TICKER_DIFF],
    )
    return [row["symbol"] for row in rows]


def _nobody(before: Row | None) -> str:
    if before is None or before["stopped_at"] is None:
        return "no bot was watching when it appeared"
    if before["status"] == "failed":
        return f"no bot was watching when it appeared; the run before failed: {before['error_message']}"
    return f"no bot was watching when it appeared; the run before ended at {_utc(before['stopped_at'])}"


def _taken_back(row: Row, at: datetime) -> tuple[object, ...]:
    symbol, opens_at, moves = row["symbol"], row["opens_at"], row["moves"]
    seen_by = SeenBy.CALENDAR if "calendar" in row["origins"] else SeenBy.MARKET_LIST
    moved = f", after {moves} change{'s' if moves > 1 else ''} of its time" if moves else ""
    reason = f"the venue took the listing back{moved}; it was to open at {_utc(opens_at)}"
    listing_id = listing_signal_id(symbol, opens_at)
    return (row["account_id"], listing_id, symbol, opens_at, row["first_announced_at"], seen_by, reason, at)


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


class _Seen(msgspec.Struct):
    source: DetectionSource
    seen_at: datetime
    exchange_event_at: datetime | None = None
    price: Decimal | None = None


def _evidence(row: Row) -> list[tuple[object, ...]]:
    """The sightings that a signal and its evidence tell of. Only the wall clock says how far apart they were."""
    first = _Seen(row["detection_source"], row["detected_at"], row["exchange_event_at"], row["price"])
    later = document(row["evidence"], list[_Seen])
    return [
        (
            row["account_id"],
            row["listing_id"],
            seen.source,
            seen.seen_at,
            seen.exchange_event_at,
            seen.price,
            max(Decimal(0), Decimal((seen.seen_at - first.seen_at) // _MICROSECOND) / 1000),
            first.seen_at,
        )
        for seen in (first, *later)
    ]


def _unfinished(row: Row, at: datetime) -> Unfinished:
    read_at = row["book_read_at"]
    missing = [minutes for minutes in MARKS_MIN if row[f"bid_after_{minutes}m"] is None]
    if read_at is not None:
        missing = [minutes for minutes in missing if at <= mark_window(read_at, minutes)[1]]
    elif at > row["first_seen_at"] + HINDSIGHT:
        missing = []
    return Unfinished(
        account_id=AccountId(row["account_id"]),
        listing_id=SignalId(row["listing_id"]),
        symbol=row["symbol"],
        first_seen_at=row["first_seen_at"],
        quote_amount=row["quote_amount"],
        book_read_at=read_at,
        missing_min=tuple(missing),
    )
