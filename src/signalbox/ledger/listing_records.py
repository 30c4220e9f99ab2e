"""The record of every listing that appeared, as the engine writes it. Nothing here is on an order's way.

What was decided and bought stays where it is, in decisions and orders; a record's outcome is concluded from them, and
can be concluded again at any time. So a record that a crash kept from being written or finished is made good by the
next engine (`adopt_decisions`, `listing_facts`).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
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
    TradableProof,
    Unfinished,
    Watch,
    mark_window,
    proof_of,
)
from signalbox.domain.signals import LISTING_SOURCES, DetectionSource
from signalbox.ledger.connecting import Connection
from signalbox.ledger.database import Database
from signalbox.ledger.rows import Row, document

MOST_UNWATCHED = 500
"""More symbols than this that appeared at once are no listings but a hole in what we knew."""

_LATE_FILLS = timedelta(days=7)
_MICROSECOND = timedelta(microseconds=1)

_NOTE = """
INSERT INTO listing_records AS r (
    account_id, listing_id, symbol, listed_at, is_test, run_id, first_seen_at, first_seen_by, opens_at, tradable_at,
    tradable_by, quote_amount, created_at, updated_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)
ON CONFLICT (account_id, listing_id) DO UPDATE SET
    first_seen_by = CASE WHEN excluded.first_seen_at < r.first_seen_at THEN excluded.first_seen_by
        ELSE r.first_seen_by END,
    first_seen_at = least(r.first_seen_at, excluded.first_seen_at),
    opens_at = coalesce(excluded.opens_at, r.opens_at),
    tradable_by = CASE WHEN excluded.tradable_at < r.tradable_at OR r.tradable_at IS NULL THEN excluded.tradable_by
        ELSE r.tradable_by END,
    tradable_at = least(r.tradable_at, excluded.tradable_at),
    run_id = coalesce(excluded.run_id, r.run_id),
    quote_amount = coalesce(r.quote_amount, excluded.quote_amount),
    outcome = CASE WHEN r.reason_code = 'CANCELLED' THEN 'pending' ELSE r.outcome END,
    reason_code = nullif(r.reason_code, 'CANCELLED'),
    reason = CASE WHEN r.reason_code = 'CANCELLED' THEN NULL ELSE r.reason END,
    updated_at = excluded.updated_at
WHERE r.is_test = excluded.is_test
"""

# Lags count by one monotonic clock. Only against what an earlier process saw there is nothing but the wall clock.
_SIGHTING = """
INSERT INTO listing_sightings AS s (account_id, listing_id, source, seen_at, exchange_event_at, price, lag_ms)
SELECT $1, $2, $3, $4, $5, $6, $7::numeric + greatest(0, coalesce(round(
    extract(epoch FROM $8 - (SELECT min(seen_at) FROM listing_sightings WHERE account_id = $1 AND listing_id = $2))
    * 1000, 3), 0))
FROM listing_records WHERE account_id = $1 AND listing_id = $2 AND is_test = ($3 = 'test_injection')
ON CONFLICT (account_id, listing_id, source) DO UPDATE SET
    seen_at = excluded.seen_at, exchange_event_at = excluded.exchange_event_at, price = excluded.price,
    lag_ms = excluded.lag_ms
WHERE excluded.seen_at <= s.seen_at
"""

_LEARN = """
WITH new AS (
    INSERT INTO venue_symbols (venue, symbol, first_seen_at) SELECT $1, symbol, $3 FROM unnest($2::text[]) AS symbol
    ON CONFLICT DO NOTHING RETURNING symbol
)
SELECT symbol FROM new
"""

_RUN_BEFORE = """
SELECT r.status, r.stopped_at, r.error_message FROM bot_runs r JOIN accounts a ON a.id = r.account_id
WHERE a.venue = $1 AND r.strategy = 'listing_sniper' AND r.id IS DISTINCT FROM $2
ORDER BY r.status = 'running' DESC, r.stopped_at DESC NULLS LAST LIMIT 1
"""

_UNWATCHED = """
WITH new AS (
    INSERT INTO listing_records (
        account_id, listing_id, symbol, listed_at, run_id, first_seen_at, first_seen_by, opens_at, tradable_at,
        tradable_by, api_tradable, outcome, reason_code, reason, quote_amount, created_at, updated_at
    )
    SELECT $1, m.listing_id, m.symbol, m.listed_at, $2, $3, 'market_list', m.opens_at,
        CASE WHEN m.tradable THEN $3::timestamptz END, CASE WHEN m.tradable THEN 'market_rules' END, m.tradable,
        'missed', 'NO_RUN', $4, $5, $3, $3
    FROM unnest($6::uuid[], $7::text[], $8::timestamptz[], $9::timestamptz[], $10::boolean[])
        AS m (listing_id, symbol, listed_at, opens_at, tradable)
    WHERE NOT EXISTS (
        SELECT FROM listing_signals s WHERE s.symbol = m.symbol AND s.detection_source <> 'test_injection'
    )
    ON CONFLICT DO NOTHING
    RETURNING symbol, listed_at, first_seen_at
), listed AS (
    INSERT INTO listings (symbol, listed_at, source, created_at)
    SELECT symbol, listed_at, $11, first_seen_at FROM new
    ON CONFLICT DO NOTHING
)
SELECT symbol FROM new
"""

_ADOPT = """
WITH lost AS (
    INSERT INTO listing_records (
        account_id, listing_id, symbol, listed_at, is_test, run_id, first_seen_at, first_seen_by, opens_at, tradable_at,
        tradable_by, quote_amount, created_at, updated_at
    )
    SELECT d.account_id, s.id, s.symbol, s.listed_at, s.detection_source = 'test_injection', d.run_id, s.detected_at,
        s.detection_source, s.listing_time, CASE WHEN proof.by IS NOT NULL THEN s.detected_at END, proof.by,
        (d.inputs #>> '{configuration,quote_amount}')::numeric, $3, $3
    FROM strategy_decisions d JOIN listing_signals s ON s.id = d.listing_signal_id
    CROSS JOIN LATERAL (
        SELECT CASE WHEN s.price IS NOT NULL AND s.detection_source = ANY ('{ticker_diff,websocket}'::text[])
            THEN s.detection_source END AS by
    ) proof
    WHERE d.account_id = $1 AND d."timestamp" >= $2 AND NOT EXISTS (
        SELECT FROM listing_records r WHERE r.account_id = d.account_id AND r.listing_id = s.id
    )
    ON CONFLICT DO NOTHING
    RETURNING account_id, listing_id
)
SELECT lost.account_id, lost.listing_id, s.detection_source, s.detected_at, s.exchange_event_at, s.price, s.evidence
FROM lost JOIN listing_signals s ON s.id = lost.listing_id
"""

_FACTS = """
SELECT r.account_id, r.listing_id, r.symbol, r.outcome, d.id AS decision_id, d.decision AS verdict,
    coalesce(d.reason, '') AS decision_reason, d.skip_code,
    jsonb_path_query_first(d.risk_checks, '$[*] ? (@.verdict == "failed" && @.kind == "limit")') ->> 'name'
        AS failed_limit,
    coalesce(r.api_tradable, (d.inputs #>> '{instrument,api_tradable}')::boolean) AS api_tradable,
    coalesce(o.orders, '[]'::jsonb) AS orders
FROM listing_records r
LEFT JOIN strategy_decisions d ON d.account_id = r.account_id AND d.listing_signal_id = r.listing_id
LEFT JOIN LATERAL (
    SELECT bool_or(executed_quantity > 0) AS bought, jsonb_agg(jsonb_build_object(
        'status', status, 'bought', coalesce(executed_quantity, 0) > 0, 'error_code', error_code,
        'error_reason', error_reason
    ) ORDER BY attempt, id) AS orders
    FROM trade_orders WHERE decision_id = d.id
) o ON true
WHERE r.account_id = $1
    AND (r.outcome = 'pending' OR r.listing_id = ANY ($2)
        OR (r.outcome = 'missed' AND r.first_seen_at >= $3 AND o.bought))
"""

_CONCLUDE = """
UPDATE listing_records r SET
    outcome = $3, decision_id = coalesce($4, r.decision_id), reason_code = $5, reason_limit = $6, reason = $7,
    tradable_by = CASE WHEN taken.at < r.tradable_at OR (r.tradable_at IS NULL AND taken.at IS NOT NULL) THEN 'order'
        ELSE r.tradable_by END,
    tradable_at = least(r.tradable_at, taken.at), updated_at = $8
FROM (
    SELECT min(acknowledged_at) AS at FROM trade_orders WHERE decision_id = $4 AND exchange_order_id IS NOT NULL
) taken
WHERE r.account_id = $1 AND r.listing_id = $2 AND r.outcome <> 'traded'
"""

_MARKET = """
UPDATE listing_records SET
    api_tradable = $3, tradable_at = coalesce(tradable_at, $4), tradable_by = coalesce(tradable_by, $5), updated_at = $6
WHERE account_id = $1 AND listing_id = $2
"""

_BOOK = """
UPDATE listing_records SET book_read_at = $3, best_ask = $4, book_quantity = $5, book_spent = $6, updated_at = $7
WHERE account_id = $1 AND listing_id = $2 AND book_read_at IS NULL
"""

_BIDS = {
    minutes: f"""
UPDATE listing_records SET bid_after_{minutes}m = coalesce(bid_after_{minutes}m, $3), updated_at = $4
WHERE account_id = $1 AND listing_id = $2 AND book_read_at IS NOT NULL
"""  # noqa: S608 - our own column names
    for minutes in MARKS_MIN
}

_UNFINISHED = """
SELECT account_id, listing_id, symbol, first_seen_at, quote_amount, book_read_at, bid_after_1m, bid_after_5m,
    bid_after_15m
FROM listing_records
WHERE account_id = $1 AND first_seen_at >= $2 AND NOT is_test AND quote_amount IS NOT NULL
    AND reason_code IS DISTINCT FROM 'CANCELLED' AND (opens_at IS NULL OR opens_at >= first_seen_at - $3::interval)
    AND num_nulls(book_read_at, bid_after_1m, bid_after_5m, bid_after_15m) > 0
ORDER BY first_seen_at, listing_id
"""


class ListingRecords:
    """Writes of listing_records, listing_sightings and venue_symbols. Every method may be repeated."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note_listing(self, note: ListingNote, *, at: datetime) -> None:
        """A listing with everybody who saw it so far. What is known already is kept where it is earlier."""
        watch, first, proof = note.watch, note.sightings[0], proof_of(note.sightings)
        async with self._database.transaction() as connection:
            await connection.execute(
                _NOTE,
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
            await connection.executemany(_SIGHTING, rows)
            if not note.is_test:
                await connection.execute(_LEARN, watch.venue, [note.symbol], at)

    async def note_markets(self, watch: Watch, markets: Sequence[MarketSeen], *, at: datetime) -> Sequence[str]:
        """The venue's list at the start of a run. Symbols that were never seen before appeared while no bot was
        watching: each gets a record that says so, and they are returned.

        The first list of a venue is where we start from, and while another run watches the venue nobody was away: then
        the symbols are only learnt. So are more than 500 at once: they are a hole in what we knew, not listings.
        """
        by_symbol = {market.symbol: market for market in markets}
        async with self._database.transaction() as connection:
            known = await connection.fetchval("SELECT EXISTS (SELECT FROM venue_symbols WHERE venue = $1)", watch.venue)
            rows = await connection.fetch(_LEARN, watch.venue, sorted(by_symbol), at)
            new = [by_symbol[row["symbol"]] for row in rows]
            before = await connection.fetchrow(_RUN_BEFORE, watch.venue, watch.run_id)
            watched = before is not None and before["status"] == "running"
            if not known or not new or watched or len(new) > MOST_UNWATCHED:
                return []
            return await _note_unwatched(connection, watch, new, _nobody(before), at)

    async def adopt_decisions(self, account_id: AccountId, *, since: datetime, at: datetime) -> int:
        """Records for listings that were decided on but have none, because an engine ended before it wrote them (or
        dropped them under load). How many there were."""
        async with self._database.transaction() as connection:
            lost = await connection.fetch(_ADOPT, account_id, since, at)
            await connection.executemany(_SIGHTING, [values for row in lost for values in _evidence(row)])
        return len(lost)

    async def listing_facts(
        self, account_id: AccountId, *, also: Sequence[SignalId] = (), at: datetime
    ) -> Sequence[ListingFacts]:
        """What the ledger has on listings without an outcome, on those that were missed and yet bought (a late fill),
        and on the ones named."""
        rows = await self._database.fetch(_FACTS, account_id, list(also), at - _LATE_FILLS)
        return [document(dict(row), ListingFacts) for row in rows]

    async def conclude_listing(
        self, account_id: AccountId, listing_id: SignalId, conclusion: Conclusion, *, at: datetime
    ) -> None:
        """What became of a listing. What was traded stays so."""
        c = conclusion
        await self._database.execute(
            _CONCLUDE, account_id, listing_id, c.outcome, c.decision_id, c.code, c.limit, c.reason, at
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
        await self._database.execute(_MARKET, account_id, listing_id, api_tradable, *values, at)

    async def note_first_book(
        self, account_id: AccountId, listing_id: SignalId, book: FirstBook, *, at: datetime
    ) -> None:
        """What the quote amount would have bought. Only the first one counts."""
        values = (book.read_at, book.best_ask, book.quantity, book.spent)
        await self._database.execute(_BOOK, account_id, listing_id, *values, at)

    async def note_bid(
        self, account_id: AccountId, listing_id: SignalId, minutes: int, bid: Decimal, *, at: datetime
    ) -> None:
        """The best bid so many minutes after the first book. Only the first one counts."""
        await self._database.execute(_BIDS[minutes], account_id, listing_id, bid, at)

    async def unfinished_listings(self, account_id: AccountId, *, at: datetime) -> Sequence[Unfinished]:
        """Real listings of which a look back is still to come at that instant."""
        rows = await self._database.fetch(_UNFINISHED, account_id, at - 3 * HINDSIGHT, HINDSIGHT)
        found = [_unfinished(row, at) for row in rows]
        return [one for one in found if one.missing_min]


async def _note_unwatched(
    connection: Connection, watch: Watch, markets: Sequence[MarketSeen], reason: str, at: datetime
) -> Sequence[str]:
    instants = [_listed_at(market, at) for market in markets]
    rows = await connection.fetch(
        _UNWATCHED,
        watch.account_id,
        watch.run_id,
        at,
        reason,
        watch.quote_amount,
        [listing_signal_id(market.symbol, instant) for market, instant in zip(markets, instants, strict=True)],
        [market.symbol for market in markets],
        instants,
        [market.opens_at for market in markets],
        [market.tradable for market in markets],
        LISTING_SOURCES[DetectionSource.TICKER_DIFF],
    )
    return [row["symbol"] for row in rows]


def _listed_at(market: MarketSeen, at: datetime) -> datetime:
    """As for a signal: the venue's opening time, else the minute in which it was first seen."""
    return market.opens_at or at.replace(second=0, microsecond=0)


def _nobody(before: Row | None) -> str:
    if before is None or before["stopped_at"] is None:
        return "no bot was watching when it appeared"
    if before["status"] == "failed":
        return f"no bot was watching when it appeared; the run before failed: {before['error_message']}"
    return f"no bot was watching when it appeared; the run before ended at {before['stopped_at'].isoformat()}"


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
