"""What the feed knows of the venue's markets: which are not new, which are coming, and who reported what."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from signalbox.domain.instruments import Instrument, InstrumentStatus
from signalbox.domain.signals import DetectionSource
from signalbox.venues.mexc.schedule import Announcement, Schedule

CALENDAR, EXCHANGE_INFO = "calendar", "exchange_info"
JUST_OPENED = timedelta(seconds=60)
"""An announcement whose time was missed by less than this is still reported."""

_LONGEST_SYMBOL = 60


class Knowledge:
    """What is not new: for everybody (the markets at the start) and for each source (what it reported already)."""

    def __init__(self, known: Iterable[str]) -> None:
        self.known = set(known)
        self.instruments: dict[str, Instrument] = {}
        self.schedule = Schedule()
        self._reported: dict[DetectionSource, set[str]] = {source: set(self.known) for source in DetectionSource}

    def reported(self, source: DetectionSource) -> set[str]:
        """Known symbols and those that this source reported."""
        return self._reported[source]

    def learn(self, symbols: Iterable[str]) -> None:
        """Take symbols as not new."""
        for symbol in symbols:
            self.known.add(symbol)
            for reported in self._reported.values():
                reported.add(symbol)

    def forget(self, symbol: str) -> None:
        """The venue announces this market anew: its next opening is a listing."""
        self.known.discard(symbol)
        for reported in self._reported.values():
            reported.discard(symbol)
        self.schedule.reopen(symbol)

    def announcements(self, now: datetime) -> list[Announcement]:
        """The markets that will open, or opened just now, by the exchange information."""
        return [
            Announcement(symbol=instrument.symbol, opens_at=instrument.opens_at, origin=EXCHANGE_INFO)
            for instrument in self.instruments.values()
            if instrument.opens_at is not None
            and instrument.opens_at > now - JUST_OPENED
            and instrument.symbol not in self.known
            and instrument.status is not InstrumentStatus.OFFLINE
        ]


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


def is_symbol(text: str) -> bool:
    """Whether this can be a symbol at all. Real ones have non-ASCII letters and punctuation, but no spaces."""
    return 0 < len(text) <= _LONGEST_SYMBOL and text.isprintable() and not any(c.isspace() for c in text)
