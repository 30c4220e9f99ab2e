"""What became of each listing that appeared: who saw it and when, whether it was bought, and if not, why. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from signalbox.domain.book_walk import buy_by_quote, total_quantity, total_quote
from signalbox.domain.configuration import Venue
from signalbox.domain.decisions import Verdict
from signalbox.domain.ids import AccountId, DecisionId, RunId, SignalId
from signalbox.domain.instruments import Instrument, InstrumentStatus
from signalbox.domain.market import OrderBook
from signalbox.domain.money import ZERO, step_of
from signalbox.domain.orders import OrderStatus
from signalbox.domain.risk.checks import SkipCode
from signalbox.domain.signals import DetectionSource, Sighting

LAG_STEP = Decimal("0.001")
"""Lags are kept to the microsecond."""

MARKS_MIN = (1, 5, 15)
"""Minutes after the first book at which we look what the listing would be worth."""

HINDSIGHT = timedelta(minutes=max(MARKS_MIN))


class ListingOutcome(StrEnum):
    """`pending`: an entry may still be under way. `traded`: something was bought."""

    PENDING = "pending"
    TRADED = "traded"
    MISSED = "missed"


class MissCode(StrEnum):
    """Why a listing was missed, beside the skip codes of decisions and the codes of refused orders."""

    NO_RUN = "NO_RUN"
    CANCELLED = "CANCELLED"
    NOT_API_TRADABLE = "NOT_API_TRADABLE"
    NOT_DECIDED = "NOT_DECIDED"


class SeenBy(StrEnum):
    """Who saw a listing first. `market_list`: it was in the venue's list when a run started."""

    CALENDAR = "calendar"
    TICKER_DIFF = "ticker_diff"
    WEBSOCKET = "websocket"
    TEST_INJECTION = "test_injection"
    MARKET_LIST = "market_list"


class ProofSource(StrEnum):
    """What proved that a listing trades: a price of a source, the venue's rules, or an order that it took."""

    TICKER_DIFF = "ticker_diff"
    WEBSOCKET = "websocket"
    MARKET_RULES = "market_rules"
    ORDER = "order"


class TradableProof(Struct, frozen=True, kw_only=True):
    """The first proof that a listing trades."""

    at: datetime
    by: ProofSource


class RaceEntry(Struct, frozen=True, kw_only=True):
    """When one source saw a listing. `lag_ms` is how long after the first source, by one monotonic clock."""

    source: DetectionSource
    seen_at: datetime
    lag_ms: Decimal
    exchange_event_at: datetime | None = None
    price: Decimal | None = None


class Race:
    """The race of the sources for one listing. Sightings may come in any order and any number of times."""

    def __init__(self) -> None:
        self._first: dict[DetectionSource, Sighting] = {}

    def add(self, sighting: Sighting) -> bool:
        """Take a sighting in; of each source the earliest counts. True when that changed the race."""
        known = self._first.get(sighting.source)
        if known is not None and known.received_ns <= sighting.received_ns:
            return False
        self._first[sighting.source] = sighting
        return True

    def entries(self) -> tuple[RaceEntry, ...]:
        """Every source that saw it, the winner first."""
        ordered = sorted(self._first.values(), key=lambda s: (s.received_ns, s.source))
        return tuple(
            RaceEntry(
                source=sighting.source,
                seen_at=sighting.seen_at,
                lag_ms=_milliseconds(sighting.received_ns - ordered[0].received_ns),
                exchange_event_at=sighting.exchange_event_at,
                price=sighting.price,
            )
            for sighting in ordered
        )


def _milliseconds(nanoseconds: int) -> Decimal:
    return (Decimal(nanoseconds) / 1_000_000).quantize(LAG_STEP)


def proof_of(entries: Iterable[RaceEntry]) -> TradableProof | None:
    """The first sighting that came with a price: somebody has traded. The calendar proves nothing."""
    priced = [e for e in entries if e.price is not None and e.source in _PRICED]
    first = min(priced, key=lambda entry: (entry.lag_ms, entry.source), default=None)
    return None if first is None else TradableProof(at=first.seen_at, by=_PRICED[first.source])


_PRICED = {
    DetectionSource.TICKER_DIFF: ProofSource.TICKER_DIFF,
    DetectionSource.WEBSOCKET: ProofSource.WEBSOCKET,
}


class Watch(Struct, frozen=True, kw_only=True):
    """Whose eyes saw a listing: an account on a venue, and the run that watched for it. `quote_amount`: what that run
    spends on one listing."""

    account_id: AccountId
    venue: Venue
    run_id: RunId | None = None
    quote_amount: Decimal | None = None


class ListingNote(Struct, frozen=True, kw_only=True):
    """A listing as its sightings show it. `opens_at` is what the venue announced. The winner comes first."""

    watch: Watch
    listing_id: SignalId
    symbol: str
    listed_at: datetime
    sightings: tuple[RaceEntry, ...]
    opens_at: datetime | None = None

    @property
    def is_test(self) -> bool:
        """True for an injected listing."""
        return self.sightings[0].source is DetectionSource.TEST_INJECTION


class MarketSeen(Struct, frozen=True, kw_only=True):
    """A market in the venue's list at the start of a run. `tradable`: it trades and is open to API trading; None when
    the venue's rules do not have it."""

    symbol: str
    opens_at: datetime | None = None
    tradable: bool | None = None


class OrderFacts(Struct, frozen=True, kw_only=True):
    """What the ledger has on one attempt of an entry."""

    status: OrderStatus
    bought: bool = False
    error_code: str | None = None
    error_reason: str | None = None


class ListingFacts(Struct, frozen=True, kw_only=True):
    """What the ledger has on one listing of one account.

    `orders` are the attempts, first one first; `failed_limit` is the first guardrail that failed; `api_tradable` as the
    decision or a later look saw it; `taken_back`: nobody announces this opening any more.
    """

    account_id: AccountId
    listing_id: SignalId
    symbol: str
    outcome: ListingOutcome
    decision_id: DecisionId | None = None
    verdict: Verdict | None = None
    decision_reason: str = ""
    skip_code: str | None = None
    failed_limit: str | None = None
    api_tradable: bool | None = None
    taken_back: bool = False
    orders: tuple[OrderFacts, ...] = ()


class Conclusion(Struct, frozen=True, kw_only=True):
    """What became of a listing. A missed one says why: a code, the guardrail when one stopped it, and a sentence."""

    outcome: ListingOutcome
    decision_id: DecisionId | None = None
    code: str | None = None
    limit: str | None = None
    reason: str | None = None


def conclude(facts: ListingFacts, *, entry_over: bool, called_off: str | None = None) -> Conclusion | None:
    """What the facts say became of a listing, None while that is open.

    `entry_over`: nobody is working on its entry any more, so no further attempt will come. `called_off`: why the
    opening that it was seen for did not take place. What was bought is traded, whatever else happened; a missed
    listing that turns out bought (a late fill) becomes traded, never the reverse.
    """
    if any(order.bought for order in facts.orders):
        return Conclusion(outcome=ListingOutcome.TRADED, decision_id=facts.decision_id)
    if facts.outcome is ListingOutcome.TRADED:
        return None
    if facts.decision_id is None:
        is_told = facts.outcome is ListingOutcome.MISSED and not facts.taken_back  # nobody watched, or it is known
        return _undecided(facts, called_off) if entry_over and not is_told else None
    if facts.verdict is Verdict.SKIP:
        return _skipped(facts)
    is_open = any(order.status in _OPEN for order in facts.orders)
    return None if is_open or not entry_over else _not_bought(facts)


_OPEN = frozenset({OrderStatus.PENDING, OrderStatus.SUBMITTED})
_STALE = SkipCode.STALE.value


def _undecided(facts: ListingFacts, called_off: str | None) -> Conclusion:
    if called_off is not None or facts.taken_back:
        reason = called_off or "the venue took the listing back"
        return Conclusion(outcome=ListingOutcome.MISSED, code=MissCode.CANCELLED, reason=reason)
    return Conclusion(
        outcome=ListingOutcome.MISSED,
        code=MissCode.NOT_DECIDED,
        reason="the decision could not be made durable (the ledger was away, or the engine ended), so nothing was sent",
    )


def _skipped(facts: ListingFacts) -> Conclusion:
    is_closed = facts.skip_code == SkipCode.NOT_TRADABLE and facts.api_tradable is False
    return Conclusion(
        outcome=ListingOutcome.MISSED,
        decision_id=facts.decision_id,
        code=MissCode.NOT_API_TRADABLE if is_closed else facts.skip_code,
        limit=facts.failed_limit if facts.skip_code == SkipCode.SAFETY_CONSTRAINT else None,
        reason=facts.decision_reason,
    )


def _not_bought(facts: ListingFacts) -> Conclusion:
    """The attempt that says most: the last one, unless it only came too late after a refusal."""
    told = [order for order in facts.orders if order.error_code not in (None, _STALE)]
    last = facts.orders[-1] if facts.orders else None
    if told and (last is None or last.error_code in (None, _STALE)):
        last = told[-1]
    code = (last.error_code if last is not None else None) or MissCode.NOT_DECIDED
    limit = last.error_reason if last is not None and code == SkipCode.SAFETY_CONSTRAINT else None
    words = (last.error_reason if last is not None else None) or "no order was sent"
    text = f"{limit}: stopped right before it was sent" if limit else f"{code}: {words}"
    refused = last is not None and last.status is OrderStatus.REJECTED and not limit
    attempts = len(facts.orders)
    return Conclusion(
        outcome=ListingOutcome.MISSED,
        decision_id=facts.decision_id,
        code=MissCode.NOT_API_TRADABLE if refused and facts.api_tradable is False else code,
        limit=limit,
        reason=text + (f" (after {attempts} attempts)" if attempts > 1 else ""),
    )


class FirstBook(Struct, frozen=True, kw_only=True):
    """What an amount would have bought on the first book that could be read. Quantity in base, spent in quote without
    fees."""

    read_at: datetime
    best_ask: Decimal
    quantity: Decimal
    spent: Decimal


def first_book(book: OrderBook, amount: Decimal, rules: Instrument | None) -> FirstBook | None:
    """Walk the asks with an amount of quote, in the finest lots when the market's rules are not known. None when nobody
    sells yet."""
    if not book.asks:
        return None
    fills = buy_by_quote(book.asks, amount, rules or _ANY_MARKET)
    return FirstBook(
        read_at=book.received_at,
        best_ask=book.asks[0].price,
        quantity=total_quantity(fills),
        spent=total_quote(fills),
    )


_ANY_MARKET = Instrument(
    symbol="any",
    base="any",
    quote="any",
    status=InstrumentStatus.TRADING,
    tick_size=step_of(8),
    lot_size=step_of(8),
    min_notional=ZERO,
    min_notional_market=ZERO,
)


def mark_window(read_at: datetime, minutes: int) -> tuple[datetime, datetime]:
    """From when until when a bid counts as the one so many minutes after the first book: up to a quarter late, because
    the venue's request limit or a restart may hold the look up."""
    due = read_at + timedelta(minutes=minutes)
    return due, due + timedelta(minutes=minutes) / 4


class Unfinished(Struct, frozen=True, kw_only=True):
    """A record whose looks back are not complete: the first book, or bids after it (`missing_min`)."""

    account_id: AccountId
    listing_id: SignalId
    symbol: str
    first_seen_at: datetime
    quote_amount: Decimal
    book_read_at: datetime | None = None
    missing_min: tuple[int, ...] = MARKS_MIN
