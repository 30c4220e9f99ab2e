"""The race board, what was missed, and the story of one listing, from a real ledger; and how fast the lists are."""

import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from signalbox.control import listing_boards, listings
from signalbox.control.context import Control
from signalbox.control.listing_stories import listing_story
from signalbox.domain.errors import NotFoundError
from signalbox.domain.ids import listing_signal_id
from signalbox.domain.listing_records import ListingOutcome
from signalbox.domain.signals import DetectionSource
from signalbox.ledger.queries.listing_records import RecordFilter
from signalbox.ledger.queries.listings import Since

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ACCOUNT = UUID(int=1)


@pytest.fixture
async def sql(database_url: str) -> Any:
    connection = await asyncpg.connect(database_url)
    await connection.execute("INSERT INTO accounts (id, venue, label) VALUES ($1, 'mexc', 'main')", ACCOUNT)
    try:
        yield connection
    finally:
        await connection.close()


async def add(sql: Any, symbol: str, *lags: tuple[str, str], at: datetime = NOON, **columns: Any) -> UUID:
    """A record; `lags` are its sources with their milliseconds."""
    listing_id = listing_signal_id(symbol, at)
    values: dict[str, Any] = {
        "account_id": ACCOUNT,
        "listing_id": listing_id,
        "symbol": symbol,
        "listed_at": at,
        "first_seen_at": at,
        "first_seen_by": lags[0][0] if lags else "market_list",
        **columns,
    }
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    await sql.execute(f"INSERT INTO listing_records ({', '.join(values)}) VALUES ({places})", *values.values())  # noqa: S608 - our names
    for source, lag in lags:
        await sql.execute(
            "INSERT INTO listing_sightings (account_id, listing_id, source, seen_at, lag_ms)"
            " VALUES ($1, $2, $3, $4, $5)",
            ACCOUNT,
            listing_id,
            source,
            at + timedelta(milliseconds=float(lag)),
            Decimal(lag),
        )
    return listing_id


MISSED: dict[str, Any] = {"outcome": "missed", "reason_code": "NO_RUN", "reason": "no bot was watching"}


async def test_the_race_counts_wins_and_lags_and_keeps_tests_apart(sql: Any, control: Control) -> None:
    await add(sql, "AUSDT", ("websocket", "0"), ("ticker_diff", "800"))
    await add(sql, "BUSDT", ("websocket", "0"), ("calendar", "12.5"), ("ticker_diff", "400"))
    await add(sql, "CUSDT", ("ticker_diff", "0"), ("websocket", "100"))
    await add(sql, "TESTUSDT", ("test_injection", "0"), is_test=True)
    await add(sql, "UNSEENUSDT", **MISSED)
    board = await listing_boards.race(control, RecordFilter())
    assert sorted(row.symbol for row in board.listings) == ["AUSDT", "BUSDT", "CUSDT"]
    assert [(one.source, one.won, one.seen, one.median_lag_ms) for one in board.sources] == [
        (DetectionSource.WEBSOCKET, 2, 3, Decimal(0)),
        (DetectionSource.TICKER_DIFF, 1, 3, Decimal(400)),
        (DetectionSource.CALENDAR, 0, 1, Decimal("12.5")),
    ]
    assert board.median_order_ms is None
    tests = await listing_boards.race(control, RecordFilter(tests=True))
    assert [row.symbol for row in tests.listings] == ["TESTUSDT"]


async def test_what_was_missed_says_why_what_it_would_have_cost_and_what_it_would_be_worth(
    sql: Any, control: Control
) -> None:
    book = {
        "book_read_at": NOON,
        "best_ask": Decimal("0.5"),
        "book_quantity": Decimal(38),
        "book_spent": Decimal("19.95"),
        "quote_amount": Decimal(20),
    }
    await add(
        sql, "WINUSDT", ("websocket", "0"), **{**MISSED, **book, "reason_code": "SAFETY_CONSTRAINT"},
        reason_limit="max_daily_spend", bid_after_1m=Decimal("0.6"), bid_after_5m=Decimal("0.4"),
    )  # fmt: skip
    await add(sql, "LOSSUSDT", at=NOON + timedelta(seconds=1), **{**MISSED, **book, "bid_after_1m": Decimal(0)})
    await add(sql, "BLINDUSDT", at=NOON + timedelta(seconds=2), **MISSED)
    board = await listing_boards.missed(control, RecordFilter())
    blind, loss, win = board.listings
    assert (blind.average_price, blind.worth) == (None, [])
    assert win.average_price == Decimal("0.525")
    assert [(mark.minutes, mark.worth) for mark in win.worth] == [(1, Decimal("22.8")), (5, Decimal("15.2"))]
    assert [mark.worth for mark in loss.worth] == [Decimal(0)]
    assert board.reasons == {"NO_RUN": 2, "max_daily_spend": 1}
    assert [(one.minutes, one.listings, one.cost, one.worth) for one in board.sums] == [
        (1, 2, Decimal("39.90"), Decimal("22.8")),
        (5, 1, Decimal("19.95"), Decimal("15.2")),
    ]
    for reason, expected in (("no_run", 2), ("max_daily_spend", 1), ("safety_constraint", 1), ("STALE", 0)):
        found = await listing_boards.missed(control, RecordFilter(reason=reason))
        assert len(found.listings) == expected


async def test_filters_narrow_and_an_unknown_account_is_refused(sql: Any, control: Control) -> None:
    for hour, symbol in enumerate(("AUSDT", "BUSDT", "CUSDT")):
        await add(sql, symbol, ("websocket", "0"), at=NOON + timedelta(hours=hour), **MISSED)
    window = Since(since=NOON + timedelta(minutes=30), until=NOON + timedelta(hours=2))
    (only,) = (await listing_boards.missed(control, RecordFilter(window=window, account="main"))).listings
    assert only.record.symbol == "BUSDT"
    (named,) = (await listing_boards.race(control, RecordFilter(window=Since(symbol="CUSDT")))).listings
    assert named.symbol == "CUSDT"
    with pytest.raises(NotFoundError, match="no account 'other'"):
        await listing_boards.race(control, RecordFilter(account="other"))


async def test_a_story_is_found_by_symbol_id_and_number_and_tells_what_was_announced(
    sql: Any, control: Control
) -> None:
    listing_id = await add(sql, "NEWUSDT", ("calendar", "0"), ("websocket", "250"), opens_at=NOON, **MISSED)
    number = await sql.fetchval(
        "INSERT INTO listings (symbol, listed_at, source) VALUES ('NEWUSDT', $1, 'mexc_rest_api') RETURNING id", NOON
    )
    move = {"at": "2026-11-21T10:00:00Z", "old": "2026-11-21T11:00:00Z", "new": NOON.isoformat(), "origin": "calendar"}
    await sql.execute(
        "INSERT INTO listing_schedule (account_id, symbol, opens_at, origins, state, moves, verdict,"
        " first_announced_at) VALUES ($1, 'NEWUSDT', $2, '{calendar,exchange_info}', 'opened', $3, 'eligible', $4)",
        ACCOUNT,
        NOON,
        json.dumps([move]),
        NOON - timedelta(days=1),
    )
    for text in ("NEWUSDT", "newusdt", str(listing_id), str(listing_id)[:8], str(listing_id)[-8:], str(number)):
        assert (await listing_story(control, text)).record.listing_id == listing_id
    story = await listing_story(control, "NEWUSDT")
    assert [event.kind for event in story.events] == ["announced", "moved", "opens", "seen", "seen"]
    assert "by calendar and exchange_info, to open at 2026-11-21 11:00:00 UTC" in story.events[0].text
    with pytest.raises(NotFoundError, match="no record of a listing 'OTHERUSDT'"):
        await listing_story(control, "OTHERUSDT")


async def test_lists_show_the_outcome_of_the_account_that_came_furthest(sql: Any, control: Control) -> None:
    row = await listings.inject_test_listing(control, symbol="newusdt", listed_at=NOON)
    assert (row.symbol, row.outcome) == ("NEWUSDT", None)
    second = UUID(int=2)
    await sql.execute("INSERT INTO accounts (id, venue, label) VALUES ($1, 'mexc', 'second')", second)
    await add(sql, "NEWUSDT", ("test_injection", "0"), is_test=True, **MISSED)
    await add(sql, "NEWUSDT", is_test=True, first_seen_by="test_injection", account_id=second)
    (listed,) = await listings.list_listings(control, Since())
    assert (listed.symbol, listed.outcome, listed.reason_code) == ("NEWUSDT", ListingOutcome.PENDING, None)


MANY = """
WITH numbers AS (SELECT n, $2::timestamptz + n * interval '1 min' AS at, md5('l' || n)::uuid AS id FROM
    generate_series(1, 3000) AS n),
listed AS (
    INSERT INTO listings (symbol, listed_at, source, created_at)
    SELECT 'N' || n || 'USDT', at, 'mexc_rest_api', at FROM numbers
),
signals AS (
    INSERT INTO listing_signals (id, symbol, listed_at, detection_source, detected_at, confidence, freshness_deadline)
    SELECT id, 'N' || n || 'USDT', at, 'websocket', at, 'high', at + interval '10 s' FROM numbers
),
decisions AS (
    INSERT INTO strategy_decisions (id, account_id, strategy, "timestamp", decision, reason, skip_code, code_version,
        listing_signal_id, inputs)
    SELECT md5('d' || n)::uuid, $1, 'listing_sniper', at, 'skip', 'late', 'STALE', '1', id,
        jsonb_build_object('filler', repeat('x', 3000)) FROM numbers
),
records AS (
    INSERT INTO listing_records (account_id, listing_id, symbol, listed_at, first_seen_at, first_seen_by, outcome,
        reason_code, reason)
    SELECT $1, id, 'N' || n || 'USDT', at, at, 'websocket', 'missed', 'STALE', 'late' FROM numbers
)
INSERT INTO listing_sightings (account_id, listing_id, source, seen_at, lag_ms)
SELECT $1, id, source, at, 0.5 FROM numbers CROSS JOIN unnest('{websocket,ticker_diff,calendar}'::text[]) AS source
"""


PATIENCE_S = 30.0


async def _is_within(ask: Callable[[], Awaitable[Any]], floor_ms: float) -> bool:
    """Asked until it is fast enough: the machine may be busy with other things."""
    patience_ends = time.perf_counter() + PATIENCE_S
    while time.perf_counter() < patience_ends:
        start = time.perf_counter()
        await ask()
        if (time.perf_counter() - start) * 1000 < floor_ms:
            return True
    return False


async def test_lists_of_listings_are_fast(sql: Any, control: Control) -> None:
    """50 rows in less than 10 ms, 1000 rows in less than 50 ms."""
    await sql.execute(MANY, ACCOUNT, NOON)
    await sql.execute("ANALYZE")
    for limit, floor_ms in ((50, 10), (1000, 50)):
        window = Since(limit=limit)
        assert len(await listings.list_listings(control, window)) == limit
        wanted = RecordFilter(window=window)
        assert await _is_within(partial(listings.list_listings, control, window), floor_ms)
        assert await _is_within(partial(listing_boards.race, control, wanted), floor_ms)
        assert await _is_within(partial(listing_boards.missed, control, wanted), floor_ms)
