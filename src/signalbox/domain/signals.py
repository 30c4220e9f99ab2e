"""Facts that may cause a trade."""

import re
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from signalbox.domain.errors import ConfigError
from signalbox.domain.ids import SignalId, listing_signal_id

DEFAULT_FRESHNESS = timedelta(seconds=10)
"""How long after its detection a listing may still cause a trade, unless the configuration says otherwise."""

TEST_SYMBOL = re.compile(r"[A-Za-z0-9_]{3,20}")
"""Pattern of injected test listings. Real listings are checked against the exchange's own list instead."""


class DetectionSource(StrEnum):
    """Who saw the listing first."""

    CALENDAR = "calendar"
    TICKER_DIFF = "ticker_diff"
    WEBSOCKET = "websocket"
    TEST_INJECTION = "test_injection"


class ListingSource(StrEnum):
    """The source as the `listings` table names it."""

    MEXC_WEBSOCKET = "mexc_websocket"
    MEXC_REST_API = "mexc_rest_api"
    TEST_INJECTION = "test_injection"


LISTING_SOURCES: dict[DetectionSource, ListingSource] = {
    DetectionSource.CALENDAR: ListingSource.MEXC_REST_API,
    DetectionSource.TICKER_DIFF: ListingSource.MEXC_REST_API,
    DetectionSource.WEBSOCKET: ListingSource.MEXC_WEBSOCKET,
    DetectionSource.TEST_INJECTION: ListingSource.TEST_INJECTION,
}


class Confidence(StrEnum):
    """How sure the source makes us that the market really opens."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Sighting(Struct, frozen=True, kw_only=True):
    """One source says: this symbol is new. Several sightings of one listing become one signal.

    `exchange_event_at` is the venue's own time of the event, when it gave one. `received_ns` is the monotonic
    time at which the bytes were in our hands.
    """

    symbol: str
    source: DetectionSource
    seen_at: datetime
    received_ns: int
    listing_time: datetime | None = None
    exchange_event_at: datetime | None = None
    price: Decimal | None = None


class ListingSignal(Struct, frozen=True, kw_only=True):
    """A listing that may cause a trade. `listed_at` is the listing instant that identifies it."""

    id: SignalId
    symbol: str
    listed_at: datetime
    detection_source: DetectionSource
    detected_at: datetime
    freshness_deadline: datetime
    confidence: Confidence
    listing_time: datetime | None = None
    exchange_event_at: datetime | None = None
    price: Decimal | None = None


class DecidedListing(Struct, frozen=True, kw_only=True):
    """A listing that an account decided on before: it is not new, unless it was put off to another time and nothing
    was bought. `bought` is also true while that is not settled yet."""

    symbol: str
    listed_at: datetime
    detected_at: datetime
    bought: bool


_CONFIDENCE = {
    DetectionSource.CALENDAR: Confidence.HIGH,
    DetectionSource.WEBSOCKET: Confidence.HIGH,
    DetectionSource.TICKER_DIFF: Confidence.MEDIUM,
    DetectionSource.TEST_INJECTION: Confidence.LOW,
}


def signal_from(
    sighting: Sighting, *, freshness: timedelta = DEFAULT_FRESHNESS, opens_at: datetime | None = None
) -> ListingSignal:
    """The signal that the first sighting of a listing becomes.

    The listing instant is the venue's opening time when it is known, else the minute of the detection: MEXC gives
    opening times by the minute, so two engines that saw a surprise listing agree on its identity. `opens_at` is the
    opening of a scheduled listing by our own clock: one that was reported ahead of it is fresh counted from there.
    """
    fresh_from = sighting.seen_at if opens_at is None else max(sighting.seen_at, opens_at)
    listed_at = sighting.listing_time or sighting.seen_at.replace(second=0, microsecond=0)
    return ListingSignal(
        id=listing_signal_id(sighting.symbol, listed_at),
        symbol=sighting.symbol,
        listed_at=listed_at,
        detection_source=sighting.source,
        detected_at=sighting.seen_at,
        freshness_deadline=fresh_from + freshness,
        confidence=_CONFIDENCE[sighting.source],
        listing_time=sighting.listing_time,
        exchange_event_at=sighting.exchange_event_at,
        price=sighting.price,
    )


def check_test_listing(symbol: str, listed_at: datetime, now: datetime) -> None:
    """Validate an injected test listing. Raises ConfigError with the message that the API documents."""
    if not TEST_SYMBOL.fullmatch(symbol):
        raise ConfigError(f"Invalid symbol format: {symbol!r} (3-20 letters, digits or underscores)")
    if listed_at > now:
        raise ConfigError(f"listed_at cannot be in the future: {listed_at.isoformat()}")
