"""Ids: deterministic for the same fact, distinct for different ones."""

import re
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from tests.property.domain.generators import instants, quick

from signalbox.domain.ids import OrderId, client_order_id, listing_signal_id

listings = st.tuples(st.text(min_size=1, max_size=12), instants())
relist_gaps = st.timedeltas(timedelta(milliseconds=1), timedelta(days=900))


def _to_the_millisecond(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


@quick
@given(first=listings, second=listings, hours=st.integers(-12, 14))
def test_a_signal_id_says_which_symbol_was_listed_when(
    first: tuple[str, datetime], second: tuple[str, datetime], hours: int
) -> None:
    elsewhere = first[1].astimezone(timezone(timedelta(hours=hours)))
    assert listing_signal_id(*first) == listing_signal_id(first[0], elsewhere)
    same = first[0] == second[0] and _to_the_millisecond(first[1]) == _to_the_millisecond(second[1])
    assert (listing_signal_id(*first) == listing_signal_id(*second)) == same


@quick
@given(
    symbol=st.text(min_size=1, max_size=12),
    at=instants(),
    later=relist_gaps,
)
def test_a_relist_is_another_signal(symbol: str, at: datetime, later: timedelta) -> None:
    assert listing_signal_id(symbol, at) != listing_signal_id(symbol, at + later)


@quick
@given(symbol=st.text(min_size=1, max_size=6), rest=st.text(max_size=6), at=instants())
def test_no_symbol_can_pass_for_another_by_containing_the_separator(symbol: str, rest: str, at: datetime) -> None:
    assert listing_signal_id(f"{symbol}|{at.astimezone(UTC).isoformat()}{rest}", at) != listing_signal_id(symbol, at)


@quick
@given(ids=st.sets(st.uuids(), min_size=1, max_size=30))
def test_client_order_ids_are_unique_and_fit_the_venue(ids: set[UUID]) -> None:
    texts = {client_order_id(OrderId(number)) for number in ids}
    assert len(texts) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{25}", text) for text in texts)
