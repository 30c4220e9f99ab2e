"""A verdict before the second: what rules a listing out, what is not known yet, and that both agree with the checks."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.domain import examples

from signalbox.domain.configuration import OrderStyle
from signalbox.domain.eligibility import judge
from signalbox.domain.instruments import Instrument, InstrumentStatus, TradableSymbols
from signalbox.domain.listings import Eligibility, EligibilityReason, EligibilityVerdict, UpcomingListing
from signalbox.domain.risk.checks import CheckVerdict
from signalbox.domain.risk.entry_rules import min_notional, quote_asset, symbol_allowed, tradable

OPENING = examples.NOW + timedelta(minutes=1)
BEFORE, AFTER = examples.NOW, OPENING + timedelta(seconds=1)
COMMON = frozenset(f"T{number}USDT" for number in range(100))
UNBOUND = TradableSymbols(own=COMMON, default=COMMON)
NO_KEY = TradableSymbols(has_key=False)


def listing(symbol: str = "NEWUSDT") -> UpcomingListing:
    return UpcomingListing(symbol=symbol, opens_at=OPENING, origins=("calendar",), first_announced_at=examples.NOW)


def market(symbol: str = "NEWUSDT", **changes: Any) -> Instrument:
    return examples.instrument(symbol, **{"status": InstrumentStatus.ANNOUNCED, "opens_at": OPENING, **changes})


def verdict(
    instrument: Instrument | None,
    symbol: str = "NEWUSDT",
    pairs: TradableSymbols = UNBOUND,
    now: Any = BEFORE,
    **configuration: Any,
) -> EligibilityVerdict:
    return judge(listing(symbol), instrument, examples.configuration(**configuration), pairs, now)


def reason(verdict: EligibilityVerdict, name: str) -> EligibilityReason:
    return next(reason for reason in verdict.reasons if reason.name == name)


@pytest.mark.parametrize("symbol", ["NEWUSDT", "索拉拉USDT", "GOLD(PAXG)USDT", "4USDT", "🐸USDT"])
def test_a_market_with_nothing_against_it_is_eligible(symbol: str) -> None:
    found = verdict(market(symbol), symbol)
    assert found.outcome is Eligibility.ELIGIBLE
    assert found.main_reason is None
    assert {reason.name for reason in found.reasons} == {
        "symbol",
        "symbol_allowed",
        "quote_asset",
        "status",
        "api_tradable",
        "key_pairs",
        "market_orders",
        "min_notional",
    }


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"instrument": market(quote="EUR")}, "quote_asset"),
        ({"instrument": market(), "symbols": ("BTC*",)}, "symbol_allowed"),
        ({"instrument": market(), "parameters": {"deny_symbols": ("NEW*",)}}, "symbol_allowed"),
        (
            {"instrument": market(market_orders=False), "parameters": {"order_style": OrderStyle.MARKET}},
            "market_orders",
        ),
        ({"instrument": market(min_notional_market=Decimal(26))}, "min_notional"),
        ({"instrument": market(), "pairs": TradableSymbols(own=frozenset({"T1USDT"}), default=COMMON)}, "key_pairs"),
        ({"instrument": market(status=InstrumentStatus.OFFLINE), "now": AFTER}, "status"),
        ({"instrument": market(api_flag=False, api_tradable=False), "now": AFTER}, "api_tradable"),
        ({"instrument": market("NEW USDT"), "symbol": "NEW USDT"}, "symbol"),
    ],
)
def test_what_rules_a_listing_out(changes: dict[str, Any], name: str) -> None:
    found = verdict(**changes)
    assert found.outcome is Eligibility.INELIGIBLE
    assert [reason.name for reason in found.reasons if reason.ok is False] == [name]
    assert found.main_reason == reason(found, name)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"instrument": None}, {"quote_asset", "status", "api_tradable", "min_notional"}),
        ({"instrument": market(status=InstrumentStatus.PAUSED)}, {"status"}),
        ({"instrument": market(status=InstrumentStatus.OFFLINE)}, {"status"}),
        ({"instrument": market(api_flag=False)}, {"api_tradable"}),
        ({"instrument": market(api_tradable=False)}, {"api_tradable"}),
        ({"instrument": market(), "pairs": TradableSymbols()}, {"key_pairs"}),
        (
            {
                "instrument": market(api_flag=False, api_tradable=False),
                "pairs": TradableSymbols(own=COMMON | {"NEWUSDT"}, default=COMMON | {"NEWUSDT"}),
                "now": AFTER,
            },
            {"api_tradable"},
        ),
    ],
)
def test_what_is_not_known_yet_is_uncertain_and_never_ineligible(changes: dict[str, Any], names: set[str]) -> None:
    found = verdict(**changes)
    assert found.outcome is Eligibility.UNCERTAIN
    assert {reason.name for reason in found.reasons if reason.ok is None} == names


def test_without_market_orders_the_default_style_says_that_it_will_use_a_limit() -> None:
    found = verdict(market(market_orders=False, min_notional_market=Decimal(26)))
    assert found.outcome is Eligibility.ELIGIBLE
    assert "limit order" in reason(found, "market_orders").message
    assert reason(found, "min_notional").limit == "1", "the minimum of the kind of order that is going to be sent"


def test_simulation_needs_no_key_and_a_key_that_names_the_pair_is_enough() -> None:
    assert verdict(market(), pairs=NO_KEY).outcome is Eligibility.ELIGIBLE
    bound = TradableSymbols(own=frozenset({"NEWUSDT"}), default=COMMON)
    assert verdict(market(), pairs=bound).outcome is Eligibility.ELIGIBLE


def test_the_list_of_api_pairs_is_a_witness_for_a_market_that_is_not_shown_yet() -> None:
    shown = TradableSymbols(own=COMMON | {"NEWUSDT"}, default=COMMON | {"NEWUSDT"})
    assert reason(verdict(None, pairs=shown), "api_tradable").ok


@given(
    status=st.sampled_from(InstrumentStatus),
    api_flag=st.booleans(),
    api_tradable=st.booleans(),
    market_orders=st.booleans(),
    least=st.integers(0, 50),
    quote=st.sampled_from(["USDT", "USDC", "EUR"]),
    style=st.sampled_from(OrderStyle),
    now=st.sampled_from([BEFORE, AFTER]),
    known=st.booleans(),
)
def test_a_verdict_agrees_with_its_reasons_and_with_the_checks_at_the_opening(
    status: InstrumentStatus,
    api_flag: bool,
    api_tradable: bool,
    market_orders: bool,
    least: int,
    quote: str,
    style: OrderStyle,
    now: Any,
    known: bool,
) -> None:
    """What the checks would refuse by the same facts is never called eligible."""
    instrument = market(
        status=status,
        api_flag=api_flag,
        api_tradable=api_tradable,
        market_orders=market_orders,
        min_notional=Decimal(least),
        min_notional_market=Decimal(least),
        quote=quote,
    )
    shown = instrument if known else None
    parameters = {"order_style": style}
    found = verdict(shown, now=now, parameters=parameters)
    answers = [reason.ok for reason in found.reasons]
    assert (found.outcome is Eligibility.INELIGIBLE) == (False in answers)
    assert (found.outcome is Eligibility.ELIGIBLE) == (set(answers) == {True})
    inputs = examples.entry_inputs(
        instrument=shown, configuration=examples.configuration(parameters=parameters), signal=examples.signal()
    )
    checks = [check(inputs).verdict for check in (symbol_allowed, quote_asset, tradable, min_notional)]
    if CheckVerdict.FAILED in checks:
        assert found.outcome is not Eligibility.ELIGIBLE
    if not known:
        assert found.outcome is Eligibility.UNCERTAIN
