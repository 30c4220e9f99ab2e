"""What the feed knows of the venue's markets: which are not new, which are coming, and who reported what."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from signalbox.domain.errors import VenueUnavailable
from signalbox.domain.instruments import Instrument, InstrumentStatus
from signalbox.domain.signals import DetectionSource
from signalbox.venues.mexc.schedule import Schedule

CALENDAR, EXCHANGE_INFO = "calendar", "exchange_info"
JUST_OPENED = timedelta(seconds=60)
"""An announcement whose time was missed by less than this is still reported."""

RELIST_AFTER = timedelta(hours=1)
"""A market that traded and is announced for a time so much later is going to be listed again."""


class Knowledge:
    """What is not new: for everybody (the markets at the start) and for each source (what it reported already)."""

    def __init__(self) -> None:
        self.is_ready = False
        self.known: set[str] = set()
        self.instruments: dict[str, Instrument] = {}
        self.schedule = Schedule()
        self._reported: dict[DetectionSource, set[str]] = {source: set() for source in DetectionSource}

    def begin(self, instruments: dict[str, Instrument], priced: set[str], now: datetime) -> None:
        """Forget everything; what is there now is not new, except what is going to open."""
        coming = {symbol for symbol, instrument in instruments.items() if is_coming(instrument, now, priced)}
        self.known = (instruments.keys() | priced) - coming
        self.instruments = instruments
        self.schedule = Schedule()
        self._reported = {source: set(self.known) for source in DetectionSource}
        self.schedule.update(EXCHANGE_INFO, self.announced(now), now)
        self.is_ready = True

    def require(self) -> None:
        """Raise VenueUnavailable before the first `begin`."""
        if not self.is_ready:
            raise VenueUnavailable("the markets at the start are not known yet")

    def reported(self, source: DetectionSource) -> set[str]:
        """Known symbols and those that this source reported."""
        return self._reported[source]

    def learn(self, symbols: Iterable[str]) -> None:
        """Take symbols as not new."""
        for symbol in symbols:
            self.known.add(symbol)
            for reported in self._reported.values():
                reported.add(symbol)

    def update(self, instruments: dict[str, Instrument], now: datetime) -> bool:
        """Take over the exchange information. True when the rules of a market to come have changed."""
        before, self.instruments = self.instruments, instruments
        for instrument in instruments.values():
            if instrument.status is InstrumentStatus.ANNOUNCED and self._is_listed_anew(instrument, now):
                self._forget(instrument.symbol)
        listings = self.schedule.coming(now)
        return any(before.get(one.symbol) != instruments.get(one.symbol) for one in listings)

    def announced(self, now: datetime) -> dict[str, datetime]:
        """The markets that will open, or opened just now, by the exchange information."""
        earliest = now - JUST_OPENED
        return {
            instrument.symbol: instrument.opens_at
            for instrument in self.instruments.values()
            if instrument.opens_at is not None
            and instrument.opens_at > earliest
            and instrument.symbol not in self.known
            and instrument.status is not InstrumentStatus.OFFLINE
        }

    def markets_to_come(self, now: datetime) -> Mapping[str, Instrument]:
        """The rules of the listings to come, as far as they are known."""
        symbols = [listing.symbol for listing in self.schedule.coming(now)]
        return {symbol: self.instruments[symbol] for symbol in symbols if symbol in self.instruments}

    def _is_listed_anew(self, instrument: Instrument, now: datetime) -> bool:
        if not is_announced(instrument, now):
            return False
        opened_at = self.schedule.opened_at(instrument.symbol)
        if opened_at is None:
            return instrument.symbol in self.known
        return instrument.opens_at is not None and instrument.opens_at > opened_at + RELIST_AFTER

    def _forget(self, symbol: str) -> None:
        """The venue announces this market anew: its next opening is a listing."""
        self.known.discard(symbol)
        for reported in self._reported.values():
            reported.discard(symbol)
        self.schedule.reopen(symbol)


def is_announced(instrument: Instrument, now: datetime) -> bool:
    """The venue says that this market is closed and opens later."""
    later = instrument.opens_at is not None and instrument.opens_at > now
    return later and instrument.status is InstrumentStatus.ANNOUNCED


def is_coming(instrument: Instrument, now: datetime, priced: set[str]) -> bool:
    """A market that has not opened yet. A price proves that it has, unless the venue says when it opens.

    Without an opening time, a closed market without any price is taken as not opened yet.
    """
    if is_announced(instrument, now):
        return True
    if instrument.symbol in priced:
        return False
    match instrument.status:
        case InstrumentStatus.ANNOUNCED:
            return True
        case InstrumentStatus.TRADING:
            return instrument.opens_at is not None and instrument.opens_at > now
        case InstrumentStatus.PAUSED:
            return instrument.opens_at is None
        case _:
            return False
