"""Many unknown symbols at once: listings when they really appeared, a hole in what we knew when they did not."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from tests.unit.domain import examples
from tests.venue_examples import NOON, ManualClock, RecordedEvents

from signalbox.domain.instruments import InstrumentStatus
from signalbox.domain.signals import DetectionSource, Sighting
from signalbox.venues.mexc import wire
from signalbox.venues.mexc.clock_offset import ClockOffset
from signalbox.venues.mexc.detection import FEW, Detection
from signalbox.venues.mexc.knowledge import CALENDAR, Knowledge
from signalbox.venues.mexc.push_pb2 import PublicMiniTicker, Push

OLD = [f"T{number}USDT" for number in range(1_000)]
NEW = [f"N{number}USDT" for number in range(50)]
TICKER, STREAM = DetectionSource.TICKER_DIFF, DetectionSource.WEBSOCKET


class Bench:
    """A detection that knows a thousand old pairs."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.events = RecordedEvents()
        self.knowledge = Knowledge()
        self.sightings: list[Sighting] = []
        offset = ClockOffset(self.clock, self._nobody)
        self.detection = Detection(self.knowledge, offset=offset, clock=self.clock, events=self.events)
        self.detection.on_sighting = self.sightings.append
        self.knowledge.begin({symbol: market(symbol) for symbol in OLD}, set(OLD), NOON)
        self.detection.begin()

    async def _nobody(self) -> Any:
        raise NotImplementedError

    def prices(self, *symbols: str, price: str = "1") -> None:
        """The price list."""
        self.detection.price_list([wire.TickerPrice(symbol, price) for symbol in symbols], 0)

    def push(self, *symbols: str) -> None:
        """The mini tickers."""
        push = Push(channel="spot@public.miniTickers.v3.api.pb@UTC+0")
        push.public_mini_tickers.items.extend(
            PublicMiniTicker(symbol=symbol, price="1", quantity="5") for symbol in symbols
        )
        self.detection.push(push, 0)

    def seen(self, source: DetectionSource) -> set[str]:
        """What one source reported."""
        return {sighting.symbol for sighting in self.sightings if sighting.source is source}

    @property
    def learned(self) -> bool:
        """Whether something was taken as known instead of as new."""
        return self.events.told("unknown symbols at once")


def market(symbol: str, **changes: Any) -> Any:
    return examples.instrument(symbol, **changes)


def announced(bench: Bench, symbols: Iterable[str]) -> None:
    bench.knowledge.schedule.update(CALENDAR, dict.fromkeys(symbols, NOON), NOON)


def test_fifty_that_appear_between_two_whole_answers_are_listings() -> None:
    bench = Bench()
    bench.prices(*OLD)
    bench.push(*OLD)
    bench.prices(*OLD, *NEW)
    bench.push(*NEW, *OLD)
    assert bench.seen(TICKER) == bench.seen(STREAM) == set(NEW)
    assert len(bench.sightings) == 100, "each once for each source"
    assert not bench.learned


def test_fifty_in_the_first_price_list_after_the_start_are_listings() -> None:
    """The start itself read a price list: what it did not have is new."""
    bench = Bench()
    bench.prices(*OLD, *NEW)
    assert bench.seen(TICKER) == set(NEW)


def test_many_in_a_sources_first_answer_are_its_own_way_of_looking() -> None:
    bench = Bench()
    bench.push(*OLD, *NEW)
    bench.push(*OLD, *NEW)
    assert bench.sightings == []
    assert bench.learned
    bench.push(*OLD, *NEW, "LATERUSDT")
    assert bench.seen(STREAM) == {"LATERUSDT"}


def test_many_after_an_answer_that_was_not_whole_are_a_hole() -> None:
    bench = Bench()
    bench.prices(*OLD[:400])
    bench.prices(*OLD, *NEW)
    assert bench.sightings == []
    assert bench.learned


def test_a_few_lacking_rows_make_no_hole() -> None:
    bench = Bench()
    bench.prices(*OLD[5:])
    bench.prices(*OLD, *NEW)
    assert bench.seen(TICKER) == set(NEW)


def test_too_large_a_share_is_no_set_of_listings_whatever_else_speaks_for_it() -> None:
    bench = Bench()
    bench.prices(*OLD)
    flood = [f"F{number}USDT" for number in range(200)]
    bench.prices(*OLD, *flood)
    assert bench.sightings == []
    assert bench.learned


def test_announced_ones_count_whatever_else_appears_with_them() -> None:
    bench = Bench()
    announced(bench, NEW)
    flood = [f"F{number}USDT" for number in range(200)]
    bench.push(*OLD[:10], *NEW, *flood)
    assert bench.seen(STREAM) == set(NEW)
    assert bench.learned, "the others are learned"


def test_a_few_surprises_are_always_believed() -> None:
    bench = Bench()
    bench.push(*NEW[:FEW])
    assert bench.seen(STREAM) == set(NEW[:FEW])


def test_among_many_those_that_opened_long_ago_by_the_venues_own_word_are_left_out() -> None:
    bench = Bench()
    bench.prices(*OLD)
    long_ago = NOON - timedelta(days=30)
    bench.knowledge.instruments |= {symbol: market(symbol, opens_at=long_ago) for symbol in NEW[:20]}
    bench.prices(*OLD, *NEW)
    assert bench.seen(TICKER) == set(NEW[20:])
    assert bench.learned


def test_pairs_that_are_listed_without_a_price_are_new_when_they_get_one() -> None:
    bench = Bench()
    for _ in range(3):
        bench.detection.price_list(
            [wire.TickerPrice(symbol, "1") for symbol in OLD] + [wire.TickerPrice(symbol, "0") for symbol in NEW], 0
        )
    assert bench.sightings == []
    assert not bench.learned
    bench.prices(*OLD, *NEW)
    assert bench.seen(TICKER) == set(NEW)


def test_the_exchange_information_is_a_source_like_the_others() -> None:
    bench = Bench()
    coming = {symbol: market(symbol, status=InstrumentStatus.PAUSED) for symbol in NEW}
    old = {symbol: market(symbol) for symbol in OLD}
    bench.detection.exchange_info(old | coming, 0)
    assert bench.sightings == []
    bench.detection.exchange_info(old | {symbol: market(symbol) for symbol in NEW}, 0)
    assert bench.seen(TICKER) == set(NEW)


def test_whoever_waits_for_an_opening_is_told_when_it_trades() -> None:
    bench = Bench()
    told: list[int] = []
    bench.detection.on_opened = lambda: told.append(len(bench.sightings))
    announced(bench, ["SOONUSDT"])
    bench.push(*OLD[:3], "SOONUSDT", "OTHERUSDT")
    bench.prices(*OLD, "SOONUSDT")
    assert told == [2], "once, after the sighting was handed on"
