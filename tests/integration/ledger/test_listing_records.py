"""The record of every listing: written again and again, by one process or the next, it stays one."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from msgspec import structs
from tests.integration.ledger.conftest import Connection, spread
from tests.integration.ledger.states import move_order, move_run
from tests.integration.ledger.world import ACCOUNT, NOW, RUN, entry, listing_signal

from signalbox.domain.configuration import Venue
from signalbox.domain.decisions import Verdict
from signalbox.domain.listing_records import (
    Conclusion,
    FirstBook,
    ListingNote,
    ListingOutcome,
    MarketSeen,
    ProofSource,
    RaceEntry,
    TradableProof,
    Watch,
    conclude,
)
from signalbox.domain.signals import DetectionSource, Sighting
from signalbox.ledger.engine_ledger import EngineLedger

WATCH = Watch(account_id=ACCOUNT, venue=Venue.MEXC, run_id=RUN, quote_amount=Decimal(20))
WEBSOCKET, TICKER, CALENDAR = DetectionSource.WEBSOCKET, DetectionSource.TICKER_DIFF, DetectionSource.CALENDAR


def entry_of(source: DetectionSource, lag_ms: str, *, price: str | None = None, after_s: float = 0) -> RaceEntry:
    at = NOW + timedelta(seconds=after_s, milliseconds=float(lag_ms))
    return RaceEntry(source=source, seen_at=at, lag_ms=Decimal(lag_ms), price=None if price is None else Decimal(price))


def note_of(*sightings: RaceEntry, symbol: str = "NEWUSDT", **changes: Any) -> ListingNote:
    signal = listing_signal(symbol)
    values: dict[str, Any] = {"watch": WATCH, "listing_id": signal.id, "symbol": symbol, "listed_at": signal.listed_at}
    return ListingNote(sightings=sightings, **{**values, **changes})


async def record(sql: Connection, symbol: str = "NEWUSDT") -> dict[str, Any]:
    (row,) = await sql.fetch("SELECT * FROM listing_records WHERE symbol = $1", symbol)
    return dict(row)


async def lags(sql: Connection) -> list[tuple[str, Decimal]]:
    rows = await sql.fetch("SELECT source, lag_ms FROM listing_sightings ORDER BY lag_ms, source")
    return [(row["source"], row["lag_ms"]) for row in rows]


async def test_a_listing_and_its_race_are_written_once_however_often(ledger: EngineLedger, sql: Connection) -> None:
    first = note_of(entry_of(TICKER, "0", price="0.5"))
    both = note_of(entry_of(WEBSOCKET, "0", price="0.4"), entry_of(TICKER, "0.75", price="0.5", after_s=-0.00075))
    for note in (first, first, both, both):
        await ledger.note_listing(note, at=NOW)
    row = await record(sql)
    assert (row["first_seen_by"], row["tradable_by"], row["outcome"]) == ("ticker_diff", "ticker_diff", "pending")
    assert (row["quote_amount"], row["run_id"]) == (Decimal(20), RUN)
    assert await lags(sql) == [("websocket", Decimal(0)), ("ticker_diff", Decimal("0.75"))]
    assert await sql.fetchval("SELECT symbol FROM venue_symbols") == "NEWUSDT"


async def test_a_sighting_that_was_received_earlier_takes_the_win(ledger: EngineLedger, sql: Connection) -> None:
    ticker = entry_of(TICKER, "0")
    await ledger.note_listing(note_of(ticker), at=NOW)
    websocket = RaceEntry(source=WEBSOCKET, seen_at=NOW - timedelta(milliseconds=4), lag_ms=Decimal(0))
    await ledger.note_listing(note_of(websocket, structs.replace(ticker, lag_ms=Decimal("4.001"))), at=NOW)
    row = await record(sql)
    assert (row["first_seen_by"], row["first_seen_at"]) == ("websocket", NOW - timedelta(milliseconds=4))
    assert await lags(sql) == [("websocket", Decimal(0)), ("ticker_diff", Decimal("4.001"))]


async def test_what_another_process_saw_later_lags_by_the_wall_clock(ledger: EngineLedger, sql: Connection) -> None:
    await ledger.note_listing(note_of(entry_of(WEBSOCKET, "0")), at=NOW)
    after_restart = (entry_of(CALENDAR, "0", after_s=3), entry_of(TICKER, "250", after_s=3))
    await ledger.note_listing(note_of(*after_restart), at=NOW)
    assert await lags(sql) == [
        ("websocket", Decimal(0)),
        ("calendar", Decimal(3000)),
        ("ticker_diff", Decimal(3250)),
    ]
    assert (await record(sql))["first_seen_by"] == "websocket"


async def test_a_test_listing_is_marked_and_is_no_symbol_of_the_venue(ledger: EngineLedger, sql: Connection) -> None:
    await ledger.note_listing(note_of(entry_of(DetectionSource.TEST_INJECTION, "0")), at=NOW)
    assert (await record(sql))["is_test"]
    assert await sql.fetchval("SELECT count(*) FROM venue_symbols") == 0
    await ledger.note_listing(note_of(entry_of(WEBSOCKET, "0")), at=NOW)  # the same symbol and minute, by chance
    assert (await record(sql))["first_seen_by"] == "test_injection"
    assert await lags(sql) == [("test_injection", Decimal(0))]


def markets(*symbols: str) -> list[MarketSeen]:
    return [MarketSeen(symbol=symbol, tradable=True) for symbol in symbols]


async def test_what_appeared_while_nobody_watched_is_recorded_as_no_run(ledger: EngineLedger, sql: Connection) -> None:
    assert await ledger.note_markets(WATCH, markets("OLDUSDT", "BTCUSDT"), at=NOW) == []
    later = NOW + timedelta(hours=2)
    opened = MarketSeen(symbol="OPENEDUSDT", opens_at=NOW + timedelta(hours=1), tradable=False)
    found = await ledger.note_markets(WATCH, [*markets("OLDUSDT", "LATEUSDT"), opened], at=later)
    assert sorted(found) == ["LATEUSDT", "OPENEDUSDT"]
    late, early = await record(sql, "LATEUSDT"), await record(sql, "OPENEDUSDT")
    assert (late["outcome"], late["reason_code"], late["first_seen_by"]) == ("missed", "NO_RUN", "market_list")
    assert late["reason"] == "no bot was watching when it appeared"
    assert (late["listed_at"], late["tradable_at"]) == (later.replace(second=0, microsecond=0), later)
    assert (early["listed_at"], early["tradable_at"], early["api_tradable"]) == (opened.opens_at, None, False)
    listed = await sql.fetch("SELECT symbol, source FROM listings ORDER BY symbol")
    assert [tuple(row) for row in listed] == [("LATEUSDT", "mexc_rest_api"), ("OPENEDUSDT", "mexc_rest_api")]
    assert await ledger.note_markets(WATCH, markets("LATEUSDT"), at=later) == []


async def test_while_another_run_watches_nothing_was_missed(ledger: EngineLedger, sql: Connection) -> None:
    other = structs.replace(WATCH, run_id=None)
    await ledger.note_markets(other, markets("OLDUSDT"), at=NOW)
    await move_run(sql, "running")
    assert await ledger.note_markets(other, markets("NEWUSDT"), at=NOW) == []
    assert await sql.fetchval("SELECT count(*) FROM listing_records") == 0
    await move_run(sql, "stopping")
    await move_run(sql, "stopped")
    assert await ledger.note_markets(other, markets("NEWERUSDT"), at=NOW) == ["NEWERUSDT"]
    assert "the run before ended at 2026-11-21 09:00:01 UTC" in (await record(sql, "NEWERUSDT"))["reason"]


async def test_a_hole_in_what_we_knew_is_no_listing(ledger: EngineLedger, sql: Connection) -> None:
    await ledger.note_markets(WATCH, markets("OLDUSDT"), at=NOW)
    many = markets(*(f"N{number}USDT" for number in range(501)))
    assert await ledger.note_markets(WATCH, many, at=NOW) == []
    assert await sql.fetchval("SELECT count(*) FROM listing_records") == 0
    assert await sql.fetchval("SELECT count(*) FROM venue_symbols") == 502


async def test_what_was_decided_on_but_not_recorded_is_adopted_with_its_evidence(
    ledger: EngineLedger, sql: Connection
) -> None:
    intent = entry("NEWUSDT")
    await ledger.commit(intent)
    await spread(ledger)
    assert intent.signal is not None
    later = Sighting(
        symbol="NEWUSDT", source=WEBSOCKET, seen_at=NOW + timedelta(microseconds=2500), received_ns=1, price=Decimal(2)
    )
    await ledger.add_evidence(intent.signal.id, later)
    for expected in (1, 0):
        assert await ledger.adopt_listings(ACCOUNT, since=NOW - timedelta(hours=1), at=NOW) == expected
    row = await record(sql)
    assert (row["first_seen_by"], row["first_seen_at"], row["tradable_by"]) == ("ticker_diff", NOW, "ticker_diff")
    assert (row["quote_amount"], row["run_id"], row["outcome"]) == (Decimal(20), RUN, "pending")
    assert await lags(sql) == [("ticker_diff", Decimal(0)), ("websocket", Decimal("2.5"))]


async def test_an_announcement_that_was_taken_back_is_recorded_unless_it_was_seen(
    ledger: EngineLedger, sql: Connection
) -> None:
    await sql.execute(
        "INSERT INTO listing_schedule (account_id, symbol, opens_at, origins, state, moves, first_announced_at,"
        " updated_at) VALUES ($1, 'GONEUSDT', $2, '{calendar}', 'cancelled', $4, $3, $3),"
        " ($1, 'NEWUSDT', $2, '{exchange_info}', 'cancelled', '[]', $3, $3)",
        ACCOUNT,
        NOW + timedelta(hours=1),
        NOW - timedelta(hours=2),
        '[{"new": "2026-11-21T10:00:00Z"}, {"new": null}]',
    )
    await ledger.note_listing(note_of(entry_of(WEBSOCKET, "0")), at=NOW)  # it opened after all
    for expected in (1, 0):
        assert await ledger.adopt_listings(ACCOUNT, since=NOW - timedelta(days=1), at=NOW) == expected
    row = await record(sql, "GONEUSDT")
    assert (row["outcome"], row["reason_code"], row["first_seen_by"]) == ("missed", "CANCELLED", "calendar")
    assert "took the listing back, after 1 change of its time; it was to open at 2026-11-21 10:00" in row["reason"]


async def test_an_announcement_that_comes_again_opens_its_record_again(ledger: EngineLedger, sql: Connection) -> None:
    note = note_of(entry_of(CALENDAR, "0"))
    await ledger.note_listing(note, at=NOW)
    gone = Conclusion(outcome=ListingOutcome.MISSED, code="CANCELLED", reason="taken back")
    await ledger.conclude_listing(ACCOUNT, note.listing_id, gone, at=NOW)
    await ledger.note_listing(note, at=NOW)
    row = await record(sql)
    assert (row["outcome"], row["reason_code"], row["reason"]) == ("pending", None, None)


async def concluded(ledger: EngineLedger, *, also: Sequence[Any] = ()) -> list[tuple[str, str | None, str | None]]:
    found = []
    for facts in await ledger.listing_facts(ACCOUNT, also=also, at=NOW):
        conclusion = conclude(facts, entry_over=True)
        if conclusion is not None:
            await ledger.conclude_listing(ACCOUNT, facts.listing_id, conclusion, at=NOW)
            found.append((conclusion.outcome.value, conclusion.code, conclusion.limit))
    return found


async def test_a_bought_listing_is_traded_and_proven_by_its_order(ledger: EngineLedger, sql: Connection) -> None:
    intent = entry("NEWUSDT")
    await ledger.commit(intent)
    await spread(ledger)
    await ledger.note_listing(note_of(entry_of(CALENDAR, "0")), at=NOW)
    assert await concluded(ledger) == []
    taken_at = NOW + timedelta(milliseconds=3)
    await move_order(sql, "submitted")
    await sql.execute("UPDATE trade_orders SET exchange_order_id = 'X1', acknowledged_at = $1", taken_at)
    await move_order(sql, "filled")
    assert await concluded(ledger) == [("traded", None, None)]
    row = await record(sql)
    assert (row["outcome"], row["decision_id"]) == ("traded", intent.decision.id)
    assert (row["tradable_at"], row["tradable_by"]) == (taken_at, "order")
    assert await concluded(ledger) == []


async def test_a_blocked_listing_names_its_guardrail(ledger: EngineLedger, sql: Connection) -> None:
    good = entry("NEWUSDT")
    limit = next(check for check in good.decision.checks if check.name == "max_daily_spend")
    failed = structs.replace(limit, verdict=type(limit.verdict).FAILED)
    checks = tuple(failed if check is limit else check for check in good.decision.checks)
    decision = structs.replace(
        good.decision,
        verdict=Verdict.SKIP,
        skip_code="SAFETY_CONSTRAINT",
        reason="max_daily_spend: too much",
        checks=checks,
    )
    blocked = structs.replace(
        good, decision=decision, order=None, reservation=None, blocked=good.order, blocked_limit="max_daily_spend"
    )
    await ledger.commit(blocked)
    await ledger.note_listing(note_of(entry_of(CALENDAR, "0")), at=NOW)
    assert await concluded(ledger) == [("missed", "SAFETY_CONSTRAINT", "max_daily_spend")]
    row = await record(sql)
    assert (row["reason_limit"], row["reason"]) == ("max_daily_spend", "max_daily_spend: too much")


async def test_a_late_fill_makes_a_missed_listing_traded(ledger: EngineLedger, sql: Connection) -> None:
    await ledger.commit(entry("NEWUSDT"))
    await spread(ledger)
    await ledger.note_listing(note_of(entry_of(CALENDAR, "0")), at=NOW)
    await move_order(sql, "submitted")
    await move_order(sql, "rejected")
    assert await concluded(ledger) == [("missed", "X", None)]
    assert await concluded(ledger) == []
    await sql.execute(
        "UPDATE trade_orders SET executed_quantity = 1, executed_quote = 1, executed_price = 1, revision = 2,"
        " revised_at = now(), status = 'filled', fill_model = 'm', error_code = NULL"
    )
    assert await concluded(ledger) == [("traded", None, None)]


async def test_a_decision_that_appears_later_replaces_that_there_was_none(
    ledger: EngineLedger, sql: Connection
) -> None:
    await ledger.note_listing(note_of(entry_of(CALENDAR, "0")), at=NOW)
    assert await concluded(ledger) == [("missed", "NOT_DECIDED", None)]
    await ledger.commit(entry("NEWUSDT"))
    await spread(ledger)
    await move_order(sql, "failed")
    assert await concluded(ledger) == [("missed", "X", None)]


async def test_looks_back_are_kept_once_and_known_as_long_as_they_are_due(
    ledger: EngineLedger, sql: Connection
) -> None:
    note = note_of(entry_of(WEBSOCKET, "0"))
    await ledger.note_listing(note, at=NOW)
    (open_one,) = await ledger.unfinished_listings(ACCOUNT, at=NOW)
    assert (open_one.symbol, open_one.book_read_at, open_one.missing_min) == ("NEWUSDT", None, (1, 5, 15))
    await ledger.note_bid(ACCOUNT, note.listing_id, 1, Decimal(9), at=NOW)  # without a book there is no such minute
    proof = TradableProof(at=NOW + timedelta(seconds=1), by=ProofSource.MARKET_RULES)
    await ledger.note_market(ACCOUNT, note.listing_id, api_tradable=True, proof=proof, at=NOW)
    book = FirstBook(read_at=NOW, best_ask=Decimal("0.5"), quantity=Decimal(40), spent=Decimal(20))
    worse = structs.replace(book, best_ask=Decimal(9))
    for one in (book, worse):
        await ledger.note_first_book(ACCOUNT, note.listing_id, one, at=NOW)
    for bid in ("0.6", "0.7"):
        await ledger.note_bid(ACCOUNT, note.listing_id, 1, Decimal(bid), at=NOW)
    row = await record(sql)
    assert (row["best_ask"], row["book_quantity"], row["bid_after_1m"]) == (Decimal("0.5"), Decimal(40), Decimal("0.6"))
    assert (row["tradable_at"], row["tradable_by"], row["api_tradable"]) == (proof.at, "market_rules", True)
    (left,) = await ledger.unfinished_listings(ACCOUNT, at=NOW + timedelta(minutes=2))
    assert (left.book_read_at, left.missing_min) == (NOW, (5, 15))
    (left,) = await ledger.unfinished_listings(ACCOUNT, at=NOW + timedelta(minutes=7))
    assert left.missing_min == (15,)
    assert await ledger.unfinished_listings(ACCOUNT, at=NOW + timedelta(minutes=19)) == []
