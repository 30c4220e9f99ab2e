"""The simulated exchange: all state, brought up to date whenever somebody looks at it.

Nothing here waits. The server asks `next_due_ms` when to call `advance` again; a request brings the pair it names up
to date by itself, so that an opening takes effect in the millisecond in which it is due and not at the next tick.
"""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from heapq import heappop, heappush
from itertools import islice

from signalbox.simulators.faults import FaultBoard
from signalbox.simulators.market import Match, Seeds
from signalbox.simulators.mexc.accounts import build_accounts
from signalbox.simulators.mexc.clearing import FEE_ASSET, Clearing
from signalbox.simulators.mexc.clock import Clock, SkewedClock
from signalbox.simulators.mexc.established import established_pairs
from signalbox.simulators.mexc.events import NobodyListens, Publisher
from signalbox.simulators.mexc.instruments import Phase
from signalbox.simulators.mexc.listings import listing_pair
from signalbox.simulators.mexc.options import ListingOptions, SimulatorOptions, Switches
from signalbox.simulators.mexc.orders import Order, OrderStore, Status
from signalbox.simulators.mexc.pairs import Pair
from signalbox.simulators.mexc.schedule import seeded_listings
from signalbox.simulators.mexc.tape import PublicTrade

SWEEP_EVERY_MS = 1_000
PAIRS_PER_SWEEP = 4


class Exchange:
    """Pairs, accounts, orders. One thread, one event loop."""

    def __init__(self, options: SimulatorOptions, clock: Clock) -> None:
        self.options = options
        self.clock = clock
        self._switches = options.switches
        self._time = SkewedClock(
            clock, offset_ms=options.switches.clock_offset_ms, drift_ppm=options.switches.clock_drift_ppm
        )
        self.seeds = Seeds(options.seed)
        self.publisher: Publisher = NobodyListens()
        self.faults = FaultBoard(self.seeds.source("faults"), options.faults)
        self.accounts = build_accounts(self.seeds, options.accounts)
        self.orders = OrderStore()
        self.clearing = Clearing(self.orders, self._mx_price)
        self.started_ms = self.now_ms()
        self.pairs: dict[str, Pair] = {
            pair.symbol: pair for pair in established_pairs(self.seeds, self.started_ms, options.filler_pairs)
        }
        self._waiting: dict[str, Pair] = {}
        self._sweep: Iterator[str] = iter(())
        self._next_sweep_ms = self.started_ms + SWEEP_EVERY_MS
        self._later: list[tuple[int, int, Callable[[int], None]]] = []
        self._later_count = 0
        self.watched: Callable[[], Iterable[str]] = tuple
        self.wake: Callable[[], None] = _nothing
        for pair in self.pairs.values():
            pair.open_now(self.started_ms, self._on_trade)
        for listing in (*options.listings, *seeded_listings(self.seeds, options.schedule)):
            self.add_listing(listing)

    def now_ms(self) -> int:
        """The exchange's own time, UTC milliseconds; `clock_offset_ms` and `clock_drift_ppm` make it wrong."""
        return self._time.utc_ms()

    @property
    def switches(self) -> Switches:
        """The settings that can change at run time."""
        return self._switches

    @switches.setter
    def switches(self, switches: Switches) -> None:
        self._switches = switches
        self._time.set(offset_ms=switches.clock_offset_ms, drift_ppm=switches.clock_drift_ppm)
        self.wake()

    def add_listing(self, listing: ListingOptions, *, base_ms: int | None = None) -> Pair:
        """Put a new pair on the timetable; raises ValueError when the symbol trades already."""
        now = self.now_ms()
        base = now if base_ms is None else base_ms
        current = self.pairs.get(listing.symbol)
        if current is not None and current.phase(now) is not Phase.GONE:
            raise ValueError(f"{listing.symbol} is listed already; cancel or delist it first")
        pair = listing_pair(self.seeds, listing, base, self.options.price_step_ms)
        self.pairs[listing.symbol] = pair
        self._waiting[listing.symbol] = pair
        for start, end in listing.halts:
            self.do_at(base + start, lambda at_ms: self.halt(pair, at_ms, halted=True))
            self.do_at(base + end, lambda at_ms: self.halt(pair, at_ms, halted=False))
        self._open_if_due(pair, now)
        self.wake()
        return pair

    def halt(self, pair: Pair, now_ms: int, *, halted: bool) -> None:
        """Stop or resume the trading of a pair; one that was halted over its opening opens when it resumes."""
        pair.timetable.halted = halted
        self.catch_up(pair, now_ms)
        self.wake()

    def find(self, symbol: str, now_ms: int) -> Pair | None:
        """A pair that the outside knows, brought up to date; None for an unknown, hidden or cancelled one."""
        pair = self.pairs.get(symbol)
        if pair is None:
            return None
        self.catch_up(pair, now_ms)
        return None if pair.phase(now_ms) in (Phase.UNKNOWN, Phase.GONE) else pair

    def trading_pairs(self, now_ms: int) -> list[Pair]:
        """All pairs that have traded, their prices brought up to date; call `catch_up` before reading a book."""
        self.open_waiting(now_ms)
        live = [pair for pair in self.pairs.values() if pair.opened and pair.phase(now_ms) is not Phase.GONE]
        for pair in live:
            self.catch_up(pair, now_ms, want_book=False)
        return live

    def catch_up(self, pair: Pair, now_ms: int, *, want_book: bool = True) -> None:
        """Open the pair when that is due and run its price steps; the book costs most and can be left as it is."""
        if not pair.opened:
            self._open_if_due(pair, now_ms)
            return
        busy = self.orders.has_open(pair.symbol)
        if pair.catch_up(
            now_ms, busy=busy, want_book=want_book, on_trade=self._on_trade, on_match=self._settle_resting
        ):
            self.publisher.book_changed(pair)

    def advance(self, now_ms: int) -> None:
        """Do everything that is due: openings, and price steps of pairs that somebody watches or has orders in.

        The other pairs are brought up to date a few at a time, so that a look at them never costs much.
        """
        while self._later and self._later[0][0] <= now_ms:
            heappop(self._later)[2](now_ms)
        self.open_waiting(now_ms)
        if now_ms >= self._next_sweep_ms:
            self._next_sweep_ms = now_ms + SWEEP_EVERY_MS
            self._sweep_some(now_ms)
        for symbol in self._interesting():
            pair = self.pairs.get(symbol)
            if pair is not None:
                self.catch_up(pair, now_ms)

    def next_due_ms(self) -> int:
        """When `advance` has something to do again."""
        due = [self._next_sweep_ms]
        if self._later:
            due.append(self._later[0][0])
        for pair in self._waiting.values():
            due.append(pair.timetable.opens_at_ms)
            if pair.timetable.moves:
                due.append(pair.timetable.moves[0][0])
        for symbol in self._interesting():
            watched = self.pairs.get(symbol)
            step = watched.next_step_ms() if watched is not None and watched.opened else None
            if step is not None:
                due.append(step)
        return min(due)

    def open_waiting(self, now_ms: int) -> None:
        """Open, move or cancel every waiting listing for which that is due."""
        for pair in list(self._waiting.values()):
            self._open_if_due(pair, now_ms)

    def do_at(self, due_ms: int, action: Callable[[int], None]) -> None:
        """Run `action(now_ms)` at a later time of the exchange."""
        self._later_count += 1
        heappush(self._later, (due_ms, self._later_count, action))
        self.wake()

    def move_price(self, pair: Pair, price: Decimal, *, hold: bool) -> None:
        """Move the market to a price at once: book, a print at that price, and resting orders that it reaches."""
        now = self.now_ms()
        self.catch_up(pair, now)
        pair.process.move_to(price, hold=hold)
        matches = pair.quote()
        self._on_trade(pair, pair.print_now(now))
        if matches:
            self._settle_resting(pair, matches, now)
        self.publisher.book_changed(pair)
        self.wake()

    def settle(self, pair: Pair, order: Order, match: Match[Order], at_ms: int) -> None:
        """Book a match of a taking `order` on both of its ends, and print it."""
        maker = match.maker.owner
        is_self = maker is not None and maker.account is order.account
        trade = self.clearing.fill(
            pair, order, match.price, match.quantity, is_maker=False, is_self=is_self, at_ms=at_ms
        )
        self.orders.add_trade(trade)
        self.clearing.publish_fill(trade, pair, self.publisher)
        if maker is not None:
            self._fill_maker(pair, maker, match, at_ms, is_self=is_self)
        self._on_trade(pair, pair.tape.record(match.price, match.quantity, order.side, at_ms))

    def _settle_resting(self, pair: Pair, matches: list[Match[Order]], at_ms: int) -> None:
        for match in matches:
            maker = match.maker.owner
            if maker is not None:
                self._fill_maker(pair, maker, match, at_ms, is_self=False)
                taker = match.maker.side.opposite
                self._on_trade(pair, pair.tape.record(match.price, match.quantity, taker, at_ms))

    def _fill_maker(self, pair: Pair, maker: Order, match: Match[Order], at_ms: int, *, is_self: bool) -> None:
        trade = self.clearing.fill(
            pair, maker, match.price, match.quantity, is_maker=True, is_self=is_self, at_ms=at_ms
        )
        self.orders.add_trade(trade)
        self.clearing.publish_fill(trade, pair, self.publisher)
        if maker.status is Status.FILLED:
            self.clearing.finish(maker, Status.FILLED, at_ms, self.publisher)
        self.publisher.order_changed(maker)

    def _on_trade(self, pair: Pair, trade: PublicTrade) -> None:
        self.publisher.traded(pair, trade)

    def _interesting(self) -> set[str]:
        return {*self.watched(), *self.orders.symbols_with_open_orders()}

    def _sweep_some(self, now_ms: int) -> None:
        symbols = list(islice(self._sweep, PAIRS_PER_SWEEP))
        if not symbols:
            self._sweep = iter(list(self.pairs))
        for symbol in symbols:
            pair = self.pairs.get(symbol)
            if pair is not None and pair.opened and pair.phase(now_ms) is not Phase.GONE:
                self.catch_up(pair, now_ms, want_book=False)

    def _open_if_due(self, pair: Pair, now_ms: int) -> None:
        pair.timetable.apply_moves(now_ms)
        phase = pair.phase(now_ms)
        if phase in (Phase.GONE, Phase.OPEN, Phase.HALTED):
            self._waiting.pop(pair.symbol, None)
        if phase is Phase.OPEN and not pair.opened:
            pair.open_now(pair.timetable.opens_at_ms, self._on_trade)
            self.publisher.pair_opened(pair)
        elif phase is Phase.PENDING and self.switches.book_before_open and pair.book.version == 1:
            pair.quote()

    def _mx_price(self, quote: str) -> Decimal | None:
        pair = self.pairs.get(f"{FEE_ASSET}{quote}")
        return pair.price if pair is not None else None


def _nothing() -> None:
    return None
