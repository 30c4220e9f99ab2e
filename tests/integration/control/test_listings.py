"""Injected test listings: the documented messages, and what the lists show."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from signalbox.control import listings, records
from signalbox.control.context import Control
from signalbox.domain.errors import ConfigError, ConflictError
from signalbox.domain.signals import ListingSource
from signalbox.ledger.queries.listings import Since


async def test_an_injected_listing_is_recorded_with_its_author(control: Control, clock: Any) -> None:
    row = await listings.inject_test_listing(control, symbol="NEWUSDT")
    assert (row.symbol, row.source, row.listed_at) == ("NEWUSDT", ListingSource.TEST_INJECTION, clock.now())
    assert await listings.list_listings(control, Since()) == [row]
    (event,) = await records.list_events(control)
    assert event.message == "test listing NEWUSDT injected"


@pytest.mark.parametrize("symbol", ["", "AB", "X" * 21, "NEW-USDT", "NÉWUSDT"])
async def test_a_bad_symbol_is_refused(control: Control, symbol: str) -> None:
    with pytest.raises(ConfigError, match="Invalid symbol format"):
        await listings.inject_test_listing(control, symbol=symbol)


async def test_the_future_is_refused(control: Control, clock: Any) -> None:
    with pytest.raises(ConfigError, match="listed_at cannot be in the future"):
        await listings.inject_test_listing(control, symbol="NEWUSDT", listed_at=clock.now() + timedelta(milliseconds=1))


async def test_a_listing_is_recorded_once_and_a_relist_is_another(control: Control, clock: Any) -> None:
    await listings.inject_test_listing(control, symbol="NEWUSDT")
    with pytest.raises(ConflictError, match="Listing already recorded"):
        await listings.inject_test_listing(control, symbol="NEWUSDT", listed_at=clock.now())
    clock.move(60)
    await listings.inject_test_listing(control, symbol="NEWUSDT")
    assert len(await listings.list_listings(control, Since())) == 2


async def test_lists_filter_by_time_symbol_and_source(control: Control, clock: Any) -> None:
    for symbol in ("AAAUSDT", "BBBUSDT"):
        await listings.inject_test_listing(control, symbol=symbol)
        clock.move(60)
    newest = await listings.list_listings(control, Since(since=clock.now() - timedelta(seconds=61)))
    assert [row.symbol for row in newest] == ["BBBUSDT"]
    assert [row.symbol for row in await listings.list_listings(control, Since(symbol="AAAUSDT"))] == ["AAAUSDT"]
    assert await listings.list_listings(control, Since(until=datetime(2020, 1, 1, tzinfo=UTC))) == []
    assert await listings.list_listings(control, Since(), source=ListingSource.MEXC_WEBSOCKET) == []
    assert len(await listings.list_listings(control, Since(limit=1))) == 1
