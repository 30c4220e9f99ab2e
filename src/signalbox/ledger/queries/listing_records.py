"""What became of listings: the race of the sources, what was missed and why, and the record of one listing."""

from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from signalbox.domain.decisions import Verdict
from signalbox.domain.ids import AccountId, DecisionId, OrderId, SignalId
from signalbox.domain.listing_records import ListingOutcome, ProofSource, SeenBy
from signalbox.domain.listings import Eligibility, EligibilityReason, ListingState, Move
from signalbox.domain.orders import Mode
from signalbox.domain.signals import DetectionSource
from signalbox.ledger.queries.listings import Since
from signalbox.ledger.sessions import ReadSession


class SightingRow(Struct, frozen=True, kw_only=True):
    """One source that saw a listing. `lag_ms` is how long after the first one."""

    source: DetectionSource
    seen_at: datetime
    lag_ms: Decimal
    exchange_event_at: datetime | None
    price: Decimal | None


class RecordRow(Struct, frozen=True, kw_only=True):
    """One listing of one account. Sightings: the first one first. `latency_ms`, `due_at`, `mode` and `order_id` are
    those of the first order that was sent; one that was due at an instant has its latency from there. The book is the
    first one that could be read: `book_quantity` in base is what `quote_amount` would have bought there for
    `book_spent`; the bids are the best ones minutes later."""

    listing_id: SignalId
    account_id: AccountId
    account: str
    symbol: str
    listed_at: datetime
    is_test: bool
    first_seen_at: datetime
    first_seen_by: SeenBy
    opens_at: datetime | None
    tradable_at: datetime | None
    tradable_by: ProofSource | None
    api_tradable: bool | None
    outcome: ListingOutcome
    reason_code: str | None
    reason_limit: str | None
    reason: str | None
    decision_id: DecisionId | None
    verdict: Verdict | None
    order_id: OrderId | None
    mode: Mode | None
    latency_ms: Decimal | None
    due_at: datetime | None = None
    quote_amount: Decimal | None
    book_read_at: datetime | None
    best_ask: Decimal | None
    book_quantity: Decimal | None
    book_spent: Decimal | None
    bid_after_1m: Decimal | None
    bid_after_5m: Decimal | None
    bid_after_15m: Decimal | None
    sightings: list[SightingRow]


class RecordFilter(Struct, frozen=True, kw_only=True):
    """Which records a list shows, by when they were first seen. `reason` is a code or a guardrail's name; `seen` leaves
    out listings that no source saw live."""

    window: Since = Since()
    account: str | None = None
    outcome: ListingOutcome | None = None
    reason: str | None = None
    tests: bool = False
    seen: bool = False


class ScheduleRow(Struct, frozen=True, kw_only=True):
    """How a listing was announced: by whom, for when, what moved it, and how it was judged."""

    symbol: str
    opens_at: datetime
    origins: list[str]
    disputed: dict[str, datetime]
    state: ListingState
    moves: list[Move]
    verdict: Eligibility | None
    reasons: list[EligibilityReason]
    first_announced_at: datetime


_SELECT = """
    SELECT r.listing_id, r.account_id, a.label AS account, r.symbol, r.listed_at, r.is_test, r.first_seen_at,
        r.first_seen_by, r.opens_at, r.tradable_at, r.tradable_by, r.api_tradable, r.outcome, r.reason_code,
        r.reason_limit, r.reason, d.id AS decision_id, d.decision AS verdict, o.id AS order_id, o.mode, o.latency_ms,
        o.due_at, r.quote_amount, r.book_read_at, r.best_ask, r.book_quantity, r.book_spent, r.bid_after_1m,
        r.bid_after_5m, r.bid_after_15m, coalesce(s.sightings, '[]'::jsonb) AS sightings
    FROM ({page}) AS r JOIN accounts AS a ON a.id = r.account_id
    LEFT JOIN LATERAL (
        SELECT id, decision FROM strategy_decisions
        WHERE account_id = r.account_id AND listing_signal_id = r.listing_id LIMIT 1
    ) AS d ON true
    LEFT JOIN LATERAL (
        SELECT id, mode, latency_ms, due_at FROM trade_orders
        WHERE decision_id = d.id AND submitted_at IS NOT NULL ORDER BY attempt, id LIMIT 1
    ) AS o ON true
    LEFT JOIN LATERAL (
        SELECT json_agg(json_build_object('source', source, 'seen_at', seen_at, 'lag_ms', lag_ms::text,
            'exchange_event_at', exchange_event_at, 'price', price::text) ORDER BY lag_ms, source)::jsonb AS sightings
        FROM listing_sightings WHERE account_id = r.account_id AND listing_id = r.listing_id
    ) AS s ON true
    ORDER BY r.first_seen_at DESC, r.listing_id
"""

_LIST = _SELECT.format(
    page="""
        SELECT * FROM listing_records
        WHERE ($1::timestamptz IS NULL OR first_seen_at >= $1) AND ($2::timestamptz IS NULL OR first_seen_at < $2)
          AND ($3::text IS NULL OR symbol = $3) AND is_test = $4 AND ($5::text IS NULL OR outcome = $5)
          AND ($6::text IS NULL OR lower($6) IN (lower(reason_code), lower(reason_limit)))
          AND (NOT $7::boolean OR first_seen_by <> 'market_list' AND reason_code IS DISTINCT FROM 'CANCELLED')
          AND ($8::text IS NULL OR account_id = (SELECT id FROM accounts WHERE label = $8))
        ORDER BY first_seen_at DESC, listing_id LIMIT $9
    """
)

_FIND = _SELECT.format(
    page="""
        SELECT * FROM listing_records AS r
        WHERE symbol = $1
           OR length($1) >= 6 AND (
               starts_with(listing_id::text, lower($1)) OR right(listing_id::text, length($1)) = lower($1)
           )
           OR EXISTS (
               SELECT FROM listings l WHERE l.id::text = $1 AND l.symbol = r.symbol AND l.listed_at = r.listed_at
           )
        ORDER BY first_seen_at DESC, listing_id LIMIT 20
    """
)


async def list_records(session: ReadSession, wanted: RecordFilter) -> list[RecordRow]:
    """Records of listings, newest first."""
    return await session.rows(
        RecordRow,
        _LIST,
        wanted.window.since,
        wanted.window.until,
        wanted.window.symbol,
        wanted.tests,
        wanted.outcome,
        wanted.reason,
        wanted.seen,
        wanted.account,
        wanted.window.limit,
    )


async def find_records(session: ReadSession, text: str) -> list[RecordRow]:
    """Records of a symbol, of a listing whose id starts or ends with this text, or of a number in `listings list`;
    newest first, at most 20."""
    return await session.rows(RecordRow, _FIND, text)


async def schedule_row(session: ReadSession, record: RecordRow) -> ScheduleRow | None:
    """How a listing was announced to its account, None when it was not."""
    return await session.row(
        ScheduleRow,
        """
        SELECT symbol, opens_at, origins, disputed, state, moves, verdict, reasons, first_announced_at
        FROM listing_schedule
        WHERE account_id = $1 AND symbol = $2 AND (opens_at = $3 OR first_announced_at <= $4)
        ORDER BY opens_at = $3 DESC, first_announced_at DESC LIMIT 1
        """,
        record.account_id,
        record.symbol,
        record.listed_at,
        record.first_seen_at,
    )
