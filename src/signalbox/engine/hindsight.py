"""Looks back at listings: what the configured amount would have bought, and what that would be worth minutes later.

Nothing here may cost an order anything: two looks at a time, each leaves the venue's request limit to those who trade,
and a market that cannot be read is tried again later, or given up.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from datetime import datetime
from itertools import count
from typing import TypeVar

from msgspec import Struct

from signalbox.domain.errors import VenueRefused, VenueUnavailable
from signalbox.domain.ids import AccountId, SignalId
from signalbox.domain.instruments import Instrument, InstrumentStatus
from signalbox.domain.listing_records import (
    HINDSIGHT,
    MARKS_MIN,
    FirstBook,
    ProofSource,
    TradableProof,
    Unfinished,
    first_book,
    mark_window,
)
from signalbox.domain.money import ZERO
from signalbox.domain.ports import ListingLedger, MarketData
from signalbox.engine.asking import asked
from signalbox.engine.parts import EngineParts
from signalbox.engine.persist import persist

T = TypeVar("T")

AT_ONCE = 2
"""Looks under way at the same time."""

MOST_PLANNED = 2000
BOOK_DEPTH = 200
TOP_DEPTH = 5
RETRY_MARK_S = 5.0
LONGEST_RETRY_S = 30.0

_NS = 1_000_000_000


class _Look(Struct, order=True):
    """One planned look. `minutes` 0 is the first book. Sorted by its time."""

    due_ns: int
    number: int
    listing_id: SignalId
    minutes: int = 0
    retry_s: float = 1.0


class _Subject(Struct):
    """A listing with looks to come. `turn`: only the first-book look of this number counts. `told` is what was written
    down of its rules: open to API trading, and trading."""

    unfinished: Unfinished
    turn: int = 0
    read_at: datetime | None = None
    looks: int = 0
    told: tuple[bool, bool] | None = None


class Hindsight:
    """The looks back of one account. `plan` is a plain call; `run` does the looking.

    `rules` gives what is known of a market; `on_closed` hears of listings that turn out closed to API trading, when
    that is written down.
    """

    def __init__(
        self,
        account_id: AccountId,
        parts: EngineParts,
        market: MarketData,
        *,
        rules: Callable[[str], Instrument | None],
        on_closed: Callable[[SignalId], None],
    ) -> None:
        self._account_id = account_id
        self._ledger: ListingLedger = parts.ledger
        self._market = market
        self._known_rules = rules
        self._on_closed = on_closed
        self._clock = parts.clock
        self._journal = parts.journal
        self._heap: list[_Look] = []
        self._subjects: dict[SignalId, _Subject] = {}
        self._numbers = count(1)
        self._wake = asyncio.Event()
        self._dropped = 0

    def plan(self, unfinished: Unfinished, *, not_before_ns: int = 0) -> None:
        """Look at a listing from now on; planning it again brings its first look forward or puts it off. Above 2,000
        listings new ones are dropped, and counted."""
        listing_id = unfinished.listing_id
        subject = self._subjects.get(listing_id)
        if subject is None:
            if len(self._subjects) >= MOST_PLANNED:
                self._dropped += 1
                return
            subject = self._subjects[listing_id] = _Subject(unfinished=unfinished, read_at=unfinished.book_read_at)
            if subject.read_at is not None:
                self._plan_marks(subject, unfinished.missing_min)
        if subject.read_at is None:
            look = self._push(subject, max(not_before_ns, self._clock.monotonic_ns()), minutes=0)
            subject.turn = look.number

    async def run(self) -> None:
        """Look when it is time, until cancelled."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(AT_ONCE):
                workers.create_task(self._work())

    async def _work(self) -> None:
        while True:
            look = await self._next()
            subject = self._subjects[look.listing_id]
            try:
                if look.minutes:
                    await self._look_at_bid(subject, look)
                elif look.number == subject.turn and subject.read_at is None:
                    await self._look_at_book(subject, look)
            except Exception as error:  # noqa: BLE001 - this look is lost, the others and the trading are not
                symbol, reason = subject.unfinished.symbol, f"{type(error).__name__}: {error}"
                self._journal.event(
                    "error", "system", f"a look back at {symbol} was lost", symbol=symbol, reason=reason
                )
            finally:
                subject.looks -= 1
                if subject.looks == 0:
                    del self._subjects[look.listing_id]

    async def _next(self) -> _Look:
        while True:
            self._wake.clear()
            wait_s = (self._heap[0].due_ns - self._clock.monotonic_ns()) / _NS if self._heap else None
            if wait_s is not None and wait_s <= 0:
                return heapq.heappop(self._heap)
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _push(self, subject: _Subject, due_ns: int, *, minutes: int, retry_s: float = 1.0) -> _Look:
        look = _Look(due_ns, next(self._numbers), subject.unfinished.listing_id, minutes, retry_s)
        heapq.heappush(self._heap, look)
        subject.looks += 1
        self._wake.set()
        return look

    def _plan_marks(self, subject: _Subject, minutes_wanted: tuple[int, ...]) -> None:
        if subject.read_at is None:
            return
        now, now_ns = self._clock.now(), self._clock.monotonic_ns()
        for minutes in minutes_wanted:
            due, _ = mark_window(subject.read_at, minutes)
            self._push(subject, now_ns + int((due - now).total_seconds() * _NS), minutes=minutes)

    async def _look_at_book(self, subject: _Subject, look: _Look) -> None:
        one = subject.unfinished
        if self._clock.now() > one.first_seen_at + HINDSIGHT:
            return
        book = await self._first_book(subject)
        if book is None:
            pause_ns = int(look.retry_s * _NS)
            longer_s = min(2 * look.retry_s, LONGEST_RETRY_S)
            again = self._push(subject, self._clock.monotonic_ns() + pause_ns, minutes=0, retry_s=longer_s)
            subject.turn = again.number
            return
        subject.read_at = book.read_at
        self._plan_marks(subject, MARKS_MIN)
        await self._write(
            lambda at: self._ledger.note_first_book(self._account_id, one.listing_id, book, at=at), one.symbol
        )
        if subject.told is None or not all(subject.told):
            await self._read_rules(subject)  # what was known ahead may have changed with the opening

    async def _first_book(self, subject: _Subject) -> FirstBook | None:
        """What the amount would have bought now; None while the market, its rules or its book are not there."""
        one = subject.unfinished
        rules = self._known_rules(one.symbol)
        if rules is None:
            rules = await self._read_rules(subject)
        elif _trades(rules):
            await self._tell_rules(subject, rules)
        if rules is None:
            return None
        question = self._market.order_book(one.symbol, BOOK_DEPTH, poll=True)
        book = await self._answer(question, what=f"the book of {one.symbol}")
        return None if book is None else first_book(book, one.quote_amount, rules)

    async def _read_rules(self, subject: _Subject) -> Instrument | None:
        """The market's rules as the venue has them now, None when it does not show them."""
        symbol = subject.unfinished.symbol
        question = self._market.instrument(symbol, poll=True)
        rules = await self._answer(question, what=f"the rules of {symbol}")
        if rules is not None:
            await self._tell_rules(subject, rules)
        return rules

    async def _tell_rules(self, subject: _Subject, rules: Instrument) -> None:
        """Write down what the rules say, once."""
        one, api_tradable, trades = subject.unfinished, rules.api_tradable, _trades(rules)
        if subject.told == (api_tradable, trades):
            return
        proof = TradableProof(at=self._clock.now(), by=ProofSource.MARKET_RULES) if trades else None
        await self._write(
            lambda at: self._ledger.note_market(
                self._account_id, one.listing_id, api_tradable=api_tradable, proof=proof, at=at
            ),
            one.symbol,
        )
        subject.told = (api_tradable, trades)
        if not api_tradable:
            self._on_closed(one.listing_id)

    async def _answer(self, question: Awaitable[T], *, what: str) -> T | None:
        """The venue's answer, None when it cannot be had now."""
        try:
            answer = await asked(question, what=what)
        except (VenueUnavailable, VenueRefused) as error:
            self._journal.health("hindsight", "degraded", waiting_for=what, reason=str(error))
            return None
        self._journal.health("hindsight", "running")
        return answer

    async def _look_at_bid(self, subject: _Subject, look: _Look) -> None:
        one, minutes = subject.unfinished, look.minutes
        read_at = subject.read_at
        if read_at is None or self._clock.now() > mark_window(read_at, minutes)[1]:
            return
        question = self._market.order_book(one.symbol, TOP_DEPTH, poll=True)
        book = await self._answer(question, what=f"the bids of {one.symbol}")
        if book is None:
            self._push(subject, self._clock.monotonic_ns() + int(RETRY_MARK_S * _NS), minutes=minutes)
            return
        bid = book.bids[0].price if book.bids else ZERO
        await self._write(
            lambda at: self._ledger.note_bid(self._account_id, one.listing_id, minutes, bid, at=at), one.symbol
        )

    async def _write(self, write: Callable[[datetime], Awaitable[None]], symbol: str) -> None:
        at = self._clock.now()
        await persist(lambda: write(at), self._journal, f"the record of {symbol}")

    def take_dropped(self) -> int:
        """How many listings were not planned since the last call."""
        dropped, self._dropped = self._dropped, 0
        return dropped


def _trades(rules: Instrument) -> bool:
    return rules.api_tradable and rules.status is InstrumentStatus.TRADING
