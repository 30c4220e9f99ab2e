"""From a sighting to a signal, and what an injected test listing must look like."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from tests.unit.domain.examples import NOW, sighting

from signalbox.domain.errors import ConfigError
from signalbox.domain.ids import listing_signal_id
from signalbox.domain.signals import (
    LISTING_SOURCES,
    Confidence,
    DetectionSource,
    check_test_listing,
    signal_from,
)


def test_every_source_has_a_name_for_the_listings_table_and_a_confidence() -> None:
    assert set(LISTING_SOURCES) == set(DetectionSource)
    confidence = {source: signal_from(sighting(source=source)).confidence for source in DetectionSource}
    assert confidence[DetectionSource.CALENDAR] is Confidence.HIGH
    assert confidence[DetectionSource.TEST_INJECTION] is Confidence.LOW


def test_s3_the_freshness_deadline_is_ten_seconds_after_detection_by_default() -> None:
    signal = signal_from(sighting())
    assert signal.detected_at == NOW
    assert signal.freshness_deadline == NOW + timedelta(seconds=10)
    assert signal_from(sighting(), freshness=timedelta(seconds=2)).freshness_deadline == NOW + timedelta(seconds=2)


def test_the_venues_opening_time_identifies_a_listing() -> None:
    opening = NOW + timedelta(hours=1)
    signal = signal_from(sighting(listing_time=opening))
    assert signal.listed_at == signal.listing_time == opening
    assert signal.id == listing_signal_id("NEWUSDT", opening)


def test_a_surprise_listing_is_identified_by_the_minute_of_its_detection() -> None:
    first = signal_from(sighting(seen_at=NOW + timedelta(seconds=1), source=DetectionSource.TICKER_DIFF))
    second = signal_from(sighting(seen_at=NOW + timedelta(seconds=59, microseconds=999_999), received_ns=7))
    assert first.listed_at == second.listed_at == NOW
    assert first.id == second.id


def test_sources_that_agree_on_the_opening_minute_agree_on_the_signal() -> None:
    calendar = signal_from(sighting(source=DetectionSource.CALENDAR, listing_time=NOW))
    ticker = signal_from(sighting(source=DetectionSource.TICKER_DIFF, seen_at=NOW + timedelta(seconds=3)))
    assert calendar.id == ticker.id


def test_what_the_source_knew_travels_with_the_signal() -> None:
    event_at = NOW - timedelta(milliseconds=40)
    signal = signal_from(sighting(exchange_event_at=event_at, price=Decimal("0.5")))
    assert (signal.exchange_event_at, signal.price) == (event_at, Decimal("0.5"))


@pytest.mark.parametrize("symbol", ["NEW", "NEWUSDT", "new_usdt", "4USDT", "A" * 20])
def test_a_test_listing_with_a_plain_symbol_is_taken(symbol: str) -> None:
    check_test_listing(symbol, NOW, NOW)


@pytest.mark.parametrize(
    "symbol", ["", "AB", "A" * 21, "NEW-USDT", "NEW USDT", "NEWUSDT\n", "索拉拉USDT", "GOLD(PAXG)USDT", "NÉWUSDT"]
)
def test_a_test_listing_with_another_symbol_is_refused(symbol: str) -> None:
    with pytest.raises(ConfigError, match="Invalid symbol format"):
        check_test_listing(symbol, NOW, NOW)


@pytest.mark.parametrize(("listed_at", "refused"), [(NOW, False), (NOW + timedelta(microseconds=1), True)])
def test_a_test_listing_cannot_be_in_the_future(listed_at: datetime, refused: bool) -> None:
    if refused:
        with pytest.raises(ConfigError, match="listed_at cannot be in the future"):
            check_test_listing("NEWUSDT", listed_at, NOW)
    else:
        check_test_listing("NEWUSDT", listed_at, NOW)
