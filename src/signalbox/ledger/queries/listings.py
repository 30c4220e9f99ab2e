"""Listings, and the signals that they became."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import asyncpg
from msgspec import Struct

from signalbox.domain.errors import ConflictError
from signalbox.domain.ids import SignalId
from signalbox.domain.listing_records import ListingOutcome
from signalbox.domain.signals import Confidence, DetectionSource, ListingSource
from signalbox.ledger.sessions import ReadSession, WriteSession


class ListingRow(Struct, frozen=True, kw_only=True):
    """A recorded listing. `outcome` and why it was missed: of the account that came furthest, None while nobody has
    looked at it."""

    id: int
    symbol: str
    listed_at: datetime
    source: ListingSource
    created_at: datetime
    outcome: ListingOutcome | None = None
    reason_code: str | None = None
    reason_limit: str | None = None


class SignalRow(Struct, frozen=True, kw_only=True):
    """A signal with the number of decisions that it caused. `evidence` is what later sources said."""

    id: SignalId
    symbol: str
    listed_at: datetime
    detection_source: DetectionSource
    confidence: Confidence
    detected_at: datetime
    listing_time: datetime | None
    freshness_deadline: datetime
    processed: bool
    exchange_event_at: datetime | None
    price: Decimal | None
    evidence: list[Any]
    executed: int
    skipped: int


class Since(Struct, frozen=True, kw_only=True):
    """Filters that every list has. Times are UTC; `until` is not included."""

    since: datetime | None = None
    until: datetime | None = None
    symbol: str | None = None
    limit: int = 50


async def insert_test_listing(session: WriteSession, symbol: str, listed_at: datetime, *, at: datetime) -> ListingRow:
    """Record an injected test listing. Raises ConflictError when this listing is recorded already."""
    try:
        row = await session.row(
            ListingRow,
            """
            INSERT INTO listings (symbol, listed_at, source, created_at) VALUES ($1, $2, 'test_injection', $3)
            RETURNING id, symbol, listed_at, source, created_at
            """,
            symbol,
            listed_at,
            at,
        )
    except asyncpg.UniqueViolationError as error:
        raise ConflictError(f"Listing already recorded: {symbol} at {listed_at.isoformat()}") from error
    assert row is not None  # noqa: S101 - INSERT ... RETURNING always gives the row
    return row


async def list_listings(
    session: ReadSession, wanted: Since, *, source: ListingSource | None = None
) -> list[ListingRow]:
    """Listings, newest first."""
    return await session.rows(
        ListingRow,
        """
        SELECT l.id, l.symbol, l.listed_at, l.source, l.created_at, r.outcome, r.reason_code, r.reason_limit
        FROM (
            SELECT * FROM listings
            WHERE ($1::timestamptz IS NULL OR created_at >= $1) AND ($2::timestamptz IS NULL OR created_at < $2)
              AND ($3::text IS NULL OR symbol = $3) AND ($4::text IS NULL OR source = $4)
            ORDER BY created_at DESC, id DESC LIMIT $5
        ) AS l LEFT JOIN LATERAL (
            SELECT outcome, reason_code, reason_limit FROM listing_records
            WHERE symbol = l.symbol AND listed_at = l.listed_at
            ORDER BY array_position('{traded,pending,missed}'::text[], outcome) LIMIT 1
        ) AS r ON true
        ORDER BY l.created_at DESC, l.id DESC
        """,
        wanted.since,
        wanted.until,
        wanted.symbol,
        source,
        wanted.limit,
    )


async def list_signals(
    session: ReadSession, wanted: Since, *, source: DetectionSource | None = None
) -> list[SignalRow]:
    """Signals, newest first."""
    return await session.rows(
        SignalRow,
        """
        SELECT s.id, s.symbol, s.listed_at, s.detection_source, s.confidence, s.detected_at, s.listing_time,
               s.freshness_deadline, s.processed, s.exchange_event_at, s.price, s.evidence,
               count(d.id) FILTER (WHERE d.decision = 'execute') AS executed,
               count(d.id) FILTER (WHERE d.decision = 'skip') AS skipped
        FROM (
            SELECT * FROM listing_signals
            WHERE ($1::timestamptz IS NULL OR created_at >= $1) AND ($2::timestamptz IS NULL OR created_at < $2)
              AND ($3::text IS NULL OR symbol = $3) AND ($4::text IS NULL OR detection_source = $4)
            ORDER BY created_at DESC, id DESC LIMIT $5
        ) AS s LEFT JOIN strategy_decisions AS d ON d.listing_signal_id = s.id
        GROUP BY s.id, s.symbol, s.listed_at, s.detection_source, s.confidence, s.detected_at, s.listing_time,
                 s.freshness_deadline, s.processed, s.exchange_event_at, s.price, s.evidence, s.created_at
        ORDER BY s.created_at DESC, s.id DESC
        """,
        wanted.since,
        wanted.until,
        wanted.symbol,
        source,
        wanted.limit,
    )


async def signal_row(session: ReadSession, signal_id: SignalId) -> SignalRow | None:
    """One signal, None when there is no such."""
    return await session.row(
        SignalRow,
        """
        SELECT s.id, s.symbol, s.listed_at, s.detection_source, s.confidence, s.detected_at, s.listing_time,
               s.freshness_deadline, s.processed, s.exchange_event_at, s.price, s.evidence,
               (SELECT count(*) FROM strategy_decisions WHERE listing_signal_id = s.id AND decision = 'execute')
                   AS executed,
               (SELECT count(*) FROM strategy_decisions WHERE listing_signal_id = s.id AND decision = 'skip')
                   AS skipped
        FROM listing_signals AS s WHERE s.id = $1
        """,
        signal_id,
    )
