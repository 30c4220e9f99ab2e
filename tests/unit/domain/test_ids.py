"""Identifiers: the same fact has the same id everywhere, different facts never share one."""

import re
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid5

from signalbox.domain.ids import OrderId, client_order_id, listing_signal_id

AT = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


def test_a_listing_has_the_same_id_in_every_process_and_version() -> None:
    assert listing_signal_id("NEWUSDT", AT) == UUID("d2ef094f-b389-509e-a51e-cdc43f0c3d9d")
    assert listing_signal_id("索拉USDT", AT) == uuid5(
        UUID("6f1d0c1e-1e55-5b0e-9d8c-6a2f4d9f5a10"), "索拉USDT|2026-03-14T12:00:00.000+00:00"
    )


def test_a_listing_instant_is_the_same_in_any_time_zone() -> None:
    tokyo = AT.astimezone(timezone(timedelta(hours=9)))
    assert listing_signal_id("NEWUSDT", AT) == listing_signal_id("NEWUSDT", tokyo)


def test_a_relist_and_another_symbol_are_other_listings() -> None:
    ids = {
        listing_signal_id("NEWUSDT", AT),
        listing_signal_id("NEWUSDT", AT + timedelta(milliseconds=1)),
        listing_signal_id("NEWUSDT", AT + timedelta(days=30)),
        listing_signal_id("NEWUSDC", AT),
        listing_signal_id("newUSDT", AT),
    }
    assert len(ids) == 5


def test_a_client_order_id_fits_what_the_venue_takes() -> None:
    text = client_order_id(OrderId(UUID("018f3c2e-7b1a-7c3d-9e4f-0123456789ab")))
    assert re.fullmatch(r"sb-[A-Za-z0-9_-]{22}", text)
    assert len(text) == 25
