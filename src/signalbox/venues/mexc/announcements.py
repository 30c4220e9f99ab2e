"""Follows what is announced: reads it, says how it changed, and reports each listing ahead of its opening."""

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final

from signalbox.domain.ports import QUOTE_ASSETS, Clock, EventSink, nothing_to_do
from signalbox.venues.mexc.calendar import MexcCalendar
from signalbox.venues.mexc.clock_offset import ClockOffset
from signalbox.venues.mexc.knowledge import CALENDAR, EXCHANGE_INFO, JUST_OPENED, Knowledge
from signalbox.venues.mexc.polling import wait
from signalbox.venues.mexc.schedule import Schedule, ScheduleChange
from signalbox.venues.mexc.source_health import SourceHealth

BOTH: Final = frozenset({CALENDAR, EXCHANGE_INFO})
LOOKS: Final = (
    (timedelta(seconds=8), frozenset({CALENDAR})),
    (timedelta(seconds=3), BOTH),
    (timedelta(seconds=1), frozenset({CALENDAR})),
    (timedelta(seconds=-2), BOTH),
)
"""When to look once more, before each opening: times move in the last seconds, too. The exchange information weighs 25
of the 300 that the venue allows in ten seconds: two looks at it, one shortly before and one when nothing opened, leave
room for prices twice a second and for orders. The calendar is asked elsewhere and costs nothing of that."""

_LONGEST_SLEEP_S = 60.0

Report = Callable[[str, datetime], None]


class Announcements:
    """The calendar and the exchange information's opening times, and the clockwork that they drive."""

    def __init__(
        self,
        knowledge: Knowledge,
        calendar: MexcCalendar,
        *,
        offset: ClockOffset,
        clock: Clock,
        events: EventSink,
    ) -> None:
        self.on_schedule: Callable[[], None] = nothing_to_do
        self.changed = asyncio.Event()
        """Set when what is due next has to be worked out anew."""
        self.wanted = {origin: asyncio.Event() for origin in BOTH}
        """Set when a source should be read at once."""
        self.quote_assets: tuple[str, ...] = QUOTE_ASSETS
        """What a coin of the calendar is assumed to be quoted in while the exchange information does not know it."""
        self.health = SourceHealth("feed.calendar", events, clock)
        self._knowledge = knowledge
        self._calendar = calendar
        self._offset = offset
        self._events = events
        self._lacked: dict[str, set[str]] = {origin: set() for origin in BOTH}
        self._told_of: Schedule | None = None
        self._told_version = 0

    async def read_calendar(self) -> None:
        """One look at the calendar. Raises VenueUnavailable: a page that cannot be read changes nothing."""
        listings, bad = await self._calendar.listings(self._offset.server_ms())
        for what in bad:
            self.health.malformed(what)
        self._knowledge.require()
        now = self._offset.venue_now()
        announced: dict[str, datetime] = {}
        for entry in sorted(listings, key=lambda entry: entry.opens_at):
            if entry.opens_at > now - JUST_OPENED:
                for symbol in self._symbols_of(entry.base):
                    announced.setdefault(symbol, entry.opens_at)  # of two coins of one name the first to open
        for symbol in announced.keys() & self._knowledge.known:
            del announced[symbol]
        if self._take(CALENDAR, announced | self._doubtful(CALENDAR, announced, now), now):
            self.wanted[EXCHANGE_INFO].set()  # what the calendar changes, the documented source should confirm

    def take_exchange_info(self) -> None:
        """The exchange information was read: take over its opening times."""
        now = self._offset.venue_now()
        announced = self._knowledge.announced(now)
        shown = announced.keys() | self._knowledge.instruments.keys()
        self._take(EXCHANGE_INFO, announced | self._doubtful(EXCHANGE_INFO, shown, now), now)

    async def follow(self, report: Report, ahead: timedelta) -> None:
        """Report each opening `ahead` of its time by the venue's clock, and look once more shortly before it."""
        looked_until = self._offset.venue_now()
        while True:
            self.changed.clear()
            now = self._offset.venue_now()
            for opens_at, symbol in self._knowledge.schedule.take_due(now + ahead):
                report(symbol, opens_at)
            looks = self._looks(now)
            for at, origins in looks:
                if looked_until < at <= now:
                    self._want(origins)
            looked_until = max(looked_until, now)
            self.tell()
            await wait(self.changed, self._pause_s(now, ahead, [at for at, _ in looks]))

    def tell(self) -> None:
        """Say so when the schedule is not the one that was told of last."""
        schedule = self._knowledge.schedule
        if schedule is not self._told_of or schedule.version != self._told_version:
            self._told_of, self._told_version = schedule, schedule.version
            self.on_schedule()

    def next_opening(self) -> datetime | None:
        """The next instant at which something opens, by the venue's clock; None when nothing is announced."""
        instants = self._knowledge.schedule.instants(self._offset.venue_now())
        return instants[0] if instants else None

    def _doubtful(self, origin: str, shown: Collection[str], now: datetime) -> dict[str, datetime]:
        """What an answer lacks that the one before announced. An answer may have a hole, and a listing that is taken
        back for that is missed: it counts when the next answer, asked for at once, lacks it too."""
        named = self._knowledge.schedule.named(origin)
        lacking = {
            symbol: at
            for symbol, at in named.items()
            if at > now and symbol not in shown and symbol not in self._knowledge.known
        }
        doubtful = lacking.keys() - self._lacked[origin]
        self._lacked[origin] = set(lacking)
        if doubtful:
            self.wanted[origin].set()
        return {symbol: lacking[symbol] for symbol in doubtful}

    def _take(self, origin: str, announced: dict[str, datetime], now: datetime) -> bool:
        changes = self._knowledge.schedule.update(origin, announced, now)
        for change in changes:
            self._record(change, origin)
        if changes:
            self.changed.set()
        self.tell()
        return bool(changes)

    def _record(self, change: ScheduleChange, origin: str) -> None:
        old, new = _text(change.old), _text(change.new)
        match change.old, change.new:
            case None, _:
                message = f"{change.symbol} will open at {new}"
            case _, None:
                message = f"the listing of {change.symbol} at {old} was taken back"
            case _:
                message = f"the listing of {change.symbol} was moved from {old} to {new}"
        text = f"{origin}: {message}"
        self._events.event("info", "trading", text, symbol=change.symbol, origin=origin, old=old, new=new)

    def _symbols_of(self, base: str) -> list[str]:
        """The pairs of a coin. The calendar does not tell the quote asset: the exchange information decides when it
        knows the coin, else the first configured quote asset is assumed."""
        quotes = self.quote_assets
        instruments = self._knowledge.instruments
        confirmed = [base + quote for quote in quotes if base + quote in instruments]
        return confirmed or [base + quotes[0]] if quotes else []

    def _looks(self, now: datetime) -> list[tuple[datetime, frozenset[str]]]:
        """When to look at what, for all listings that wait."""
        waiting = self._knowledge.schedule.coming(now)
        instants = {at for listing in waiting for at in (listing.opens_at, *listing.disputed.values())}
        return [(at - before, origins) for at in instants for before, origins in LOOKS]

    def _want(self, origins: frozenset[str]) -> None:
        for origin in origins:
            self.wanted[origin].set()

    def _pause_s(self, now: datetime, ahead: timedelta, looks: list[datetime]) -> float:
        schedule = self._knowledge.schedule
        reports = [opens_at - ahead for opens_at, _ in schedule.openings()[:1]]
        moments = [*reports, *looks, *schedule.instants(now)[:1]]
        next_s = min(((at - now).total_seconds() for at in moments if at > now), default=_LONGEST_SLEEP_S)
        return min(next_s, _LONGEST_SLEEP_S)


def _text(instant: datetime | None) -> str | None:
    return instant.isoformat(timespec="seconds") if instant else None
