"""One trading pair at work: its rules, its timetable, its price, its order book and its tape.

A pair is brought up to date when somebody looks at it. Between two looks it costs nothing; its price path is the
same whether it is looked at often or seldom.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec

from signalbox.simulators.market import Match, OrderBook, PriceProcess, Seeds, Shape, Side, ladder
from signalbox.simulators.mexc.decimals import truncate
from signalbox.simulators.mexc.instruments import (
    Phase,
    Rules,
    Timetable,
    Visible,
    exchange_info_entry,
    visible_at,
)
from signalbox.simulators.mexc.options import PathKind
from signalbox.simulators.mexc.orders import Order
from signalbox.simulators.mexc.tape import PublicTrade, Tape

BOOK_DEPTH = 12
ESTABLISHED_STEP_MS = 500
QUIET_STEP_MS = 600_000
PRINTED_STEPS = 60
BOOK_SPREAD_PPM = {"fresh": 4_000, "established": 200}

TradeSink = Callable[["Pair", PublicTrade], None]
MatchSink = Callable[["Pair", list[Match[Order]], int], None]


class Pair:
    """A pair. Call `catch_up` before reading prices or the book."""

    def __init__(
        self,
        rules: Rules,
        timetable: Timetable,
        process: PriceProcess,
        seeds: Seeds,
        *,
        fresh: bool,
        depth_notional: Decimal,
        epoch_ms: int | None = None,
    ) -> None:
        self.rules = rules
        self.timetable = timetable
        self.process = process
        self.book: OrderBook[Order] = OrderBook()
        self.tape = Tape()
        self.fresh = fresh
        self.opened = False
        self._info: tuple[Visible, msgspec.Raw] | None = None
        self._seeds = seeds
        self._flow = seeds.source(f"flow/{rules.symbol}")
        self._depth_notional = depth_notional
        self._steps = 0
        self._quoted_step = 0
        self._epoch_ms = epoch_ms
        self._spread_ppm = BOOK_SPREAD_PPM["fresh" if fresh else "established"]

    @property
    def symbol(self) -> str:
        """The venue's spelling of the pair."""
        return self.rules.symbol

    @property
    def price(self) -> Decimal:
        """The simulated price, cut to the tick, never zero."""
        return max(truncate(self.process.price, self.rules.price_scale), self.rules.tick)

    def next_step_ms(self) -> int | None:
        """When the next price step is due, None before the opening."""
        if self._epoch_ms is None or self.timetable.halted:
            return None
        return self._epoch_ms + (self._steps + 1) * self.process.step_ms

    def phase(self, now_ms: int) -> Phase:
        """Where the pair is in its life."""
        return self.timetable.phase(now_ms)

    def change_rules(self, changes: Mapping[str, Any]) -> None:
        """Replace rules by name; exchangeInfo tells the new ones."""
        if changes:
            self.rules = replace(self.rules, **changes)
            self._info = None

    def exchange_info(self, now_ms: int) -> msgspec.Raw:
        """This pair in exchangeInfo, as JSON; made anew only when it changed (the catalogue is large)."""
        visible = visible_at(self.rules, self.timetable, now_ms)
        if self._info is None or self._info[0] != visible:
            entry = exchange_info_entry(self.rules, visible)
            self._info = (visible, msgspec.Raw(msgspec.json.encode(entry)))
        return self._info[1]

    def open_now(self, now_ms: int, on_trade: TradeSink) -> None:
        """First book and first print; the price path of a listing begins at its opening."""
        self.opened = True
        if self._epoch_ms is None:
            self._epoch_ms = self.timetable.opens_at_ms
        self.quote()
        on_trade(self, self.print_now(now_ms))

    def catch_up(self, now_ms: int, *, busy: bool, want_book: bool, on_trade: TradeSink, on_match: MatchSink) -> bool:
        """Run all price steps that are due; True when the book was quoted anew.

        `busy` says that somebody's orders rest in the book: then every step re-quotes it, so that none of them is
        jumped over. Otherwise it is quoted once, and only when `want_book` says that somebody looks at it. A pair
        that nobody looked at for long skips the trades in between, not the price path.
        """
        if self.timetable.halted or self._epoch_ms is None:
            return False
        due = (now_ms - self._epoch_ms) // self.process.step_ms
        while self._steps < due:
            self._steps += 1
            self.process.advance()
            at_ms = self._epoch_ms + self._steps * self.process.step_ms
            if busy or due - self._steps < PRINTED_STEPS:
                on_trade(self, self.print_now(at_ms))
            if busy:
                on_match(self, self.quote(), at_ms)
        if not (busy or want_book) or self._quoted_step >= self._steps:
            return False
        if not busy:
            self.quote()
        self._quoted_step = self._steps
        return True

    def quote(self) -> list[Match[Order]]:
        """Let the house quote around the current price; returns what it traded with resting orders."""
        rules = self.rules
        return self.book.quote_house(
            ladder(
                self._seeds.source(f"book/{rules.symbol}/{self._steps}"),
                self.price,
                tick=rules.tick,
                lot=rules.lot,
                depth=BOOK_DEPTH,
                spread_ppm=self._spread_ppm,
                notional=self._depth_notional,
            )
        )

    def print_now(self, at_ms: int) -> PublicTrade:
        """One public trade of the simulated others at the current price."""
        size = self._depth_notional * self._flow.randint(20, 300) / 1000
        quantity = max(truncate(size / self.price, self.rules.quantity_scale), self.rules.lot)
        taker = Side.BUY if self._flow.random() < 0.5 else Side.SELL
        return self.tape.record(self.price, quantity, taker, at_ms)


def price_process(seeds: Seeds, symbol: str, price: Decimal, path: PathKind, step_ms: int) -> PriceProcess:
    """The seeded price of one pair: a listing's spike and decay, a quiet walk, or a flat line."""
    rng = seeds.source(f"price/{symbol}")
    if path == "spike":
        draw = seeds.source(f"shape/{symbol}")
        shape = Shape(
            peak_ppm=draw.randint(1_500_000, 3_500_000),
            floor_ppm=draw.randint(400_000, 1_100_000),
            rise_ms=draw.randint(8_000, 40_000),
            decay_ms=draw.randint(90_000, 400_000),
        )
        return PriceProcess(rng, price, step_ms=step_ms, noise_ppm=4_000, shape=shape)
    return PriceProcess(rng, price, step_ms=step_ms, noise_ppm=300 if path == "walk" else 0)
