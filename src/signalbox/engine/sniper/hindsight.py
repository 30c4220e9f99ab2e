"""Looks back at listings: what the configured amount would have bought, and what that would be worth minutes later.

Nothing here may cost an order or a detection anything: two looks at a time, about three a second, each of them leaves
the venue's request limit to those who trade; and a market that cannot be read is tried again later, or given up.
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

BOOK_PACE_S = 0.3
RULES_PACE_S = 5.0
"""Pauses between two reads of a kind. The rules of one market weigh as much as those of all (MEXC spot docs, "Exchange
Information"), and the polls that find new listings live on the same limit."""

MOST_PLANNED = 2000
BOOK_DEPTH = 200
TOP_DEPTH = 5
RETRY_MARK_S = 5.0
LONGEST_RETRY_S = 30.0
FIRST_RULES_S = 10.0

_NS = 1_000_000_000
_RULES, _BOOK = -1, 0


class _Look(Struct, order=True):
    """One planned look, sorted by its time. `what`: the market's rules, the first book, or the bid after so many
    minutes. `retry_s`: after which pause it is tried again."""

    due_ns: int
    number: int
    listing_id: SignalId
    what: int
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
        self._free_ns = {_BOOK: 0, _RULES: 0}
        self._dropped = 0

    def plan(self, unfinished: Unfinished, *, not_before_ns: int = 0) -> None:
        """Look at a listing from now on; planning it again brings its first look forward or puts it off. Above 2,000
        listings new ones are dropped, and counted."""
        listing_id = unfinished.listing_id
        earliest_ns = max(not_before_ns, self._clock.monotonic_ns())
        subject = self._subjects.get(listing_id)
        if subject is None:
            if len(self._subjects) >= MOST_PLANNED:
                self._dropped += 1
                return
            subject = self._subjects[listing_id] = _Subject(unfinished=unfinished, read_at=unfinished.book_read_at)
            if subject.read_at is not None:
                self._plan_marks(subject, unfinished.missing_min)
            self._push(subject, earliest_ns + int(FIRST_RULES_S * _NS), _RULES, retry_s=4 * FIRST_RULES_S)
        if subject.read_at is None:
            subject.turn = self._push(subject, earliest_ns, _BOOK)

    async def run(self) -> None:
        """Look when it is time, until cancelled."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(AT_ONCE):
                workers.create_task(self._work())

    def take_dropped(self) -> int:
        """How many listings were not planned since the last call."""
        dropped, self._dropped = self._dropped, 0
        return dropped

    async def _work(self) -> None:
        while True:
            look = await self._next()
            subject = self._subjects[look.listing_id]
            try:
                await self._look(subject, look)
            except Exception as error:  # noqa: BLE001 - this look is lost, the others and the trading are not
                text = f"a look back at {subject.unfinished.symbol} was lost"
                self._journal.event("error", "system", text, reason=f"{type(error).__name__}: {error}")
            finally:
                subject.looks -= 1
                if subject.looks == 0:
                    del self._subjects[look.listing_id]

    async def _look(self, subject: _Subject, look: _Look) -> None:
        if look.what == _RULES:
            await self._look_at_rules(subject, look)
        elif look.what != _BOOK:
            await self._look_at_bid(subject, look)
        elif look.number == subject.turn and subject.read_at is None:
            await self._look_at_book(subject, look)

    async def _next(self) -> _Look:
        while True:
            self._wake.clear()
            wait_s = (self._heap[0].due_ns - self._clock.monotonic_ns()) / _NS if self._heap else None
            if wait_s is not None and wait_s <= 0:
                look = heapq.heappop(self._heap)
                if self._takes_turn(look):
                    return look
                continue
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _takes_turn(self, look: _Look) -> bool:
        """True when it is this look's turn; else it is put off until the next one of its kind may go."""
        if look.what == _RULES and not self._must_read_rules(self._subjects[look.listing_id]):
            return True
        now_ns = self._clock.monotonic_ns()
        kind, pace_s = (_RULES, RULES_PACE_S) if look.what == _RULES else (_BOOK, BOOK_PACE_S)
        if self._free_ns[kind] > now_ns:
            look.due_ns = self._free_ns[kind]
            heapq.heappush(self._heap, look)
            return False
        self._free_ns[kind] = now_ns + int(pace_s * _NS)
        return True

    def _push(self, subject: _Subject, due_ns: int, what: int, *, retry_s: float = 1.0) -> int:
        look = _Look(due_ns, next(self._numbers), subject.unfinished.listing_id, what, retry_s)
        heapq.heappush(self._heap, look)
        subject.looks += 1
        self._wake.set()
        return look.number

    def _again(self, subject: _Subject, look: _Look, *, after_s: float, next_s: float) -> int:
        return self._push(subject, self._clock.monotonic_ns() + int(after_s * _NS), look.what, retry_s=next_s)

    def _plan_marks(self, subject: _Subject, minutes_wanted: tuple[int, ...]) -> None:
        if subject.read_at is None:
            return
        now, now_ns = self._clock.now(), self._clock.monotonic_ns()
        for minutes in minutes_wanted:
            due, _ = mark_window(subject.read_at, minutes)
            self._push(subject, now_ns + int((due - now).total_seconds() * _NS), minutes)

    async def _look_at_book(self, subject: _Subject, look: _Look) -> None:
        one = subject.unfinished
        if self._is_long_ago(one):
            return
        rules = self._known_rules(one.symbol)
        if rules is not None and _trades(rules):
            await self._tell_rules(subject, rules)
        question = self._market.order_book(one.symbol, BOOK_DEPTH, poll=True)
        found = await self._answer(question, what=f"the book of {one.symbol}")
        book = None if found is None else first_book(found, one.quote_amount, rules)
        if book is None:
            longer_s = min(2 * look.retry_s, LONGEST_RETRY_S)
            subject.turn = self._again(subject, look, after_s=look.retry_s, next_s=longer_s)
            return
        subject.read_at = book.read_at
        self._plan_marks(subject, MARKS_MIN)
        await self._write(
            lambda at: self._ledger.note_first_book(self._account_id, one.listing_id, book, at=at), one.symbol
        )

    async def _look_at_bid(self, subject: _Subject, look: _Look) -> None:
        one, minutes, read_at = subject.unfinished, look.what, subject.read_at
        if read_at is None or self._clock.now() > mark_window(read_at, minutes)[1]:
            return
        question = self._market.order_book(one.symbol, TOP_DEPTH, poll=True)
        book = await self._answer(question, what=f"the bids of {one.symbol}")
        if book is None:
            self._again(subject, look, after_s=RETRY_MARK_S, next_s=RETRY_MARK_S)
            return
        bid = book.bids[0].price if book.bids else ZERO
        await self._write(
            lambda at: self._ledger.note_bid(self._account_id, one.listing_id, minutes, bid, at=at), one.symbol
        )

    async def _look_at_rules(self, subject: _Subject, look: _Look) -> None:
        """Whether the market is open to us: from what is known by now, read only when that does not say so."""
        one = subject.unfinished
        if subject.told == (True, True) or self._is_long_ago(one):
            return
        rules = self._known_rules(one.symbol)
        if self._must_read_rules(subject):
            question = self._market.instrument(one.symbol, poll=True)
            rules = await self._answer(question, what=f"the rules of {one.symbol}")
        if rules is not None:
            await self._tell_rules(subject, rules)
        if subject.told != (True, True):
            self._again(subject, look, after_s=look.retry_s, next_s=4 * look.retry_s)

    def _must_read_rules(self, subject: _Subject) -> bool:
        """False when what is known by now says all there is to know."""
        known = self._known_rules(subject.unfinished.symbol)
        return subject.told != (True, True) and (known is None or not _trades(known))

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

    async def _write(self, write: Callable[[datetime], Awaitable[None]], symbol: str) -> None:
        at = self._clock.now()
        await persist(lambda: write(at), self._journal, f"the record of {symbol}")

    def _is_long_ago(self, one: Unfinished) -> bool:
        return self._clock.now() > one.first_seen_at + HINDSIGHT


def _trades(rules: Instrument) -> bool:
    return rules.api_tradable and rules.status is InstrumentStatus.TRADING
