"""Listings that are announced: kept with their history, moved, cancelled, and due ahead of their opening. Pure."""

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from msgspec import Struct, structs

from signalbox.domain.listings import ListingState, Move, UpcomingListing

TOLERANCE = timedelta(seconds=1)
"""A market that trades this much before its time has opened on time: clocks differ."""

OVERDUE_LIMIT = timedelta(hours=1)
"""A listing that nobody saw trading so long after its time, and that nobody moved, is given up."""

OVERDUE = "overdue"
_REMEMBERED = 500


class ScheduleChange(Struct, frozen=True, kw_only=True):
    """What an update changed: `new` None means cancelled, `old` None means newly announced."""

    symbol: str
    old: datetime | None
    new: datetime | None


class Schedule:
    """The announced listings. Each origin has its own list, and where they disagree on a time, both times count: an
    attempt that comes too early is refused by the venue, one that is left out is a missed listing. All times are the
    venue's."""

    def __init__(self) -> None:
        self._named: dict[str, dict[str, datetime]] = {}
        self._reported: set[tuple[str, datetime]] = set()
        self._opened: dict[str, datetime] = {}
        self._coming: dict[str, UpcomingListing] = {}
        self._ended: deque[UpcomingListing] = deque(maxlen=_REMEMBERED)
        self.version = 0
        """Counts the changes of what `coming`, `ended` and `heard` tell."""

    @property
    def heard(self) -> frozenset[str]:
        """The origins that have told their list."""
        return frozenset(self._named)

    def named(self, origin: str) -> Mapping[str, datetime]:
        """What one origin announced last (symbol -> opening)."""
        return self._named.get(origin, {})

    def update(self, origin: str, announced: Mapping[str, datetime], now: datetime) -> list[ScheduleChange]:
        """Replace what one origin announces (symbol -> opening) and return how its list changed. An entry that leaves
        the list after its time had come is no cancellation."""
        before = self._named.get(origin, {})
        self.version += origin not in self._named
        after = {symbol: at for symbol, at in announced.items() if not self._is_void(symbol, at)}
        self._named[origin] = after
        changes: list[ScheduleChange] = []
        for symbol in sorted(s for s in before.keys() | after.keys() if before.get(s) != after.get(s)):
            old, new = before.get(symbol), after.get(symbol)
            if new is not None or (old is not None and old > now):
                changes.append(ScheduleChange(symbol=symbol, old=old, new=new))
            if old is not None and old > now and old not in self._times(symbol).values():
                self._reported.discard((symbol, old))  # should it come back, it is reported again
            self._settle(symbol, origin, now)
        return changes

    def coming(self, now: datetime) -> list[UpcomingListing]:
        """What is still to open, earliest first. A listing whose time has come stays until it trades; it leaves when
        it is overdue for too long. Where one of two disputed times has passed, the next one counts."""
        for symbol, listing in list(self._coming.items()):
            if listing.opens_at > now:
                continue
            self._settle(symbol, OVERDUE, now)
            if self._coming[symbol].opens_at + OVERDUE_LIMIT <= now:
                self._end(symbol, ListingState.CANCELLED, Move(at=now, old=listing.opens_at, new=None, origin=OVERDUE))
        return sorted(self._coming.values(), key=lambda listing: (listing.opens_at, listing.symbol))

    def ended(self) -> list[UpcomingListing]:
        """Those that opened or were cancelled, oldest first."""
        return list(self._ended)

    def openings(self) -> list[tuple[datetime, str]]:
        """Every opening that some origin names and nobody has been told of, earliest first."""
        named = {(at, symbol) for announced in self._named.values() for symbol, at in announced.items()}
        return sorted((at, symbol) for at, symbol in named if (symbol, at) not in self._reported)

    def instants(self, after: datetime) -> list[datetime]:
        """The openings that are named and later than this, earliest first, whether told or not."""
        return sorted({at for announced in self._named.values() for at in announced.values() if at > after})

    def opening_of(self, symbol: str, now: datetime) -> datetime | None:
        """The opening that this symbol's trading belongs to: the last one that has come, else the next one, None when
        nobody announced it."""
        times = self._times(symbol).values()
        past = [at for at in times if at <= now + TOLERANCE]
        return max(past) if past else min(times, default=None)

    def take_due(self, until: datetime) -> list[tuple[datetime, str]]:
        """The openings up to this instant, each only once; again when it was moved or taken back in between."""
        due = [(at, symbol) for at, symbol in self.openings() if at <= until]
        self._reported.update((symbol, at) for at, symbol in due)
        return due

    def opened(self, symbol: str, now: datetime) -> bool:
        """The market trades: a later opening is void, whatever the lists still say. True when it was waited for."""
        self._opened.setdefault(symbol, now)
        for announced in self._named.values():
            if symbol in announced and self._is_void(symbol, announced[symbol]):
                del announced[symbol]
        return self._end(symbol, ListingState.OPENED)

    def opened_at(self, symbol: str) -> datetime | None:
        """When the market was first seen trading, None when it was not."""
        return self._opened.get(symbol)

    def reopen(self, symbol: str) -> None:
        """The venue announces a market anew that had opened before (a relisting)."""
        self._opened.pop(symbol, None)

    def _times(self, symbol: str) -> dict[str, datetime]:
        return {origin: named[symbol] for origin, named in self._named.items() if symbol in named}

    def _is_void(self, symbol: str, opens_at: datetime) -> bool:
        opened_at = self._opened.get(symbol)
        return opened_at is not None and opens_at > opened_at + TOLERANCE

    def _settle(self, symbol: str, origin: str, now: datetime) -> None:
        """Bring one listing's record in line with what the origins say."""
        times, known = self._times(symbol), self._coming.get(symbol)
        if not times or symbol in self._opened:
            if known is not None and known.opens_at > now:
                move = Move(at=now, old=known.opens_at, new=None, origin=origin)
                self._end(symbol, ListingState.CANCELLED, move)
            return
        opens_at = _next(times.values(), now)
        listing = UpcomingListing(
            symbol=symbol,
            opens_at=opens_at,
            origins=tuple(sorted(name for name, at in times.items() if at == opens_at)),
            disputed={name: at for name, at in sorted(times.items()) if at != opens_at},
            first_announced_at=now if known is None else known.first_announced_at,
            moves=() if known is None else known.moves,
        )
        if known is not None and known.opens_at != opens_at:
            by = origin if origin in listing.origins else listing.origins[0]
            move = Move(at=now, old=known.opens_at, new=opens_at, origin=by)
            listing = structs.replace(listing, moves=(*known.moves, move))
        self.version += listing != known
        self._coming[symbol] = listing

    def _end(self, symbol: str, state: ListingState, *moves: Move) -> bool:
        listing = self._coming.pop(symbol, None)
        if listing is not None:
            self.version += 1
            self._ended.append(structs.replace(listing, state=state, moves=(*listing.moves, *moves)))
        return listing is not None


def _next(times: Iterable[datetime], now: datetime) -> datetime:
    """The earliest that is still to come; when all have passed, the last."""
    known = sorted(times)
    return next((at for at in known if at > now), known[-1])
