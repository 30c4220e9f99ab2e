"""The stored schedule follows the newest state, keeps what happened, and survives the processes that write it."""

from datetime import datetime, timedelta
from typing import Any

from msgspec import structs
from tests.integration.ledger.conftest import Connection
from tests.integration.ledger.world import ACCOUNT, NOW

from signalbox.domain.configuration import Venue
from signalbox.domain.listings import (
    Eligibility,
    EligibilityReason,
    EligibilityVerdict,
    ListingSchedule,
    ListingState,
    Move,
    UpcomingListing,
)
from signalbox.domain.market import ClockReading
from signalbox.ledger.engine_ledger import EngineLedger

BOTH = frozenset({"calendar", "exchange_info"})
VERDICT = EligibilityVerdict(
    outcome=Eligibility.INELIGIBLE,
    reasons=(EligibilityReason(name="quote_asset", ok=False, value="EUR", limit="USDT", message="priced in EUR"),),
)


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def listing(symbol: str = "SOONUSDT", opens: float = 60, **changes: Any) -> UpcomingListing:
    values: dict[str, Any] = {
        "symbol": symbol,
        "opens_at": at(opens),
        "origins": ("calendar",),
        "first_announced_at": NOW,
    }
    return UpcomingListing(**{**values, **changes})


def schedule(*listings: UpcomingListing, heard: frozenset[str] = BOTH) -> ListingSchedule:
    return ListingSchedule(listings=listings, markets={}, heard=heard)


async def rows(sql: Connection) -> list[Any]:
    return await sql.fetch("SELECT * FROM listing_schedule ORDER BY id")


async def test_a_listing_from_its_announcement_to_its_opening_is_one_row(ledger: EngineLedger, sql: Connection) -> None:
    first = listing("索拉USDT", disputed={"exchange_info": at(75)})
    await ledger.record_schedule(ACCOUNT, schedule(first), at=NOW)
    [row] = await rows(sql)
    assert (row["symbol"], row["state"], row["origins"], row["opens_at"]) == (
        "索拉USDT",
        "scheduled",
        ["calendar"],
        at(60),
    )
    assert row["verdict"] is None
    moved = structs.replace(
        first,
        opens_at=at(90),
        origins=("calendar", "exchange_info"),
        disputed={},
        verdict=VERDICT,
        moves=(Move(at=at(5), old=at(60), new=at(90), origin="calendar"),),
    )
    await ledger.record_schedule(ACCOUNT, schedule(moved), at=at(5))
    await ledger.record_schedule(ACCOUNT, schedule(moved), at=at(6))
    [row] = await rows(sql)
    assert (row["opens_at"], row["verdict"], row["updated_at"]) == (at(90), "ineligible", at(5))
    opened = structs.replace(moved, state=ListingState.OPENED, verdict=None)
    for minutes in (91, 92):
        await ledger.record_schedule(ACCOUNT, schedule(opened), at=at(minutes))
    [row] = await rows(sql)
    assert (row["state"], row["verdict"], row["updated_at"], row["first_announced_at"]) == (
        "opened",
        "ineligible",
        at(91),
        NOW,
    )
    assert '"old"' in row["moves"]
    assert "priced in EUR" in row["reasons"]


async def test_what_an_earlier_process_began_is_gone_on_with_and_its_gap_is_seen(
    ledger: EngineLedger, sql: Connection
) -> None:
    await ledger.record_schedule(ACCOUNT, schedule(listing()), at=NOW)
    later = listing(opens=120, first_announced_at=at(30))
    for _ in range(2):
        await ledger.record_schedule(ACCOUNT, schedule(later), at=at(30))
    move = Move(at=at(40), old=at(120), new=at(150), origin="calendar")
    await ledger.record_schedule(ACCOUNT, schedule(structs.replace(later, opens_at=at(150), moves=(move,))), at=at(40))
    [row] = await sql.fetch(
        "SELECT first_announced_at, jsonb_array_length(moves) AS moves, (moves->0->>'old')::timestamptz AS old,"
        " (moves->0->>'new')::timestamptz AS new, (moves->1->>'new')::timestamptz AS newest FROM listing_schedule"
    )
    assert dict(row) == {
        "first_announced_at": NOW,
        "moves": 2,
        "old": at(60),
        "new": at(120),
        "newest": at(150),
    }


async def test_a_listing_that_comes_back_is_a_second_row(ledger: EngineLedger, sql: Connection) -> None:
    gone = listing(state=ListingState.CANCELLED)
    again = listing(opens=180, first_announced_at=at(20))
    await ledger.record_schedule(ACCOUNT, schedule(listing()), at=NOW)
    for minutes in (20, 21):
        await ledger.record_schedule(ACCOUNT, schedule(gone, again), at=at(minutes))
    assert [(row["state"], row["opens_at"]) for row in await rows(sql)] == [
        ("cancelled", at(60)),
        ("scheduled", at(180)),
    ]


async def test_what_ended_before_it_was_ever_written_is_one_ended_row(ledger: EngineLedger, sql: Connection) -> None:
    for minutes in (1, 2):
        await ledger.record_schedule(ACCOUNT, schedule(listing(state=ListingState.CANCELLED)), at=at(minutes))
    assert [row["state"] for row in await rows(sql)] == ["cancelled"]


async def test_rows_that_nobody_names_end_once_their_sources_were_heard(ledger: EngineLedger, sql: Connection) -> None:
    past, future = listing("PASTUSDT", opens=1), listing("GONEUSDT", opens=60)
    other = listing("INFOUSDT", origins=("exchange_info",))
    await ledger.record_schedule(ACCOUNT, schedule(past, future, other), at=NOW)
    await ledger.record_schedule(ACCOUNT, schedule(heard=frozenset({"exchange_info"})), at=at(5))
    assert {row["symbol"]: row["state"] for row in await rows(sql)} == {
        "PASTUSDT": "scheduled",
        "GONEUSDT": "scheduled",
        "INFOUSDT": "cancelled",
    }
    await ledger.record_schedule(ACCOUNT, schedule(), at=at(6))
    assert {row["symbol"]: row["state"] for row in await rows(sql)} == {
        "PASTUSDT": "opened",
        "GONEUSDT": "cancelled",
        "INFOUSDT": "cancelled",
    }


async def test_fifty_listings_of_one_instant(ledger: EngineLedger, sql: Connection) -> None:
    listings = [listing(f"L{number}USDT", verdict=VERDICT) for number in range(50)]
    await ledger.record_schedule(ACCOUNT, schedule(*listings), at=NOW)
    assert len(await rows(sql)) == 50


async def test_clock_readings_are_kept_once(ledger: EngineLedger, sql: Connection) -> None:
    reading = ClockReading(
        offset=timedelta(microseconds=-1500), error=timedelta(microseconds=250), measured_at=NOW, samples=9
    )
    for _ in range(2):
        await ledger.record_clock(Venue.MEXC, reading)
    [row] = await sql.fetch("SELECT venue, measured_at, offset_us, error_us, samples FROM clock_offsets")
    assert tuple(row.values()) == ("mexc", NOW, -1500, 250, 9)
