"""The feed's latency path and its defences, without any network."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import cast

import pytest
from tests.venue_examples import NOON, ManualClock, RecordedEvents, no_jitter

from signalbox.domain.errors import VenueUnavailable
from signalbox.domain.instruments import Instrument, InstrumentStatus, is_symbol
from signalbox.domain.signals import DetectionSource, Sighting
from signalbox.venues.http import HttpResponse
from signalbox.venues.mexc import wire
from signalbox.venues.mexc.calendar import MexcCalendar
from signalbox.venues.mexc.clock_offset import ClockOffset
from signalbox.venues.mexc.detection import FEW
from signalbox.venues.mexc.feed import MexcFeed
from signalbox.venues.mexc.knowledge import is_coming
from signalbox.venues.mexc.market import MexcMarket
from signalbox.venues.mexc.push_pb2 import PublicMiniTicker, Push
from signalbox.venues.mexc.ws import MarketStream

SOON = NOON + timedelta(minutes=5)


def market(
    symbol: str, status: InstrumentStatus = InstrumentStatus.TRADING, opens_at: datetime | None = None
) -> Instrument:
    return Instrument(
        symbol=symbol,
        base=symbol.removesuffix("USDT"),
        quote="USDT",
        status=status,
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.01"),
        min_notional=Decimal(1),
        min_notional_market=Decimal(1),
        opens_at=opens_at,
    )


class FakeMarket:
    """The two reads that the feed begins with."""

    def __init__(self, instruments: list[Instrument], prices: dict[str, str]) -> None:
        self._instruments = instruments
        self._prices = prices

    async def instruments(self) -> list[Instrument]:
        return self._instruments

    async def ticker_prices(self, *, poll: bool = False) -> tuple[list[wire.TickerPrice], int]:
        return [wire.TickerPrice(symbol, price) for symbol, price in self._prices.items()], int(poll)

    async def server_time(self) -> tuple[int, HttpResponse]:
        raise VenueUnavailable("not asked here")


class Bench:
    """A feed with everything around it."""

    def __init__(self, instruments: list[Instrument], prices: dict[str, str]) -> None:
        self.clock = ManualClock()
        self.events = RecordedEvents()
        self.sightings: list[Sighting] = []
        fake = FakeMarket(instruments, prices)
        self.feed = MexcFeed(
            cast("MexcMarket", fake),
            cast("MexcCalendar", None),
            cast("MarketStream", None),
            offset=ClockOffset(self.clock, fake.server_time),
            clock=self.clock,
            events=self.events,
            jitter=no_jitter,
        )
        self.feed._detection.on_sighting = self.sightings.append

    def push(self, *tickers: tuple[str, str, str], send_time: int = 0) -> None:
        """A mini tickers frame: (symbol, price, base turnover)."""
        push = Push(channel="spot@public.miniTickers.v3.api.pb@UTC+0", send_time=send_time)
        push.public_mini_tickers.items.extend(
            PublicMiniTicker(symbol=symbol, price=price, quantity=quantity) for symbol, price, quantity in tickers
        )
        self.feed._detection.push(Push.FromString(push.SerializeToString()), self.clock.monotonic_ns())


@pytest.fixture
async def bench() -> Bench:
    bench = Bench([market("ABCUSDT"), market("SOONUSDT", InstrumentStatus.ANNOUNCED, SOON)], {"ABCUSDT": "1"})
    await bench.feed.known_symbols()
    return bench


async def test_a_sighting_is_delivered_inside_the_frames_callback(bench: Bench) -> None:
    bench.clock.advance(2)
    bench.push(("ABCUSDT", "1", "5"), ("NEWUSDT", "0.5", "5"), send_time=1767268801999)
    [seen] = bench.sightings
    assert (seen.symbol, seen.source, seen.price) == ("NEWUSDT", DetectionSource.WEBSOCKET, Decimal("0.5"))
    assert (seen.received_ns, seen.seen_at) == (2_000_000_000, NOON + timedelta(seconds=2))
    assert seen.exchange_event_at == NOON + timedelta(seconds=1, milliseconds=999)
    bench.push(("NEWUSDT", "0.6", "9"))
    assert len(bench.sightings) == 1


async def test_a_price_without_turnover_before_the_announced_time_is_held(bench: Bench) -> None:
    bench.push(("SOONUSDT", "0.5", "0"), ("SOON2USDT", "", ""))
    assert bench.sightings == []
    bench.clock.advance(300)
    bench.push(("SOONUSDT", "0.5", "0"))
    [seen] = bench.sightings
    assert seen.listing_time == SOON


async def test_turnover_before_the_announced_time_proves_that_it_opened_early(bench: Bench) -> None:
    bench.push(("SOONUSDT", "0.5", "7"))
    [seen] = bench.sightings
    assert seen.listing_time is None, "the announced time is void, so it must not make anybody wait"
    assert bench.feed.upcoming() == []


@pytest.mark.parametrize("symbol", ["", " ", "A B", "x" * 61, "NEW\u0000USDT", "NEW\nUSDT"])
async def test_what_cannot_be_a_symbol_is_counted_and_never_traded(bench: Bench, symbol: str) -> None:
    bench.push((symbol, "1", "1"), ("REALUSDT", "1", "1"))
    bench.push((symbol, "1", "1"))
    assert [seen.symbol for seen in bench.sightings] == ["REALUSDT"]
    assert sum("not a symbol" in message for _, _, message in bench.events.events) == 1


@pytest.mark.parametrize("price", ["NaN", "Infinity", "-1", "abc", "", "0"])
async def test_a_ticker_without_a_usable_price_is_no_sighting(bench: Bench, price: str) -> None:
    bench.push(("NEWUSDT", price, "1"))
    assert bench.sightings == []
    bench.push(("NEWUSDT", "2", "1"))
    assert len(bench.sightings) == 1


@pytest.mark.parametrize("send_time", [-5, 0, 2**62])
async def test_an_impossible_send_time_is_no_time(bench: Bench, send_time: int) -> None:
    bench.push(("NEWUSDT", "1", "1"), send_time=send_time)
    assert bench.sightings[0].exchange_event_at is None


async def test_pushes_of_other_kinds_are_nothing_new(bench: Bench) -> None:
    push = Push(channel="spot@public.aggre.deals.v3.api.pb@100ms@NEWUSDT", symbol="NEWUSDT")
    push.public_aggre_deals.deals.add(price="1", quantity="1")
    bench.feed._detection.push(push, 0)
    assert bench.sightings == []


async def test_a_flood_of_unknown_symbols_is_learned_not_traded(bench: Bench) -> None:
    flood = [(f"X{n}USDT", "1", "1") for n in range(FEW + 1)]
    bench.push(*flood)
    bench.push(*flood)
    assert bench.sightings == []
    assert bench.events.told(f"{FEW + 1} unknown symbols at once")


@pytest.mark.parametrize(
    ("instrument", "priced", "expected"),
    [
        (market("A"), False, False),
        (market("A", opens_at=SOON), False, True),
        (market("A", opens_at=SOON), True, False),
        (market("A", InstrumentStatus.ANNOUNCED, SOON), False, True),
        (market("A", InstrumentStatus.ANNOUNCED, SOON), True, True),
        (market("A", InstrumentStatus.ANNOUNCED, NOON - timedelta(minutes=1)), False, True),
        (market("A", InstrumentStatus.ANNOUNCED, NOON - timedelta(minutes=1)), True, False),
        (market("A", InstrumentStatus.PAUSED), False, True),
        (market("A", InstrumentStatus.PAUSED), True, False),
        (market("A", InstrumentStatus.PAUSED, NOON - timedelta(days=9)), False, False),
        (market("A", InstrumentStatus.OFFLINE), False, False),
    ],
)
def test_which_markets_are_still_to_open(instrument: Instrument, priced: bool, expected: bool) -> None:
    assert is_coming(instrument, NOON, {"A"} if priced else set()) is expected


@pytest.mark.parametrize("symbol", ["ABCUSDT", "索拉拉USDT", "GOLD(PAXG)USDT", "4USDT", "🐸USDT", "A-B_C.USDT"])
def test_real_symbols_are_symbols(symbol: str) -> None:
    assert is_symbol(symbol)


async def test_a_new_beginning_forgets_the_schedule_and_says_so(bench: Bench) -> None:
    told: list[int] = []
    bench.feed._announcements.on_schedule = lambda: told.append(len(bench.feed.upcoming()))
    bench.feed._announcements.tell()
    await bench.feed.known_symbols()
    bench.feed._announcements.tell()
    bench.feed._announcements.tell()
    assert told == [1, 1], "another schedule, even if it counts the same number of changes"
