"""Intake: sightings from all sources become one signal per listing. The first one wins, the others add evidence."""

from collections.abc import Callable
from datetime import timedelta

from signalbox.domain.signals import DetectionSource, ListingSignal, Sighting, signal_from

RELIST_GAP = timedelta(hours=1)
"""A symbol seen again within this time is the same listing; later it is a relist."""


class Intake:
    """Memory of what was seen, for one run. Plain calls from the feed's callback: nothing here waits."""

    def __init__(
        self,
        *,
        freshness: timedelta,
        decided: frozenset[str],
        on_signal: Callable[[ListingSignal, Sighting], None],
        on_evidence: Callable[[ListingSignal, Sighting], None],
    ) -> None:
        self._freshness = freshness
        self._decided = decided
        self._on_signal = on_signal
        self._on_evidence = on_evidence
        self._signals: dict[tuple[str, bool], ListingSignal] = {}

    def on_sighting(self, sighting: Sighting) -> None:
        """Take one sighting in. Called for every source, in any order, any number of times.

        Injected test listings are kept apart: one must never make a real listing of the same symbol look old.
        """
        test = sighting.source is DetectionSource.TEST_INJECTION
        if sighting.symbol in self._decided and not test:
            return
        known = self._signals.get((sighting.symbol, test))
        if known is not None and _same_listing(known, sighting):
            if sighting.source is not known.detection_source:
                self._on_evidence(known, sighting)
            return
        signal = signal_from(sighting, freshness=self._freshness)
        self._signals[sighting.symbol, test] = signal
        self._on_signal(signal, sighting)


def _same_listing(known: ListingSignal, sighting: Sighting) -> bool:
    if sighting.source is DetectionSource.TEST_INJECTION:
        return sighting.listing_time == known.listing_time
    return sighting.seen_at - known.detected_at < RELIST_GAP
