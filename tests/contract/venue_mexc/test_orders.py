"""Numbered cases of the order adapter: E0x accepted, E1x refused, E2x looked up, E3x unclear, E4x credentials."""

from decimal import Decimal
from typing import Any

import pytest
from tests.contract.venue_mexc.conftest import LISTED, StartVenue
from tests.contract.venue_mexc.venue import ConnectedVenue
from tests.venue_examples import example_order

from signalbox.domain.errors import CredentialsRefused
from signalbox.domain.orders import (
    Accepted,
    EvidenceState,
    OrderType,
    RefusalKind,
    Rejected,
    Side,
    StageTimes,
    TimeInForce,
    Unknown,
)
from signalbox.simulators.mexc.options import AccountOptions, SimulatorOptions

IOC: dict[str, Any] = {"order_type": OrderType.LIMIT, "time_in_force": TimeInForce.IOC}


async def test_e01_a_market_buy_is_acknowledged_then_found_with_its_fills(venue: ConnectedVenue) -> None:
    order, outcome = await venue.send()
    assert isinstance(outcome, Accepted)
    evidence, fills = await venue.settled(order)
    assert evidence.state is EvidenceState.FILLED
    assert evidence.exchange_order_id == outcome.exchange_order_id
    assert Decimal(20) < evidence.executed_quote <= Decimal(25)
    assert sum(fill.quote_quantity for fill in fills) == evidence.executed_quote
    assert {fill.fee_asset for fill in fills} == {"USDT"}


async def test_e02_a_market_sell(venue: ConnectedVenue) -> None:
    await venue.send()
    order, outcome = await venue.send(side=Side.SELL, quantity=Decimal(10))
    assert isinstance(outcome, Accepted)
    evidence, fills = await venue.settled(order)
    assert (evidence.state, evidence.executed_quantity) == (EvidenceState.FILLED, Decimal(10))
    assert {fill.side for fill in fills} == {Side.SELL}


async def test_e03_an_ioc_limit_fills_at_its_price_or_better(venue: ConnectedVenue) -> None:
    order, outcome = await venue.send(**IOC, quantity=Decimal(20), limit_price=Decimal("0.55"))
    assert isinstance(outcome, Accepted)
    evidence, fills = await venue.settled(order)
    assert evidence.state is EvidenceState.FILLED
    assert all(fill.price <= Decimal("0.55") for fill in fills)


async def test_e04_an_ioc_limit_below_the_book_is_cancelled_without_fills(venue: ConnectedVenue) -> None:
    order, outcome = await venue.send(**IOC, quantity=Decimal(20), limit_price=Decimal("0.45"))
    assert isinstance(outcome, Accepted)
    evidence, fills = await venue.settled(order)
    assert (evidence.state, len(fills)) == (EvidenceState.CANCELLED, 0)


async def test_e05_a_resting_limit_is_open_until_it_is_cancelled(venue: ConnectedVenue) -> None:
    order, _ = await venue.send(order_type=OrderType.LIMIT, quantity=Decimal(20), limit_price=Decimal("0.45"))
    assert (await venue.orders.find_order(order)).state is EvidenceState.OPEN
    await venue.orders.cancel(order)
    assert (await venue.orders.find_order(order)).state is EvidenceState.CANCELLED
    await venue.orders.cancel(order)


async def test_e06_a_partial_fill_ends_partially_cancelled(venue: ConnectedVenue) -> None:
    venue.fault("partial_fill", percent_filled=40)
    order, outcome = await venue.send()
    assert isinstance(outcome, Accepted)
    evidence, fills = await venue.settled(order)
    assert evidence.state is EvidenceState.PARTIALLY_CANCELLED
    assert sum(fill.quantity for fill in fills) == evidence.executed_quantity > 0


async def test_e07_a_symbol_with_foreign_letters(venue: ConnectedVenue) -> None:
    order, outcome = await venue.send(symbol="索拉拉USDT")
    assert isinstance(outcome, Accepted)
    assert (await venue.settled(order))[0].state is EvidenceState.FILLED


async def test_e08_the_fee_may_be_in_another_asset(start_venue: StartVenue) -> None:
    account = AccountOptions(fee_in_mx=True)
    venue = await start_venue(SimulatorOptions(listings=(LISTED,), accounts=(account,)))
    order, _ = await venue.send()
    _, fills = await venue.settled(order)
    assert {fill.fee_asset for fill in fills} == {"MX"}


async def test_e09_in_the_first_minute_a_market_order_may_be_cancelled_at_once(venue: ConnectedVenue) -> None:
    venue.switch(market_cancel_ms=60_000)
    order, outcome = await venue.send()
    assert isinstance(outcome, Accepted)
    assert (await venue.settled(order))[0].state is EvidenceState.CANCELLED


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (30001, RefusalKind.NOT_OPEN_YET),
        (30016, RefusalKind.NOT_OPEN_YET),
        (30000, RefusalKind.NOT_OPEN_YET),
        (10007, RefusalKind.NOT_LISTED),
        (-1121, RefusalKind.NOT_LISTED),
        (30025, RefusalKind.NO_OPPOSITE),
    ],
)
async def test_e10_before_the_opening_every_plausible_code_may_be_repeated(
    venue: ConnectedVenue, code: int, kind: RefusalKind
) -> None:
    venue.switch(pre_open_code=code)
    venue.listing("SOONUSDT", open_in_ms=60_000)
    _, outcome = await venue.send(symbol="SOONUSDT")
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.kind) == (str(code), kind)


@pytest.mark.parametrize("text", ["cannot_exceed", "not_higher"])
async def test_e11_an_opening_cap_is_read_from_both_wordings(venue: ConnectedVenue, text: str) -> None:
    venue.switch(cap_text=text)
    venue.listing("CAPUSDT", price="0.5", opening_cap="0.52")
    _, outcome = await venue.send(symbol="CAPUSDT", **IOC, quantity=Decimal(20), limit_price=Decimal("0.6"))
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.kind, outcome.price_cap) == ("30010", RefusalKind.PRICE, Decimal("0.52"))


@pytest.mark.parametrize(
    ("switches", "changes", "kind"),
    [
        ({"market_orders_off": True}, {}, RefusalKind.ORDER_TYPE),
        ({}, {"symbol": "NOSUCHUSDT"}, RefusalKind.NOT_LISTED),
        ({}, {"quote_amount": Decimal(20_000)}, RefusalKind.BALANCE),
        ({}, {"quote_amount": Decimal("0.5")}, RefusalKind.TERMINAL),
        ({}, {**IOC, "quantity": Decimal(20), "limit_price": Decimal(5)}, RefusalKind.PRICE),
        ({}, {"side": Side.SELL, "quantity": Decimal(50)}, RefusalKind.BALANCE),
        ({"error_code_as_string": True, "error_extend": True, "market_orders_off": True}, {}, RefusalKind.ORDER_TYPE),
    ],
)
async def test_e12_refusals_say_what_may_be_done_next(
    venue: ConnectedVenue, switches: dict[str, object], changes: dict[str, Any], kind: RefusalKind
) -> None:
    venue.switch(**switches)
    _, outcome = await venue.send(**changes)
    assert isinstance(outcome, Rejected)
    assert outcome.kind is kind


async def test_e13_a_pair_that_the_api_may_never_trade(venue: ConnectedVenue) -> None:
    venue.listing("WEBUSDT", api_tradable=False)
    _, outcome = await venue.send(symbol="WEBUSDT")
    assert isinstance(outcome, Rejected)
    assert outcome.code == "10007"


async def test_e14_a_clock_refusal_is_followed_by_a_measurement_so_the_next_attempt_is_right(
    venue: ConnectedVenue,
) -> None:
    await venue.orders.warm()
    venue.switch(clock_offset_ms=-7_000)
    _, first = await venue.send(symbol="BTCUSDT")
    _, second = await venue.send(symbol="BTCUSDT")
    assert isinstance(first, Rejected)
    assert (first.code, first.kind) == ("700003", RefusalKind.CLOCK)
    assert isinstance(second, Accepted)


async def test_e15_a_venue_whose_clock_is_far_away_is_no_problem(venue: ConnectedVenue) -> None:
    venue.switch(clock_offset_ms=86_400_000)
    await venue.orders.warm()
    _, outcome = await venue.send(recv_window_ms=500)
    assert isinstance(outcome, Accepted)


async def test_e16_a_throttle_names_its_pause(venue: ConnectedVenue) -> None:
    venue.fault("rate_limited", target="/api/v3/order", retry_after=3)
    order, outcome = await venue.send()
    assert isinstance(outcome, Rejected)
    assert (outcome.kind, outcome.retry_after_s) == (RefusalKind.THROTTLED, 3)
    assert (await venue.account().find_order(order)).state is EvidenceState.NOT_FOUND


async def test_e17_a_challenge_page_instead_of_an_answer(venue: ConnectedVenue) -> None:
    venue.fault("challenge_page", target="/api/v3/order")
    _, outcome = await venue.send()
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.kind) == ("HTTP_403", RefusalKind.THROTTLED)


async def test_e20_an_order_that_was_never_sent_is_not_found(venue: ConnectedVenue) -> None:
    assert (await venue.orders.find_order(example_order())).state is EvidenceState.NOT_FOUND


async def test_e21_a_fresh_order_may_be_invisible_for_a_moment(venue: ConnectedVenue) -> None:
    venue.fault("query_blind")
    order, _ = await venue.send()
    assert (await venue.orders.find_order(order)).state is EvidenceState.NOT_FOUND
    assert (await venue.orders.find_order(order)).state is EvidenceState.FILLED


async def test_e22_executions_may_lag_behind_the_status(venue: ConnectedVenue) -> None:
    venue.switch(trades_visible_after_ms=200)
    order, _ = await venue.send()
    evidence = await venue.orders.find_order(order)
    assert evidence.state is EvidenceState.FILLED
    assert list(await venue.orders.fills(order, evidence.exchange_order_id or "")) == []
    _, fills = await venue.settled(order)
    assert sum(fill.quantity for fill in fills) == evidence.executed_quantity


@pytest.mark.parametrize(
    "kind", ["answer_lost_after_accept", "error_after_accept", "malformed_answer", "truncated_answer"]
)
async def test_e30_an_accepted_order_whose_answer_is_lost_is_found_by_our_id(venue: ConnectedVenue, kind: str) -> None:
    venue.fault(kind, target="/api/v3/order", method="POST")
    order, outcome = await venue.send()
    assert isinstance(outcome, Unknown)
    evidence, fills = await venue.settled(order)
    assert evidence.state is EvidenceState.FILLED
    assert fills
    assert venue.received(order) == 1, "never sent again by itself"


@pytest.mark.parametrize("kind", ["error_before_accept", "refuse_connection"])
async def test_e31_an_order_that_the_venue_never_took_is_unknown_too_until_asked(
    venue: ConnectedVenue, kind: str
) -> None:
    venue.fault(kind, target="/api/v3/order", method="POST")
    order, outcome = await venue.send()
    assert isinstance(outcome, Unknown)
    assert (await venue.orders.find_order(order)).state is EvidenceState.NOT_FOUND


async def test_e32_an_answer_that_comes_too_late_is_unknown_and_does_not_disturb_the_next(
    venue: ConnectedVenue,
) -> None:
    impatient = venue.account(timeout_s=0.1)
    await impatient.warm()
    venue.fault("answer_late", target="/api/v3/order", method="POST", latency_ms=400)
    late, following = example_order(), example_order()
    stages = StageTimes()
    assert isinstance(await impatient.submit(late, stages), Unknown)
    assert stages.sent_at is not None
    second = await impatient.submit(following, StageTimes())
    assert isinstance(second, Accepted)
    assert (await impatient.find_order(late)).exchange_order_id != second.exchange_order_id


async def test_e40_good_credentials_are_proved(venue: ConnectedVenue) -> None:
    await venue.orders.check_credentials()
    assert not venue.events.told("bound to")


async def test_e41_a_missing_permission_is_named(start_venue: StartVenue) -> None:
    account = AccountOptions(permissions=("SPOT_ACCOUNT_READ", "SPOT_DEAL_READ"))
    venue = await start_venue(SimulatorOptions(accounts=(account,)))
    with pytest.raises(CredentialsRefused, match="SPOT_DEAL_WRITE"):
        await venue.orders.check_credentials()


async def test_e42_a_wrong_secret_is_refused_and_never_shown(venue: ConnectedVenue) -> None:
    wrong = venue.account(secret="not-the-secret-at-all")
    with pytest.raises(CredentialsRefused) as caught:
        await wrong.check_credentials()
    assert "not-the-secret" not in str(caught.value)
    outcome = await wrong.submit(example_order(), StageTimes())
    assert isinstance(outcome, Rejected)
    assert outcome.kind is RefusalKind.CREDENTIALS


async def test_e43_an_unknown_key_is_refused(venue: ConnectedVenue) -> None:
    with pytest.raises(CredentialsRefused):
        await venue.account(api_key="mx0nobodyknowsme").check_credentials()


async def test_e44_an_address_off_the_white_list_is_refused(start_venue: StartVenue) -> None:
    venue = await start_venue(SimulatorOptions(accounts=(AccountOptions(ip_whitelist=("203.0.113.9",)),)))
    with pytest.raises(CredentialsRefused):
        await venue.orders.check_credentials()


async def test_e45_a_key_bound_to_pairs_is_told_because_it_cannot_buy_a_listing(start_venue: StartVenue) -> None:
    venue = await start_venue(SimulatorOptions(accounts=(AccountOptions(symbols=("BTCUSDT",)),)))
    await venue.orders.check_credentials()
    assert venue.events.told("bound to 1 pairs")
