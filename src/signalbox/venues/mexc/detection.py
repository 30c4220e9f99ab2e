"""Symbols that were not there before: told from holes in what we knew, and handed on at once."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from operator import attrgetter

from signalbox.domain.instruments import Instrument, InstrumentStatus, is_symbol
from signalbox.domain.ports import Clock, EventSink
from signalbox.domain.signals import DetectionSource, Sighting
from signalbox.venues.mexc import parse, wire
from signalbox.venues.mexc.clock_offset import ClockOffset
from signalbox.venues.mexc.knowledge import EXCHANGE_INFO, Knowledge
from signalbox.venues.mexc.push_pb2 import Push
from signalbox.venues.mexc.schedule import TOLERANCE
from signalbox.venues.mexc.source_health import SourceHealth

FEW = 10
"""So many surprises in one answer are believed without looking twice."""

MOST_NEW_SHARE = 0.05
"""More surprises than this share of an answer are no listings, whatever else speaks for them."""

MOST_LACKING_SHARE = 0.01
"""An answer that lacked more of the known symbols than this was not whole."""

OPENED_LONG_AGO = timedelta(days=1)
"""Among many surprises, one that the venue itself says to have opened before that is none."""

PRICE_LIST, STREAM = "price_list", "stream"
_symbol_of = attrgetter("symbol")

OnSighting = Callable[[Sighting], None]


class Detection:
    """Compares each answer with what is known. Plain calls inside the callback that brought the answer.

    An announced symbol is always believed, and a few surprises are. Many surprises at once are listings only if the
    same source's answer before was whole and yet did not have them; else they are a hole in what we knew: learned,
    not traded.
    """

    def __init__(self, knowledge: Knowledge, *, offset: ClockOffset, clock: Clock, events: EventSink) -> None:
        self.on_sighting: OnSighting | None = None
        self.on_opened: Callable[[], None] | None = None
        self._knowledge = knowledge
        self._offset = offset
        self._clock = clock
        self._events = events
        self._before: dict[str, set[str]] = {}
        self._odd_symbols = SourceHealth("feed.symbols", events, clock)

    def begin(self) -> None:
        """The knowledge of the start was made from a whole exchange information and a whole price list."""
        known = self._knowledge.known
        self._before = {EXCHANGE_INFO: set(known), PRICE_LIST: set(known)}

    def price_list(self, prices: Iterable[wire.TickerPrice], received_ns: int) -> None:
        """The list of all prices."""
        source = DetectionSource.TICKER_DIFF
        by_symbol = {entry.symbol: entry for entry in prices}
        found: dict[str, Decimal] = {}

        def trades(symbol: str) -> bool:
            price = parse.optional_price(by_symbol[symbol].price)
            if price is None or self._opens_later(symbol):
                return False
            found[symbol] = price
            return True

        for symbol in self._new(set(by_symbol), source, PRICE_LIST, trades):
            self.saw(symbol, source, received_ns, price=found[symbol])

    def exchange_info(self, instruments: dict[str, Instrument], received_ns: int) -> None:
        """The exchange information: a slow second look at what trades."""
        source = DetectionSource.TICKER_DIFF
        trading = {s for s, instrument in instruments.items() if instrument.status is InstrumentStatus.TRADING}
        for symbol in self._new(trading, source, EXCHANGE_INFO, lambda symbol: not self._opens_later(symbol)):
            self.saw(symbol, source, received_ns)

    def push(self, push: Push, received_ns: int) -> None:
        """Mini tickers, inside the frame's callback. Two thousand of them are looked through once, and in C."""
        items = push.public_mini_tickers.items
        if not items:
            return
        source = DetectionSource.WEBSOCKET
        symbols = list(map(_symbol_of, items))
        places: dict[str, int] = {}
        found: dict[str, Decimal] = {}
        alone = True

        def trades(symbol: str) -> bool:
            nonlocal alone
            if alone:  # the usual case, and faster than an index
                alone = False
                item = items[symbols.index(symbol)]
            else:
                if not places:
                    places.update(zip(symbols, range(len(symbols)), strict=True))
                item = items[places[symbol]]
            price = parse.optional_price(item.price)
            has_traded = parse.optional_price(item.quantity) is not None
            if price is None or not (has_traded or not self._opens_later(symbol)):
                return False
            found[symbol] = price
            return True

        event_at = _event_time(push)
        for symbol in self._new(set(symbols), source, STREAM, trades):
            self.saw(symbol, source, received_ns, price=found[symbol], event_at=event_at)

    def saw(
        self,
        symbol: str,
        source: DetectionSource,
        received_ns: int,
        *,
        price: Decimal | None = None,
        event_at: datetime | None = None,
        listing_time: datetime | None = None,
    ) -> None:
        """Hand a sighting on. Without a `listing_time` the market trades: its announcement, if any, is fulfilled."""
        schedule = self._knowledge.schedule
        self._knowledge.reported(source).add(symbol)
        was_waited_for = False
        if listing_time is None:
            now = self._offset.venue_now()
            listing_time = schedule.opening_of(symbol, now)
            if listing_time is not None and listing_time > now + TOLERANCE:
                listing_time = None  # it trades before its time: the announcement is void
            was_waited_for = schedule.opened(symbol, now)
        if self.on_sighting is not None:
            self.on_sighting(
                Sighting(
                    symbol=symbol,
                    source=source,
                    seen_at=self._clock.at(received_ns),
                    received_ns=received_ns,
                    listing_time=listing_time,
                    exchange_event_at=event_at,
                    price=price,
                )
            )
        if was_waited_for and self.on_opened is not None:
            self.on_opened()

    def _new(self, shown: set[str], source: DetectionSource, answer: str, trades: Callable[[str], bool]) -> list[str]:
        """The symbols of one answer that may be listings, sorted. `trades` tells whether an unknown one is open."""
        self._knowledge.require()
        before = self._before.get(answer)
        self._before[answer] = shown
        fresh = shown - self._knowledge.reported(source)
        if not fresh:
            return []
        closed = {symbol for symbol in fresh if not trades(symbol)}
        shown -= closed  # it will be new when it opens, not when it was first listed
        fresh -= closed
        return self._plausible(fresh, source, shown, before) if fresh else []

    def _plausible(
        self, fresh: set[str], source: DetectionSource, shown: set[str], before: set[str] | None
    ) -> list[str]:
        odd = {symbol for symbol in fresh if not is_symbol(symbol)}
        if odd:
            self._knowledge.learn(odd)
            self._odd_symbols.malformed(f"not a symbol, from {source}: {min(odd)[:60]!r}")
        found = fresh - odd
        if len(found) <= FEW:
            return sorted(found)
        now = self._offset.venue_now()
        surprises = {symbol for symbol in found if self._knowledge.schedule.opening_of(symbol, now) is None}
        if len(surprises) <= FEW:
            return sorted(found)
        hole = self._hole(surprises, shown, before)
        doubtful = surprises if hole else {symbol for symbol in surprises if self._opened_long_ago(symbol, now)}
        if doubtful:
            self._knowledge.learn(doubtful)
            self._events.event(
                "error",
                "trading",
                f"{len(doubtful)} unknown symbols at once from {source}: taken as known, not as listings"
                f" ({hole or 'the venue says that they opened long ago'})",
                symbols=sorted(doubtful)[:20],
            )
        return sorted(found - doubtful)

    def _hole(self, surprises: set[str], shown: set[str], before: set[str] | None) -> str | None:
        """Why many surprises are rather something that we did not know, None when they really appeared."""
        if len(surprises) > len(shown) * MOST_NEW_SHARE:
            return f"more than {MOST_NEW_SHARE:.0%} of all that it shows"
        if before is None:
            return "its first answer"
        lacking = len((shown & self._knowledge.known) - before)
        if lacking > max(FEW, len(shown) * MOST_LACKING_SHARE):
            return f"its answer before lacked {lacking} others that are known"
        return None

    def _opened_long_ago(self, symbol: str, now: datetime) -> bool:
        instrument = self._knowledge.instruments.get(symbol)
        opens_at = None if instrument is None else instrument.opens_at
        return opens_at is not None and opens_at < now - OPENED_LONG_AGO

    def _opens_later(self, symbol: str) -> bool:
        now = self._offset.venue_now()
        opens_at = self._knowledge.schedule.opening_of(symbol, now)
        return opens_at is not None and opens_at > now + TOLERANCE


def _event_time(push: Push) -> datetime | None:
    """When the venue sent the push; None when it says nothing, or nothing that is a time."""
    if push.send_time <= 0:
        return None
    try:
        return parse.instant(push.send_time)
    except OverflowError:
        return None
