"""What reading the whole catalogue costs: exchange information and price list of 2,500 pairs, decoded and compared.

    python -m benchmarks.decode [--pairs N] [--rounds N] [--changed N] [--samples FILE]

Times the calls that the feed makes between the last byte of an answer and the moment it has compared it with what it
knew (everything but the network), in one process, the kinds of answer interleaved so that all see the same machine:

- exchange information, next answer: its time and a few pairs changed, one listing announced (the usual case);
- exchange information, next answer in another order: nothing is where it was;
- exchange information, first answer: nothing is known, every pair is decoded (once per start);
- exchange information decoded plainly: every pair each time, without any comparison (for the ratio);
- price list: every price changed, one pair new.

Bodies have the shape of the recorded answers, about 900 bytes for a pair. The garbage collector is left on.
"""

import argparse
import gc
import json
import random
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import msgspec
from tests.venue_examples import ManualClock

from signalbox.simulators.mexc.instruments import Rules, Visible, exchange_info_entry
from signalbox.venues.mexc import parse
from signalbox.venues.mexc.announcements import Announcements
from signalbox.venues.mexc.calendar import MexcCalendar
from signalbox.venues.mexc.catalogue import Catalogue
from signalbox.venues.mexc.clock_offset import ClockOffset
from signalbox.venues.mexc.detection import Detection
from signalbox.venues.mexc.knowledge import Knowledge

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=2500)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--changed", type=int, default=5, help="pairs that differ from the answer before")
    parser.add_argument("--samples", type=Path, help="write every sample (ms) to this file as JSON")
    options = parser.parse_args()
    world = World(options.pairs)
    samples: dict[str, list[float]] = {}
    for number in range(options.rounds + 5):
        for name, work in world.round(options.changed):
            taken = timed(work)
            if number >= 5:  # the first rounds warm up
                samples.setdefault(name, []).append(taken)
    report(samples, options.pairs)
    if options.samples is not None:
        options.samples.write_bytes(msgspec.json.encode(samples))


def timed(work: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - began) / 1_000_000


def report(samples: dict[str, list[float]], pairs: int) -> None:
    """Median, p99 and the share of the plain decode."""
    plain = statistics.median(samples[PLAIN])
    print(f"{pairs} pairs, {len(samples[PLAIN])} rounds, milliseconds")
    for name, taken in samples.items():
        ordered = sorted(taken)
        p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        middle = statistics.median(ordered)
        print(f"  {name:48} median {middle:7.2f}   p99 {p99:7.2f}   {middle / plain:5.2f} x plain")


NEXT, SHUFFLED = "exchange information, next answer", "exchange information, in another order"
FIRST, PLAIN, PRICES = "exchange information, first answer", "exchange information, decoded plainly", "price list"


class World:
    """A venue's catalogue that changes a little with each round, and a feed that has read it before."""

    def __init__(self, pairs: int) -> None:
        self._rng = random.Random(1)  # noqa: S311 - a bench needs the same pairs each time, not secrets
        self._entries = [self._entry(number) for number in range(pairs)]
        self._pairs = pairs
        clock, events = ManualClock(NOW), _Silent()
        offset = ClockOffset(clock, self._no_time)
        self._knowledge = Knowledge()
        self._announcements = Announcements(
            self._knowledge, cast("MexcCalendar", None), offset=offset, clock=clock, events=events
        )
        self._detection = Detection(self._knowledge, offset=offset, clock=clock, events=events)
        self._catalogue = Catalogue()
        instruments = {one.symbol: one for one in self._catalogue.update(self._info(), NOW)[0]}
        self._knowledge.begin(instruments, set(instruments), NOW)
        self._detection.begin()

    def round(self, changed: int) -> list[tuple[str, Callable[[], object]]]:
        """One answer of each kind, ready to be read."""
        for number in self._rng.sample(range(len(self._entries)), changed):
            self._entries[number] = self._entries[number] | {"quoteAmountPrecision": str(self._rng.randint(1, 9))}
        self._entries.append(self._entry(len(self._entries), announced=True))
        following = self._info()
        plainly = self._info()
        self._rng.shuffle(self._entries)
        shuffled = self._info()
        prices = self._prices()
        work: list[tuple[str, Callable[[], object]]] = [
            (NEXT, lambda: self._read_rules(following)),
            (PLAIN, lambda: parse.instruments(plainly, NOW)),
            (SHUFFLED, lambda: self._read_rules(shuffled)),
            (FIRST, lambda: Catalogue().update(plainly, NOW)),
            (PRICES, lambda: self._read_prices(prices)),
        ]
        gc.collect()
        return work

    def _read_rules(self, body: bytes) -> None:
        """What MexcFeed does with an exchange information."""
        found, _ = self._catalogue.update(body, NOW)
        instruments = {instrument.symbol: instrument for instrument in found}
        self._knowledge.update(instruments, NOW)
        self._announcements.take_exchange_info()
        self._detection.exchange_info(instruments, 0)

    def _read_prices(self, body: bytes) -> None:
        prices, _ = parse.ticker_prices(body)
        self._detection.price_list(prices, 0)

    def _entry(self, number: int, *, announced: bool = False) -> dict[str, object]:
        base = f"T{number}"
        rules = Rules(
            symbol=f"{base}USDT", base=base, quote="USDT", full_name=f"Token {base}", coin_id=f"{number:032x}"
        )
        opens_at = NOW_MS + 3_600_000 if announced else NOW_MS - number * 60_000
        status = "2" if announced else "1"
        visible = Visible(status=status, api_tradable=not announced, side_type=1, first_open_ms=opens_at)
        entry = exchange_info_entry(rules, visible)
        return entry | {"contractAddress": f"0x{self._rng.getrandbits(160):040x}", "conceptPlateIds": [51, 7]}

    def _info(self) -> bytes:
        head = {"timezone": "CST", "serverTime": NOW_MS + self._rng.randint(0, 10**6), "rateLimits": []}
        return json.dumps(head | {"symbols": self._entries}).encode()

    def _prices(self) -> bytes:
        self._pairs += 1
        names = [f"T{number}USDT" for number in range(self._pairs)]
        prices = [{"symbol": name, "price": str(Decimal(self._rng.randint(1, 10**9)).scaleb(-6))} for name in names]
        return json.dumps(prices).encode()

    async def _no_time(self) -> Any:
        raise NotImplementedError


class _Silent:
    """Nothing is recorded while measuring."""

    def event(self, level: str, category: str, message: str, **details: Any) -> None:
        """Not kept."""

    def health(self, component: str, status: str, **details: Any) -> None:
        """Not kept."""

    def alert(self, kind: str, subject: str, message: str, *, severity: str = "warning", **details: Any) -> None:
        """Not kept."""

    def resolve(self, kind: str, subject: str, reason: str) -> None:
        """Not kept."""


if __name__ == "__main__":
    main()
