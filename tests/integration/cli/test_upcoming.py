"""`signalbox listings upcoming`: countdown, moves, verdict and the exchange's clock, on a screen and as JSON."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from tests.integration.cli.conftest import Shell

from signalbox.domain.configuration import Venue
from signalbox.domain.ids import AccountId
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
from signalbox.engine.clock import SystemClock
from signalbox.ledger.connecting import fixed_url
from signalbox.ledger.engine_ledger import EngineLedger

REASON = EligibilityReason(
    name="key_pairs", ok=False, value="3 pairs", limit="unbound", message="the API key is bound to 3 other pairs"
)


async def _record(url: str, now: datetime) -> None:
    connection = await asyncpg.connect(url)
    account = AccountId(await connection.fetchval("SELECT id FROM accounts WHERE label = 'main'"))
    await connection.close()
    opens_at = now + timedelta(hours=2)
    listing = UpcomingListing(
        symbol="索拉拉USDT",
        opens_at=opens_at,
        origins=("calendar",),
        disputed={"exchange_info": opens_at + timedelta(minutes=15)},
        first_announced_at=now - timedelta(hours=1),
        moves=(Move(at=now, old=opens_at - timedelta(hours=1), new=opens_at, origin="calendar"),),
        verdict=EligibilityVerdict(outcome=Eligibility.INELIGIBLE, reasons=(REASON,)),
    )
    gone = UpcomingListing(
        symbol="GONEUSDT",
        opens_at=opens_at,
        origins=("calendar",),
        first_announced_at=now,
        state=ListingState.CANCELLED,
    )
    reading = ClockReading(
        offset=timedelta(seconds=40), error=timedelta(microseconds=1500), measured_at=now, samples=12
    )
    ledger = EngineLedger(fixed_url(url))
    await ledger.open()
    try:
        schedule = ListingSchedule(listings=(listing, gone), markets={}, heard=frozenset())
        await ledger.record_schedule(account, schedule, at=now)
        await ledger.record_clock(Venue.MEXC, reading)
    finally:
        await ledger.close()


@pytest.fixture
def ready(shell: Callable[..., Shell], database_url: str) -> Shell:
    """A ledger with one listing to come, one that was cancelled, and a measured clock."""
    sh = shell()
    sh.run("account", "add", "main")
    asyncio.run(_record(database_url, SystemClock().now()))
    return sh


def test_the_screen_says_when_what_opens_and_whether_it_could_be_traded(ready: Shell) -> None:
    screen, _ = ready.run("listings", "upcoming")
    assert "is +40000.0 ms from ours (± 1.5 ms, measured" in screen
    assert "索拉拉USDT" in screen
    assert " 01:59:" in screen, "the countdown is by the exchange's clock, which is ahead"
    assert "ineligible" in screen
    assert "the API key is bound to 3 other pairs" in screen
    assert "once, was " in screen
    assert "calendar; exchange_info says " in screen
    assert "GONEUSDT" not in screen
    assert "No run is active, so nobody looks for announcements" in screen


def test_json_has_every_fact_in_utc(ready: Shell) -> None:
    board = ready.json("listings", "upcoming")
    [listing] = board["listings"]
    assert (listing["account"], listing["symbol"], listing["verdict"]) == ("main", "索拉拉USDT", "ineligible")
    assert listing["reasons"][0]["name"] == "key_pairs"
    assert listing["moves"][0]["origin"] == "calendar"
    assert datetime.fromisoformat(listing["opens_at"]).tzinfo == UTC
    assert board["watched"] is False
    assert (board["clock"]["offset_us"], board["clock"]["error_us"]) == (40_000_000, 1_500)


def test_what_ended_and_what_another_account_waits_for(ready: Shell) -> None:
    screen, _ = ready.run("listings", "upcoming", "--ended")
    assert "GONEUSDT" in screen
    assert "cancelled" in screen
    assert ready.json("listings", "upcoming", "--account", "other")["listings"] == []
