"""Listings that are announced, with the verdict on each, and the clock by which they open."""

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from signalbox.control.context import Control
from signalbox.domain.configuration import Venue
from signalbox.ledger.queries import listing_schedule as queries
from signalbox.ledger.queries.listing_schedule import ClockRow, ScheduledRow

SILENCE: Final = timedelta(seconds=30)
"""A run that was not heard of for so long looks at nothing."""


class UpcomingBoard(Struct, frozen=True, kw_only=True):
    """What is to come. `venue_now` is the venue's time by the last measurement, ours when there is none. `watched`:
    a run looks for announcements now; without one this is what the last run knew."""

    listings: list[ScheduledRow]
    clock: ClockRow | None
    now: datetime
    venue_now: datetime
    watched: bool


async def upcoming(
    control: Control, *, account: str | None = None, ended: bool = False, limit: int = 50
) -> UpcomingBoard:
    """The announced listings, earliest first; with `ended` those that opened or were cancelled, latest first."""
    now = control.clock.now()
    async with control.sessions.read() as session:
        listings = await queries.scheduled(session, account=account, ended=ended, limit=limit)
        clock = await queries.newest_clock(session, Venue.MEXC)
        watched = await queries.is_watched(session, account=account, alive_since=now - SILENCE)
    venue_now = now + clock.offset if clock else now
    return UpcomingBoard(listings=listings, clock=clock, now=now, venue_now=venue_now, watched=watched)
