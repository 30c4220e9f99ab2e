"""The screens on listings: what they say, and that they fit."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from rich.console import Console, RenderableType

from signalbox.cli import tables
from signalbox.cli.listing_screens import missed_screen, race_screen, story_screen
from signalbox.control.listing_boards import (
    MissedBoard,
    MissSum,
    RaceBoard,
    median_latency,
    missed_listing,
    source_results,
)
from signalbox.control.listing_stories import ListingStory, timeline
from signalbox.domain.ids import AccountId, OrderId, SignalId
from signalbox.domain.listing_records import ListingOutcome, SeenBy
from signalbox.domain.listings import Eligibility, EligibilityReason, ListingState, Move
from signalbox.domain.orders import Mode
from signalbox.domain.signals import DetectionSource
from signalbox.ledger.queries.listing_records import RecordRow, ScheduleRow, SightingRow

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def record(symbol: str = "NEWUSDT", *lags: tuple[DetectionSource, str], **changes: Any) -> RecordRow:
    sightings = [
        SightingRow(
            source=source,
            seen_at=NOON + timedelta(milliseconds=float(lag)),
            lag_ms=Decimal(lag),
            exchange_event_at=None,
            price=Decimal("0.5"),
        )
        for source, lag in lags
    ]
    values: dict[str, Any] = {
        **dict.fromkeys(RecordRow.__struct_fields__),
        "listing_id": SignalId(UUID(int=5)),
        "account_id": AccountId(UUID(int=1)),
        "account": "main",
        "symbol": symbol,
        "listed_at": NOON,
        "is_test": False,
        "first_seen_at": NOON,
        "first_seen_by": SeenBy.WEBSOCKET,
        "outcome": ListingOutcome.PENDING,
        "sightings": sightings,
    }
    return RecordRow(**{**values, **changes})


MISSED: dict[str, Any] = {
    "outcome": ListingOutcome.MISSED,
    "reason_code": "SAFETY_CONSTRAINT",
    "reason_limit": "max_trades_per_hour",
    "reason": "max_trades_per_hour: 3 used + 1 asked of 3",
}
BOOK: dict[str, Any] = {
    "quote_amount": Decimal(20),
    "book_read_at": NOON + timedelta(seconds=2),
    "best_ask": Decimal("0.5"),
    "book_quantity": Decimal(38),
    "book_spent": Decimal("19.95"),
    "bid_after_1m": Decimal("0.6"),
}


def drawn(made: RenderableType, width: int) -> str:
    console = Console(file=StringIO(), width=width, no_color=True, force_terminal=False)
    console.print(made)
    text = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO above
    assert max(map(len, text.splitlines())) <= width
    return " ".join(text.split())


@pytest.fixture(params=[80, 120])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """A terminal of this many columns."""
    chosen: int = request.param
    monkeypatch.setattr(tables, "stdout", lambda: Console(file=StringIO(), width=chosen))
    return chosen


def test_the_race_shows_who_was_first_and_how_far_the_others_were_behind(width: int) -> None:
    W, T, C = DetectionSource.WEBSOCKET, DetectionSource.TICKER_DIFF, DetectionSource.CALENDAR  # noqa: N806 - short here
    rows = [
        record("4USDT", (W, "0"), (T, "812.44"), (C, "5432.1"), **MISSED),
        record(
            "NEWUSDT", (C, "0"), (W, "103.25"), outcome=ListingOutcome.TRADED, mode=Mode.LIVE,
            latency_ms=Decimal("2.1"), order_id=OrderId(UUID(int=9)),
        ),
        record("PAPERUSDT", (W, "0"), outcome=ListingOutcome.TRADED, mode=Mode.SIMULATION, latency_ms=Decimal(1)),
    ]  # fmt: skip
    text = drawn(race_screen(RaceBoard(listings=rows, sources=source_results(rows), median_order_ms=Decimal("2.1")),
                             tests=False), width)  # fmt: skip
    assert "first" in text
    assert "+812.4 ms" in text
    assert "+5.4 s" in text
    assert "bought 2.1 ms" in text
    assert "paper 1.0 ms" in text
    assert "67 %" in text
    assert ("max_trades_per_hour" in text) is (width == 120)


def test_a_scheduled_order_is_measured_from_the_instant_at_which_it_was_due(width: int) -> None:
    seen, bought = (DetectionSource.CALENDAR, "0"), {"outcome": ListingOutcome.TRADED, "mode": Mode.LIVE}
    rows = [
        record("AUSDT", seen, latency_ms=Decimal("0.2"), due_at=NOON, **bought),
        record("BUSDT", seen, latency_ms=Decimal("2.1"), **bought),
    ]
    board = RaceBoard(
        listings=rows,
        sources=source_results(rows),
        median_order_ms=median_latency(rows, scheduled=False),
        median_due_ms=median_latency(rows, scheduled=True),
    )
    text = drawn(race_screen(board, tests=False), width)
    assert "bought due +0.2 ms" in text
    assert "bought 2.1 ms" in text
    assert "on the wire 2.1 ms after detection, 0.2 ms after they were due." in text


def test_what_was_missed_shows_cost_worth_and_reason_on_any_terminal(width: int) -> None:
    rows = [missed_listing(record("NEWUSDT", **MISSED, **BOOK)), missed_listing(record("BLINDUSDT", **MISSED))]
    sums = [MissSum(minutes=1, listings=1, cost=Decimal("19.95"), worth=Decimal("22.80"))]
    text = drawn(missed_screen(MissedBoard(listings=rows, reasons={"max_trades_per_hour": 2}, sums=sums)), width)
    for words in ("max_trades_per_hour", "19.95", "22.80", "+2.85 (+14.3%)", "Why: max_trades_per_hour 2"):
        assert words in text


def test_empty_boards_say_what_to_do() -> None:
    empty = RaceBoard(listings=[], sources=[], median_order_ms=None)
    assert "signalbox run status" in drawn(race_screen(empty, tests=False), 120)
    assert "a run has to be active" in drawn(race_screen(empty, tests=True), 120)
    assert "Nothing was missed" in drawn(missed_screen(MissedBoard(listings=[], reasons={}, sums=[])), 120)


def test_a_story_goes_from_the_announcement_to_the_reason(width: int) -> None:
    moved = Move(at=NOON - timedelta(hours=2), old=NOON - timedelta(hours=1), new=NOON, origin="calendar")
    unknown = "the venue's market list does not have it yet"
    schedule = ScheduleRow(
        symbol="NEWUSDT",
        opens_at=NOON,
        origins=["calendar"],
        disputed={"exchange_info": NOON + timedelta(minutes=5)},
        state=ListingState.OPENED,
        moves=[moved],
        verdict=Eligibility.UNCERTAIN,
        reasons=[
            EligibilityReason(name=name, ok=None, value=None, limit=None, message=unknown)
            for name in ("status", "lots")
        ],
        first_announced_at=NOON - timedelta(days=1),
    )
    row = record("NEWUSDT", (DetectionSource.WEBSOCKET, "0"), **MISSED, **BOOK)
    story = ListingStory(
        record=row,
        schedule=schedule,
        events=timeline(row, schedule, []),
        hindsight=missed_listing(row),
        decision=None,
        orders=[],
        earlier=[],
    )
    text = drawn(story_screen(story), width)
    for words in (
        "max_trades_per_hour: 3 used + 1 asked of 3",
        "uncertain (status, lots: the venue's market list does not have it yet)",
        "announced",
        "calendar moved it",
        "first by websocket, at a price of 0.5",
        "20 would have bought 38 for 19.95",
        "1 min 22.80 +14.3%",
    ):
        assert words in text
