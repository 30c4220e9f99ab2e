"""Intake: sightings from all sources become one signal per listing. The first one wins, the others add evidence.

A listing that is put off to another time is a new signal, once the entry of the earlier one has ended and nothing was
bought: one listing never has two entries at a time, and is never bought twice.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from msgspec import Struct

from signalbox.domain.signals import DecidedListing, DetectionSource, ListingSignal, Sighting, signal_from

RELIST_GAP = timedelta(hours=1)
"""A symbol seen again within this time is the same listing. Later it is a relist if it is announced for such a time, or
seen again by a source that had seen it: to one that was away for hours, what was listed meanwhile looks new as well."""


class _Known(Struct):
    """A listing that was taken in. `seen_by`: the sources that reported it. `live`: its entry has not ended.
    `called_off`: it ended because the listing did not take place then. `next`: its other opening, seen meanwhile."""

    signal: ListingSignal
    seen_by: set[DetectionSource]
    live: bool = True
    bought: bool = False
    called_off: bool = False
    next: Sighting | None = None


class Intake:
    """Memory of what was seen, for one run. Plain calls from the feed's callback: nothing here waits.

    `by_our_clock` turns an instant of the venue's clock into ours.
    """

    def __init__(
        self,
        *,
        freshness: timedelta,
        decided: Iterable[DecidedListing],
        by_our_clock: Callable[[datetime], datetime],
        on_signal: Callable[[ListingSignal, Sighting], None],
        on_evidence: Callable[[ListingSignal, Sighting], None],
    ) -> None:
        self._freshness = freshness
        self._decided = {listing.symbol: listing for listing in decided}
        self._by_our_clock = by_our_clock
        self._on_signal = on_signal
        self._on_evidence = on_evidence
        self._known: dict[tuple[str, bool], _Known] = {}

    def on_sighting(self, sighting: Sighting) -> None:
        """Take one sighting in. Called for every source, in any order, any number of times.

        Injected test listings are kept apart: one must never make a real listing of the same symbol look old.
        """
        test = sighting.source is DetectionSource.TEST_INJECTION
        known = self._known.get((sighting.symbol, test))
        if known is None:
            if test or not self._was_decided(sighting):
                self._take(sighting)
        elif self._is_relist(known, sighting):
            self._take(sighting)
        elif not known.called_off and not self._is_put_off(sighting, known.signal.listed_at, known.signal.detected_at):
            known.seen_by.add(sighting.source)
            if sighting.source is not known.signal.detection_source:
                self._on_evidence(known.signal, sighting)
        elif known.live:
            known.next = sighting
        elif not known.bought:
            self._take(sighting)

    def ended(self, signal: ListingSignal, *, bought: bool, called_off: bool = False) -> None:
        """The entry of a signal has ended. Another opening of the same listing, seen meanwhile, is taken in now."""
        known = self._known.get((signal.symbol, signal.detection_source is DetectionSource.TEST_INJECTION))
        if known is None or known.signal is not signal:
            return
        known.live, known.bought, known.called_off = False, bought, called_off and not bought
        if known.next is not None and not bought:
            self._take(known.next)

    def _take(self, sighting: Sighting) -> None:
        opens_at = None
        if sighting.source is DetectionSource.CALENDAR and sighting.listing_time is not None:
            opens_at = self._by_our_clock(sighting.listing_time)
        signal = signal_from(sighting, freshness=self._freshness, opens_at=opens_at)
        self._known[sighting.symbol, sighting.source is DetectionSource.TEST_INJECTION] = _Known(
            signal, {sighting.source}
        )
        self._on_signal(signal, sighting)

    def _was_decided(self, sighting: Sighting) -> bool:
        """True when an earlier run decided on this listing already."""
        earlier = self._decided.get(sighting.symbol)
        if earlier is None:
            return False
        return earlier.bought or not self._is_put_off(sighting, earlier.listed_at, earlier.detected_at)

    def _is_put_off(self, sighting: Sighting, listed_at: datetime, detected_at: datetime) -> bool:
        """True for another opening of a listing that was taken in before: one that was still to come then."""
        opens_at = sighting.listing_time
        if opens_at is None or opens_at == listed_at or sighting.source is DetectionSource.TEST_INJECTION:
            return False
        return self._by_our_clock(opens_at) > detected_at

    def _is_relist(self, known: _Known, sighting: Sighting) -> bool:
        before, opens_at = known.signal, sighting.listing_time
        if sighting.source is DetectionSource.TEST_INJECTION:
            return opens_at != before.listing_time
        if sighting.seen_at - before.detected_at < RELIST_GAP:
            return False
        announced = opens_at is not None and self._by_our_clock(opens_at) - before.detected_at >= RELIST_GAP
        return announced or sighting.source in known.seen_by
