"""Listings that are announced: kept, moved, cancelled, and due at their opening. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct

TOLERANCE = timedelta(seconds=1)
"""A market that trades this much before its time has opened on time: clocks differ."""


class Announcement(Struct, frozen=True, kw_only=True):
    """A market that will open. `origin` is the source that says so: calendar or exchange_info."""

    symbol: str
    opens_at: datetime
    origin: str


class ScheduleChange(Struct, frozen=True, kw_only=True):
    """What an update changed: `new` None means cancelled, `old` None means newly announced."""

    symbol: str
    old: datetime | None
    new: datetime | None


class Schedule:
    """The announced listings. Each origin has its own list, and where they disagree on a time, both times count: an
    attempt that comes too early is refused by the venue, one that is left out is a missed listing."""

    def __init__(self) -> None:
        self._by_origin: dict[str, dict[str, Announcement]] = {}
        self._fired: set[tuple[str, datetime]] = set()
        self._opened: dict[str, datetime] = {}

    def update(self, origin: str, announcements: Iterable[Announcement]) -> list[ScheduleChange]:
        """Replace what one origin announces and return how its list changed. An entry that leaves the list after it
        was due is no cancellation."""
        before = self._by_origin.get(origin, {})
        after = {a.symbol: a for a in announcements if not self._is_void(a)}
        self._by_origin[origin] = after
        changes: list[ScheduleChange] = []
        for symbol in sorted(before.keys() | after.keys()):
            old = before[symbol].opens_at if symbol in before else None
            new = after[symbol].opens_at if symbol in after else None
            is_over = new is None and (symbol, old) in self._fired
            if old != new and not is_over:
                changes.append(ScheduleChange(symbol=symbol, old=old, new=new))
        return changes

    def upcoming(self) -> list[Announcement]:
        """What is still to open, earliest first; the same opening from two origins is one."""
        merged: dict[tuple[str, datetime], Announcement] = {}
        for origin in sorted(self._by_origin):
            for a in self._by_origin[origin].values():
                merged[(a.symbol, a.opens_at)] = a
        waiting = [a for key, a in merged.items() if key not in self._fired]
        return sorted(waiting, key=lambda a: (a.opens_at, a.symbol))

    def opening_of(self, symbol: str, venue_now: datetime) -> datetime | None:
        """The opening that this symbol's trading belongs to: the last one that has come, else the next one, None when
        nobody announced it."""
        times = [a[symbol].opens_at for a in self._by_origin.values() if symbol in a]
        past = [at for at in times if at <= venue_now + TOLERANCE]
        if past:
            return max(past)
        return min(times, default=None)

    def take_due(self, venue_now: datetime) -> list[Announcement]:
        """The announcements whose time has come, each only once per opening time."""
        due = [a for a in self.upcoming() if a.opens_at <= venue_now]
        self._fired.update((a.symbol, a.opens_at) for a in due)
        return due

    def opened(self, symbol: str, venue_now: datetime) -> None:
        """The market trades: a later opening is void, whatever the lists still say."""
        self._opened.setdefault(symbol, venue_now)
        for announcements in self._by_origin.values():
            if symbol in announcements and self._is_void(announcements[symbol]):
                del announcements[symbol]

    def _is_void(self, announcement: Announcement) -> bool:
        opened_at = self._opened.get(announcement.symbol)
        return opened_at is not None and announcement.opens_at > opened_at + TOLERANCE

    def reopen(self, symbol: str) -> None:
        """The venue announces a market anew that had opened before (a relisting)."""
        self._opened.pop(symbol, None)
