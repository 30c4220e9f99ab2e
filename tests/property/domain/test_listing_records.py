"""The race has one winner whatever the order of sightings, and an outcome never goes backwards."""

import random
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from tests.property.domain.generators import quick
from tests.unit.domain import examples
from tests.unit.domain.examples import ACCOUNT, NOW

from signalbox.domain.decisions import Verdict
from signalbox.domain.ids import DecisionId, SignalId
from signalbox.domain.listing_records import ListingFacts, ListingOutcome, OrderFacts, Race, conclude, proof_of
from signalbox.domain.orders import OrderStatus
from signalbox.domain.signals import DetectionSource, Sighting

SOURCES = (DetectionSource.CALENDAR, DetectionSource.TICKER_DIFF, DetectionSource.WEBSOCKET)


def sightings() -> st.SearchStrategy[list[Sighting]]:
    """Some sightings of one listing: any source, any time, more than once."""
    one = st.builds(
        lambda source, us, priced: examples.sighting(
            source=source,
            seen_at=NOW + timedelta(microseconds=us),
            received_ns=us * 1000,
            price=Decimal("0.5") if priced else None,
        ),
        st.sampled_from(SOURCES),
        st.integers(0, 10_000_000),
        st.booleans(),
    )
    return st.lists(one, min_size=1, max_size=12)


def run(given_sightings: list[Sighting]) -> Race:
    race = Race()
    for sighting in given_sightings:
        race.add(sighting)
    return race


@quick
@given(sightings())
def test_the_earliest_sighting_wins_and_lags_are_differences_to_it(found: list[Sighting]) -> None:
    entries = run(found).entries()
    first = {source: [s for s in found if s.source is source] for source in {s.source for s in found}}
    earliest = min(sighting.received_ns for sighting in found)
    assert {entry.source for entry in entries} == first.keys()
    assert entries[0].lag_ms == 0
    for entry in entries:
        assert entry.lag_ms == Decimal(min(s.received_ns for s in first[entry.source]) - earliest) / 1_000_000
    assert [entry.lag_ms for entry in entries] == sorted(entry.lag_ms for entry in entries)


@quick
@given(sightings(), st.randoms(use_true_random=False))
def test_no_order_and_no_repetition_changes_the_race(found: list[Sighting], source: random.Random) -> None:
    distinct = list({(s.source, s.received_ns): s for s in found}.values())
    shuffled = distinct * 2
    source.shuffle(shuffled)
    assert run(shuffled).entries() == run(distinct).entries()


@quick
@given(sightings())
def test_a_proof_is_never_earlier_than_the_first_price(found: list[Sighting]) -> None:
    entries = run(found).entries()
    proof = proof_of(entries)
    priced = [e.seen_at for e in entries if e.price is not None and e.source is not DetectionSource.CALENDAR]
    assert (proof.at if proof else None) == min(priced, default=None)


def orders() -> st.SearchStrategy[tuple[OrderFacts, ...]]:
    one = st.builds(
        OrderFacts,
        status=st.sampled_from(OrderStatus),
        bought=st.booleans(),
        error_code=st.sampled_from([None, "30001", "STALE", "SAFETY_CONSTRAINT", "CANCELLED_BY_VENUE"]),
        error_reason=st.sampled_from([None, "kill_switch", "not open"]),
    )
    return st.lists(one, max_size=4).map(tuple)


def all_facts() -> st.SearchStrategy[ListingFacts]:
    return st.builds(
        ListingFacts,
        account_id=st.just(ACCOUNT),
        listing_id=st.just(SignalId(UUID(int=5))),
        symbol=st.just("NEWUSDT"),
        outcome=st.sampled_from(ListingOutcome),
        decision_id=st.sampled_from([None, DecisionId(UUID(int=7))]),
        verdict=st.sampled_from(Verdict),
        decision_reason=st.just("freshness: late"),
        skip_code=st.just("STALE"),
        failed_limit=st.sampled_from([None, "max_daily_spend"]),
        api_tradable=st.sampled_from([None, True, False]),
        taken_back=st.booleans(),
        orders=orders(),
    )


@quick
@given(all_facts(), st.booleans(), st.sampled_from([None, "moved"]))
def test_an_outcome_never_goes_backwards_and_always_says_why(
    facts: ListingFacts, over: bool, called_off: str | None
) -> None:
    conclusion = conclude(facts, entry_over=over, called_off=called_off)
    bought = any(order.bought for order in facts.orders)
    if conclusion is None:
        assert not bought
        return
    assert conclusion.outcome is not ListingOutcome.PENDING
    assert (conclusion.outcome is ListingOutcome.TRADED) == bought
    if conclusion.outcome is ListingOutcome.MISSED:
        assert facts.outcome is not ListingOutcome.TRADED
        assert conclusion.code
        assert conclusion.reason
    again = conclude(
        structs.replace(facts, outcome=conclusion.outcome, decision_id=conclusion.decision_id or facts.decision_id),
        entry_over=True,
    )
    assert again is None or again.outcome is conclusion.outcome
