"""Numbered cases of the public market data: M0x what is read, M1x what fails."""

from decimal import Decimal

import pytest
from tests.contract.venue_mexc.venue import ConnectedVenue

from signalbox.domain.errors import VenueThrottled, VenueUnavailable
from signalbox.domain.instruments import InstrumentStatus


async def test_m01_all_markets_with_announced_ones(venue: ConnectedVenue) -> None:
    venue.listing("SOONUSDT", open_in_ms=60_000)
    found = {instrument.symbol: instrument for instrument in await venue.public.instruments()}
    assert found["SOONUSDT"].status is InstrumentStatus.ANNOUNCED
    assert found["SOONUSDT"].opens_at is not None
    assert found["ABCUSDT"].status is InstrumentStatus.TRADING
    assert found["ABCUSDT"].lot_size == Decimal("0.01")


async def test_m02_one_market_or_none(venue: ConnectedVenue) -> None:
    abc = await venue.public.instrument("ABCUSDT")
    foreign = await venue.public.instrument("索拉拉USDT")
    assert abc is not None
    assert foreign is not None
    assert (abc.symbol, foreign.symbol) == ("ABCUSDT", "索拉拉USDT")
    assert await venue.public.instrument("NOSUCHUSDT") is None


async def test_m03_best_prices_and_the_book_agree(venue: ConnectedVenue) -> None:
    book = await venue.public.order_book("ABCUSDT", 5)
    ticker = await venue.public.book_ticker("ABCUSDT")
    assert ticker.bid is not None
    assert ticker.ask is not None
    assert ticker.bid < ticker.ask
    assert (book.bids[0].price, book.asks[0].price) == (ticker.bid, ticker.ask)
    assert 0 < len(book.asks) <= 5


@pytest.mark.parametrize("kind", ["error_before_accept", "malformed_answer", "challenge_page"])
async def test_m10_a_read_that_fails_is_venue_unavailable(venue: ConnectedVenue, kind: str) -> None:
    venue.fault(kind, target="/api/v3/depth")
    with pytest.raises(VenueUnavailable):
        await venue.public.order_book("ABCUSDT", 5)
    assert (await venue.public.order_book("ABCUSDT", 5)).asks


async def test_m11_a_cut_connection_is_tried_once_more(venue: ConnectedVenue) -> None:
    venue.fault("answer_lost_after_accept", target="/api/v3/depth")
    assert (await venue.public.order_book("ABCUSDT", 5)).asks
    venue.fault("answer_lost_after_accept", target="/api/v3/depth", times=2)
    with pytest.raises(VenueUnavailable):
        await venue.public.order_book("ABCUSDT", 5)


async def test_m12_a_throttle_is_kept_for_all_reads(venue: ConnectedVenue) -> None:
    venue.fault("rate_limited", target="/api/v3/depth", retry_after=20)
    with pytest.raises(VenueThrottled) as first:
        await venue.public.order_book("ABCUSDT", 5)
    assert first.value.retry_after_s == 20
    with pytest.raises(VenueThrottled, match="the venue asked for silence"):
        await venue.public.instrument("ABCUSDT")


async def test_m13_a_symbol_that_is_not_one_is_unavailable_not_a_crash(venue: ConnectedVenue) -> None:
    with pytest.raises(VenueUnavailable):
        await venue.public.order_book("NO SUCH&limit=1", 5)
