"""Listings that are announced: kept, moved, cancelled, and due at their opening. Pure."""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct


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
    """The announced listings by symbol. Each origin keeps its own list; the exchange information wins, because it is
    the documented source, the calendar is not."""

    def __init__(self) -> None:
        self._by_origin: dict[str, dict[str, Announcement]] = {}
        self._fired: set[tuple[str, datetime]] = set()
        self._opened: dict[str, datetime | None] = {}

    def update(self, origin: str, announcements: Iterable[Announcement]) -> list[ScheduleChange]:
        """Replace what one origin announces and return how the whole changed. An announcement that was already due
        stays known with its opening time."""
        before = self._times()
        self._by_origin[origin] = {a.symbol: a for a in announcements if a.symbol not in self._opened}
        after = self._times()
        return [
            ScheduleChange(symbol=symbol, old=before.get(symbol), new=after.get(symbol))
            for symbol in sorted(before.keys() | after.keys())
            if before.get(symbol) != after.get(symbol) and not self._is_over(symbol, before, after)
        ]

    def _is_over(self, symbol: str, before: dict[str, datetime], after: dict[str, datetime]) -> bool:
        """An entry that leaves its list after it was due is no cancellation."""
        return symbol not in after and (symbol, before[symbol]) in self._fired

    def _times(self) -> dict[str, datetime]:
        times: dict[str, datetime] = {}
        for origin in sorted(self._by_origin):  # calendar before exchange_info: the later one wins
            times.update({symbol: a.opens_at for symbol, a in self._by_origin[origin].items()})
        return times

    def upcoming(self) -> list[Announcement]:
        """What is still to open, earliest first."""
        merged: dict[str, Announcement] = {}
        for origin in sorted(self._by_origin):
            merged.update(self._by_origin[origin])
        waiting = [a for a in merged.values() if (a.symbol, a.opens_at) not in self._fired]
        return sorted(waiting, key=lambda a: (a.opens_at, a.symbol))

    def opening_of(self, symbol: str) -> datetime | None:
        """When this symbol opens or opened, None when nobody said."""
        return self._times().get(symbol) or self._opened.get(symbol)

    def take_due(self, venue_now: datetime) -> list[Announcement]:
        """The announcements whose time has come, each only once per opening time."""
        due = [a for a in self.upcoming() if a.opens_at <= venue_now]
        self._fired.update((a.symbol, a.opens_at) for a in due)
        return due

    def opened(self, symbol: str, opens_at: datetime | None) -> None:
        """The market trades: it is not announced any more, whatever the lists still say."""
        self._opened[symbol] = opens_at
        for announcements in self._by_origin.values():
            announcements.pop(symbol, None)

    def reopen(self, symbol: str) -> None:
        """The venue announces a market anew that had opened before (a relisting)."""
        self._opened.pop(symbol, None)
