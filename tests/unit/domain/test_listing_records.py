"""The race of the sources, and what becomes of a listing."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from tests.unit.domain import examples
from tests.unit.domain.examples import ACCOUNT, NOW

from signalbox.domain.decisions import Verdict
from signalbox.domain.ids import DecisionId, SignalId
from signalbox.domain.listing_records import (
    ListingFacts,
    ListingOutcome,
    OrderFacts,
    ProofSource,
    Race,
    TradableProof,
    conclude,
    first_book,
    mark_window,
    proof_of,
)
from signalbox.domain.market import BookLevel, OrderBook
from signalbox.domain.orders import OrderStatus
from signalbox.domain.signals import DetectionSource, Sighting

WEBSOCKET, TICKER, CALENDAR = DetectionSource.WEBSOCKET, DetectionSource.TICKER_DIFF, DetectionSource.CALENDAR
PENDING, TRADED, MISSED = ListingOutcome.PENDING, ListingOutcome.TRADED, ListingOutcome.MISSED
DECISION = DecisionId(UUID(int=7))


def seen(source: DetectionSource, after_us: int, price: str | None = None) -> Sighting:
    return examples.sighting(
        source=source,
        seen_at=NOW + timedelta(microseconds=after_us),
        received_ns=5_000_000_000 + after_us * 1000,
        price=None if price is None else Decimal(price),
    )


def race(*sightings: Sighting) -> Race:
    made = Race()
    for sighting in sightings:
        made.add(sighting)
    return made


def facts(**changes: Any) -> ListingFacts:
    values: dict[str, Any] = {
        "account_id": ACCOUNT,
        "listing_id": SignalId(UUID(int=5)),
        "symbol": "NEWUSDT",
        "outcome": PENDING,
        "decision_id": DECISION,
        "verdict": Verdict.EXECUTE,
    }
    return ListingFacts(**{**values, **changes})


def attempt(status: OrderStatus, code: str | None = None, reason: str | None = None, *, bought: bool = False) -> Any:
    return OrderFacts(status=status, bought=bought, error_code=code, error_reason=reason)


def told(one: ListingFacts, *, over: bool = True, called_off: str | None = None) -> tuple[Any, ...] | None:
    conclusion = conclude(one, entry_over=over, called_off=called_off)
    return None if conclusion is None else (conclusion.outcome, conclusion.code, conclusion.limit)


def test_the_first_source_wins_and_the_others_lag() -> None:
    entries = race(seen(WEBSOCKET, 250), seen(TICKER, 812_400), seen(CALENDAR, 1_000)).entries()
    assert [(entry.source, entry.lag_ms) for entry in entries] == [
        (WEBSOCKET, Decimal("0.000")),
        (CALENDAR, Decimal("0.750")),
        (TICKER, Decimal("812.150")),
    ]


def test_a_sighting_that_is_told_later_but_was_received_earlier_wins() -> None:
    made = race(seen(TICKER, 900))
    assert made.add(seen(WEBSOCKET, 400))
    assert [(entry.source, entry.lag_ms) for entry in made.entries()] == [
        (WEBSOCKET, Decimal("0.000")),
        (TICKER, Decimal("0.500")),
    ]
    assert not made.add(seen(WEBSOCKET, 700))


def test_a_price_proves_that_it_trades_but_the_calendar_proves_nothing() -> None:
    entries = race(seen(CALENDAR, 0, "0.5"), seen(TICKER, 10), seen(WEBSOCKET, 20, "0.5")).entries()
    assert proof_of(entries) == TradableProof(at=NOW + timedelta(microseconds=20), by=ProofSource.WEBSOCKET)
    assert proof_of(entries[:2]) is None


def test_what_was_bought_is_traded_even_while_another_attempt_is_open() -> None:
    bought = facts(orders=(attempt(OrderStatus.FILLED, bought=True), attempt(OrderStatus.SUBMITTED)))
    assert told(bought, over=False) == (TRADED, None, None)


def test_a_late_fill_turns_a_missed_listing_into_a_traded_one_and_nothing_turns_it_back() -> None:
    late = facts(outcome=MISSED, orders=(attempt(OrderStatus.REJECTED, "NOT_FOUND_AT_VENUE", bought=True),))
    assert told(late) == (TRADED, None, None)
    assert told(facts(outcome=TRADED, orders=(attempt(OrderStatus.REJECTED, "30001"),))) is None


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (facts(verdict=Verdict.SKIP, skip_code="STALE", decision_reason="freshness: late"), (MISSED, "STALE", None)),
        (
            facts(verdict=Verdict.SKIP, skip_code="SAFETY_CONSTRAINT", failed_limit="max_daily_spend"),
            (MISSED, "SAFETY_CONSTRAINT", "max_daily_spend"),
        ),
        (
            facts(verdict=Verdict.SKIP, skip_code="NOT_TRADABLE", api_tradable=False),
            (MISSED, "NOT_API_TRADABLE", None),
        ),
        (facts(verdict=Verdict.SKIP, skip_code="NOT_TRADABLE", api_tradable=True), (MISSED, "NOT_TRADABLE", None)),
        (
            facts(verdict=Verdict.SKIP, skip_code="DUPLICATE", failed_limit="max_daily_spend"),
            (MISSED, "DUPLICATE", None),
        ),
    ],
)
def test_a_skip_is_missed_at_once_with_its_code(one: ListingFacts, expected: tuple[Any, ...]) -> None:
    assert told(one, over=False) == expected


@pytest.mark.parametrize(
    ("orders", "expected", "words"),
    [
        ([attempt(OrderStatus.REJECTED, "30001", "not open")], (MISSED, "30001", None), "30001: not open"),
        (
            [attempt(OrderStatus.REJECTED, "30001", "not open"), attempt(OrderStatus.FAILED, "STALE", "too late")],
            (MISSED, "30001", None),
            "30001: not open (after 2 attempts)",
        ),
        ([attempt(OrderStatus.FAILED, "STALE", "too late")], (MISSED, "STALE", None), "STALE: too late"),
        (
            [
                attempt(OrderStatus.REJECTED, "30001", "not open"),
                attempt(OrderStatus.FAILED, "SAFETY_CONSTRAINT", "kill_switch"),
            ],
            (MISSED, "SAFETY_CONSTRAINT", "kill_switch"),
            "kill_switch: stopped right before it was sent (after 2 attempts)",
        ),
        (
            [attempt(OrderStatus.REJECTED, "CANCELLED_BY_VENUE", "without any fill")],
            (MISSED, "CANCELLED_BY_VENUE", None),
            "CANCELLED_BY_VENUE: without any fill",
        ),
    ],
)
def test_an_entry_that_bought_nothing_says_which_attempt_says_most(
    orders: list[OrderFacts], expected: tuple[Any, ...], words: str
) -> None:
    one = facts(orders=tuple(orders))
    assert told(one, over=False) is None
    assert told(one) == expected
    conclusion = conclude(one, entry_over=True)
    assert conclusion is not None
    assert conclusion.reason == words
    assert conclusion.decision_id == DECISION


def test_an_order_that_is_open_keeps_the_listing_open() -> None:
    assert told(facts(orders=(attempt(OrderStatus.SUBMITTED),))) is None


def test_a_refusal_of_a_market_that_is_closed_to_us_says_so_but_our_own_stop_stays_ours() -> None:
    refused = facts(api_tradable=False, orders=(attempt(OrderStatus.REJECTED, "10007", "symbol not support api"),))
    assert told(refused) == (MISSED, "NOT_API_TRADABLE", None)
    ours = facts(api_tradable=False, orders=(attempt(OrderStatus.FAILED, "LEDGER_UNAVAILABLE", "away"),))
    assert told(ours) == (MISSED, "LEDGER_UNAVAILABLE", None)


def test_without_a_decision_nothing_was_sent() -> None:
    undecided = facts(decision_id=None, verdict=None)
    assert told(undecided, over=False) is None
    assert told(undecided) == (MISSED, "NOT_DECIDED", None)
    assert told(undecided, called_off="the listing was taken back") == (MISSED, "CANCELLED", None)
    assert told(facts(decision_id=None, verdict=None, taken_back=True)) == (MISSED, "CANCELLED", None)
    assert told(facts(decision_id=None, verdict=None, outcome=MISSED)) is None


def levels(*pairs: tuple[str, str]) -> tuple[BookLevel, ...]:
    return tuple(BookLevel(price=Decimal(price), quantity=Decimal(quantity)) for price, quantity in pairs)


def test_the_first_book_says_what_the_amount_would_have_bought() -> None:
    book = OrderBook(symbol="NEWUSDT", bids=(), asks=levels(("0.5", "20"), ("0.6", "100")), received_at=NOW)
    found = first_book(book, Decimal(20), examples.instrument())
    assert found is not None
    assert (found.best_ask, found.quantity, found.spent) == (Decimal("0.5"), Decimal("36.66"), Decimal("19.996"))
    unknown_rules = first_book(book, Decimal(20), None)
    assert unknown_rules is not None
    assert unknown_rules.quantity == Decimal("36.66666666")
    nobody_sells = OrderBook(symbol="NEWUSDT", bids=levels(("0.5", "20")), asks=(), received_at=NOW)
    assert first_book(nobody_sells, Decimal(20), examples.instrument()) is None


def test_a_bid_counts_for_its_minute_up_to_a_quarter_late() -> None:
    assert mark_window(NOW, 1) == (NOW + timedelta(seconds=60), NOW + timedelta(seconds=75))
