"""Decoding only what changed gives what decoding everything gives, whatever changes, moves, breaks or comes twice."""

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox.venues.mexc import parse
from signalbox.venues.mexc.catalogue import Catalogue
from signalbox.venues.mexc.errors import MalformedAnswer

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


def entry(name: str) -> dict[str, Any]:
    return {
        "symbol": f"{name}USDT",
        "status": "1",
        "baseAsset": name,
        "baseAssetPrecision": 2,
        "quoteAsset": "USDT",
        "quoteAssetPrecision": 5,
        "orderTypes": ["LIMIT", "MARKET", "LIMIT_MAKER"],
        "isSpotTradingAllowed": True,
        "quoteAmountPrecision": "1",
        "quoteAmountPrecisionMarket": "5",
        "maxQuoteAmountMarket": "100000",
        "takerCommission": "0.0005",
        "tradeSideType": 1,
        "filters": [{"filterType": "PERCENT_PRICE_BY_SIDE", "bidMultiplierUp": "0.2", "askMultiplierDown": "0.2"}],
    }


NAMES = ["ABC", "索拉拉", "GOLD(PAXG)", "4", "X", "Y"]
CHANGES = st.one_of(
    st.tuples(st.just("status"), st.sampled_from(["1", "2", "3", "ENABLED", 2])),
    st.tuples(st.just("firstOpenTime"), st.integers(NOW_MS - 7_200_000, NOW_MS + 7_200_000)),
    st.tuples(st.just("isSpotTradingAllowed"), st.booleans()),
    st.tuples(st.just("tradeSideType"), st.sampled_from([1, 2, 4, "4"])),
    st.tuples(st.just("quoteAssetPrecision"), st.sampled_from([0, 8, 19, -1, None])),
    st.tuples(st.just("quoteAmountPrecision"), st.sampled_from(["1", "NaN", "-1", 2])),
    st.tuples(st.just("orderTypes"), st.sampled_from([[], ["LIMIT"], ["MARKET"]])),
    st.tuples(st.just("symbol"), st.sampled_from([None, "", "X" * 5])),
    st.tuples(st.just("somethingNew"), st.integers()),
)
STEP = st.tuples(
    st.lists(st.tuples(st.sampled_from(range(len(NAMES))), CHANGES), max_size=4),
    st.permutations(range(len(NAMES))),
    st.integers(0, len(NAMES)),
    st.sampled_from([0, 1, 1800, 7200]),
    st.booleans(),
)


@settings(max_examples=200)
@given(st.lists(STEP, min_size=1, max_size=6))
def test_the_quick_way_says_what_the_plain_one_says(steps: list[Any]) -> None:
    catalogue, markets, now = Catalogue(), [entry(name) for name in NAMES], NOW
    for changes, order, left_out, seconds, twice in steps:
        now += timedelta(seconds=seconds)
        for number, (field, value) in changes:
            markets[number] = deepcopy(markets[number]) | {field: value}
        shown = [markets[number] for number in order[left_out:]]
        body = json.dumps({"serverTime": seconds, "symbols": shown + shown[:1] * twice}, ensure_ascii=False).encode()
        assert catalogue.update(body, now) == parse.instruments(body, now)


def test_only_what_changed_is_decoded() -> None:
    catalogue, markets = Catalogue(), [entry(name) for name in NAMES]

    def read(*shown: dict[str, Any]) -> int:
        catalogue.update(json.dumps({"symbols": shown}).encode(), NOW)
        return catalogue.decoded

    assert read(*markets) == len(NAMES)
    assert read(*reversed(markets)) == 0
    assert read(*markets[:-1], markets[-1] | {"status": "3"}) == 1
    assert read(*markets) == 1, "what was not in the last answer is forgotten"


def test_an_answer_that_is_no_list_changes_nothing() -> None:
    catalogue = Catalogue()
    body = json.dumps({"symbols": [entry("ABC")]}).encode()
    catalogue.update(body, NOW)
    with pytest.raises(MalformedAnswer):
        catalogue.update(body[:-9], NOW)
    catalogue.update(body, NOW)
    assert catalogue.decoded == 0
