"""Entries: every outcome of a send, with its sends, its rows and what is left of the capacity."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec import Struct, structs
from tests.unit.domain import examples
from tests.unit.engine.bench import ACCOUNT, Bench, with_style
from tests.unit.engine.fake_ledger import Fault
from tests.unit.engine.fakes import FEE, PRICE, Answer, accepted, refused, unknown
from tests.unit.engine.virtual_time import virtual_time

from signalbox.domain.configuration import OrderStyle
from signalbox.domain.decisions import Verdict
from signalbox.domain.errors import FencedOut, VenueUnavailable
from signalbox.domain.money import ZERO
from signalbox.domain.orders import Mode, OrderStatus, OrderType, RefusalKind

MARKET, IOC, BOTH = OrderStyle.MARKET, OrderStyle.IOC_LIMIT, OrderStyle.MARKET_THEN_IOC
FILLED, REJECTED, FAILED = OrderStatus.FILLED, OrderStatus.REJECTED, OrderStatus.FAILED
NOT_OPEN = RefusalKind.NOT_OPEN_YET

SPEND = Decimal("25.025")
"""25 USDT and the fee."""

Prepare = Callable[[Bench], None]
During = Callable[[Bench], Coroutine[Any, Any, None]]


class Case(Struct, kw_only=True):
    """One outcome: what the venue answers, and what must be left afterwards."""

    name: str
    style: OrderStyle = BOTH
    parameters: dict[str, Decimal] = {}
    answers: list[Answer]
    prepare: Prepare | None = None
    during: During | None = None
    types: list[OrderType]
    rows: list[tuple[OrderStatus, str | None]]
    spent: Decimal = ZERO
    trades: int = 1
    held: Decimal = ZERO


def _ioc_spend(price: Decimal, filled: str = "1") -> Decimal:
    quantity = (Decimal(25) / price).quantize(Decimal("0.01"), rounding="ROUND_DOWN") * Decimal(filled)
    return quantity * price * (1 + FEE)


def _away(method: str, *faults: Fault) -> Prepare:
    return lambda bench: bench.ledger.fail(method, *faults)


def _price(value: str) -> Prepare:
    return lambda bench: bench.market.prices.update(NEWUSDT=Decimal(value))


def _kill(bench: Bench) -> None:
    bench.desk.kill_switch = True


def _kill_in_ledger(bench: Bench) -> None:
    bench.throw_kill_switch()


async def _stop_after_send(bench: Bench) -> None:
    await bench.venue.arrived.wait()
    bench.desk.run_active = False


async def _kill_while_committing(bench: Bench) -> None:
    gate = bench.ledger.hold("commit")
    await bench.ledger.called["commit"].wait()
    bench.desk.kill_switch = True
    gate.set()


async def _commit_late(bench: Bench) -> None:
    gate = bench.ledger.hold("commit")
    await asyncio.sleep(11)
    gate.set()


async def _commit_slowly(bench: Bench) -> None:
    gate = bench.ledger.hold("commit")
    await asyncio.sleep(3.5)
    gate.set()


async def _follow_up_late(bench: Bench) -> None:
    gate = bench.ledger.hold("follow_up")
    await asyncio.sleep(11)
    gate.set()


async def _away_for_a_minute(bench: Bench) -> None:
    await bench.venue.arrived.wait()
    bench.ledger.away = True
    await asyncio.sleep(60)
    bench.ledger.away = False


async def _kill_in_ledger_after_send(bench: Bench) -> None:
    await bench.venue.arrived.wait()
    bench.throw_kill_switch()


def _away_at_everything(bench: Bench) -> None:
    bench.ledger.fail("commit", Fault.ANSWER_LOST)
    bench.ledger.fail("lookup", Fault.NOT_DONE, Fault.NOT_DONE)
    bench.ledger.fail("record_unsent", Fault.ANSWER_LOST, Fault.NOT_DONE)
    bench.ledger.fail("settle_reservation", Fault.ANSWER_LOST)


IOC_PRICE = PRICE * Decimal("1.1")
CASES = [
    Case(name="market, filled", answers=[accepted()], types=[OrderType.MARKET], rows=[(FILLED, None)], spent=SPEND),
    Case(
        name="ioc, filled",
        style=IOC,
        answers=[accepted()],
        types=[OrderType.LIMIT],
        rows=[(FILLED, None)],
        spent=_ioc_spend(IOC_PRICE),
    ),
    Case(
        name="market cancelled without a fill, then ioc",
        answers=[accepted("0"), accepted()],
        types=[OrderType.MARKET, OrderType.LIMIT],
        rows=[(REJECTED, "CANCELLED_BY_VENUE"), (FILLED, None)],
        spent=_ioc_spend(IOC_PRICE),
    ),
    Case(
        name="market cancelled without a fill, and no other style is allowed",
        style=MARKET,
        answers=[accepted("0")],
        types=[OrderType.MARKET],
        rows=[(REJECTED, "CANCELLED_BY_VENUE")],
    ),
    Case(
        name="both attempts cancelled without a fill",
        answers=[accepted("0"), accepted("0")],
        types=[OrderType.MARKET, OrderType.LIMIT],
        rows=[(REJECTED, "CANCELLED_BY_VENUE")] * 2,
    ),
    Case(
        name="partially filled: no further attempt",
        answers=[accepted("0.4")],
        types=[OrderType.MARKET],
        rows=[(FILLED, None)],
        spent=Decimal("10.01"),
    ),
    Case(
        name="not open yet, until it opens",
        answers=[refused(NOT_OPEN), refused(NOT_OPEN), accepted()],
        types=[OrderType.MARKET] * 3,
        rows=[(REJECTED, "NOT_OPEN_YET")] * 2 + [(FILLED, None)],
        spent=SPEND,
    ),
    Case(
        name="not open yet, until the listing is stale: one attempt in each slot",
        answers=[refused(NOT_OPEN)] * 200,
        types=[OrderType.MARKET] * 100,
        rows=[(REJECTED, "NOT_OPEN_YET")] * 100,
    ),
    Case(
        name="not open yet, until the burst is over",
        parameters={"freshness_s": Decimal(60)},
        answers=[refused(NOT_OPEN)] * 200,
        types=[OrderType.MARKET] * 120,
        rows=[(REJECTED, "NOT_OPEN_YET")] * 120,
    ),
    Case(
        name="not open yet, told to wait, until the freshness deadline",
        answers=[refused(NOT_OPEN, retry_after_s=3.0)] * 60,
        types=[OrderType.MARKET] * 4,
        rows=[(REJECTED, "NOT_OPEN_YET")] * 4,
    ),
    Case(
        name="nothing left the machine at first",
        answers=[refused(RefusalKind.THROTTLED, sent=False), accepted()],
        types=[OrderType.MARKET],
        rows=[(FAILED, "THROTTLED"), (FILLED, None)],
        spent=SPEND,
    ),
    Case(
        name="nothing ever left the machine",
        answers=[refused(RefusalKind.THROTTLED, sent=False, retry_after_s=3.0)] * 60,
        types=[],
        rows=[*[(FAILED, "THROTTLED")] * 3, (FAILED, "STALE")],
        trades=0,
    ),
    Case(
        name="ready only when another engine may take it for never sent",
        answers=[],
        during=_commit_slowly,
        types=[],
        rows=[(FAILED, "STALE")],
        trades=0,
    ),
    Case(
        name="price cap below our own highest price",
        answers=[refused(RefusalKind.PRICE, price_cap=Decimal("0.52")), accepted()],
        types=[OrderType.MARKET, OrderType.LIMIT],
        rows=[(REJECTED, "PRICE"), (FILLED, None)],
        spent=_ioc_spend(Decimal("0.52")),
    ),
    Case(
        name="price cap above our own highest price",
        answers=[refused(RefusalKind.PRICE, price_cap=Decimal("0.9")), accepted()],
        types=[OrderType.MARKET, OrderType.LIMIT],
        rows=[(REJECTED, "PRICE"), (FILLED, None)],
        spent=_ioc_spend(Decimal("0.55")),
    ),
    Case(
        name="a venue that refuses every price is not asked for ever",
        answers=[refused(RefusalKind.PRICE, price_cap=Decimal("0.52"))] * 60,
        types=[OrderType.MARKET, OrderType.LIMIT],
        rows=[(REJECTED, "PRICE")] * 2,
    ),
    Case(
        name="a limit price refused without a cap",
        style=IOC,
        answers=[refused(RefusalKind.PRICE)],
        types=[OrderType.LIMIT],
        rows=[(REJECTED, "PRICE")],
    ),
    Case(
        name="market orders are off, then ioc",
        answers=[refused(RefusalKind.ORDER_TYPE), accepted()],
        types=[OrderType.MARKET, OrderType.LIMIT],
        rows=[(REJECTED, "ORDER_TYPE"), (FILLED, None)],
        spent=_ioc_spend(IOC_PRICE),
    ),
    Case(
        name="market orders are off, and nobody knows the price",
        answers=[refused(RefusalKind.ORDER_TYPE)],
        prepare=lambda bench: setattr(bench.market, "error", VenueUnavailable("503")),
        types=[OrderType.MARKET],
        rows=[(REJECTED, "ORDER_TYPE")],
    ),
    Case(
        name="market orders are off, and nobody knows the market's rules before the deadline",
        answers=[refused(RefusalKind.ORDER_TYPE)],
        prepare=lambda bench: bench.market.unknown.add("NEWUSDT"),
        types=[OrderType.MARKET],
        rows=[(REJECTED, "ORDER_TYPE")],
    ),
    Case(
        name="throttled, then taken after the wait that the venue asked for",
        answers=[refused(RefusalKind.THROTTLED, retry_after_s=2.0), accepted()],
        types=[OrderType.MARKET] * 2,
        rows=[(REJECTED, "THROTTLED"), (FILLED, None)],
        spent=SPEND,
    ),
    Case(
        name="throttled for longer than the listing is fresh",
        answers=[refused(RefusalKind.THROTTLED, retry_after_s=600.0)],
        types=[OrderType.MARKET],
        rows=[(REJECTED, "THROTTLED")],
    ),
    Case(
        name="clock refused once",
        answers=[refused(RefusalKind.CLOCK), accepted()],
        types=[OrderType.MARKET] * 2,
        rows=[(REJECTED, "CLOCK"), (FILLED, None)],
        spent=SPEND,
    ),
    Case(
        name="clock refused again and again",
        answers=[refused(RefusalKind.CLOCK)] * 60,
        types=[OrderType.MARKET] * 2,
        rows=[(REJECTED, "CLOCK")] * 2,
    ),
    *(
        Case(
            name=f"{kind} ends the entry",
            answers=[refused(kind)],
            types=[OrderType.MARKET],
            rows=[(REJECTED, kind.name)],
        )
        for kind in (RefusalKind.CREDENTIALS, RefusalKind.BALANCE, RefusalKind.TERMINAL)
    ),
    Case(
        name="unknown, found filled",
        answers=[unknown(taken=True)],
        types=[OrderType.MARKET],
        rows=[(FILLED, None)],
        spent=SPEND,
    ),
    Case(
        name="unknown, found filled, but only after a while",
        answers=[unknown(taken=True, seen_after=timedelta(seconds=4))],
        types=[OrderType.MARKET],
        rows=[(FILLED, None)],
        spent=SPEND,
    ),
    Case(
        name="unknown, not there after the window: the second style is tried",
        answers=[unknown(taken=False), accepted()],
        types=[OrderType.MARKET, OrderType.LIMIT],
        rows=[(REJECTED, "NOT_FOUND_AT_VENUE"), (FILLED, None)],
        spent=_ioc_spend(IOC_PRICE),
    ),
    Case(
        name="unknown twice, never there",
        answers=[unknown(taken=False), unknown(taken=False)],
        types=[OrderType.MARKET, OrderType.LIMIT],
        rows=[(REJECTED, "NOT_FOUND_AT_VENUE")] * 2,
    ),
    Case(
        name="unknown, open for twenty seconds, then filled",
        answers=[unknown(taken=True, open_for=timedelta(seconds=20))],
        types=[OrderType.MARKET],
        rows=[(FILLED, None)],
        spent=SPEND,
    ),
    Case(
        name="accepted, but look-ups do not show it for twenty seconds",
        answers=[accepted(seen_after=timedelta(seconds=20))],
        types=[OrderType.MARKET],
        rows=[(FILLED, None)],
        spent=SPEND,
    ),
    Case(
        name="ledger away at the commit, nothing written, and back while the signal is fresh",
        answers=[accepted()],
        prepare=_away("commit", Fault.NOT_DONE),
        types=[OrderType.MARKET],
        rows=[(FILLED, None)],
        spent=SPEND,
    ),
    Case(
        name="ledger away at the commit, written all the same",
        answers=[],
        prepare=_away("commit", Fault.ANSWER_LOST),
        types=[],
        rows=[(FAILED, "LEDGER_UNAVAILABLE")],
        trades=0,
    ),
    Case(
        name="ledger away at the commit and at each write after it",
        answers=[],
        prepare=_away_at_everything,
        types=[],
        rows=[(FAILED, "LEDGER_UNAVAILABLE")],
        trades=0,
    ),
    Case(
        name="ledger away at the follow-up, nothing written",
        answers=[refused(NOT_OPEN)],
        prepare=_away("follow_up", Fault.NOT_DONE),
        types=[OrderType.MARKET],
        rows=[(REJECTED, "NOT_OPEN_YET")],
    ),
    Case(
        name="ledger away at the follow-up, written all the same",
        answers=[refused(NOT_OPEN)],
        prepare=_away("follow_up", Fault.ANSWER_LOST),
        types=[OrderType.MARKET],
        rows=[(REJECTED, "NOT_OPEN_YET"), (FAILED, "LEDGER_UNAVAILABLE")],
    ),
    Case(
        name="ledger away when the outcome is recorded",
        answers=[accepted()],
        prepare=_away("record_submission", Fault.NOT_DONE, Fault.ANSWER_LOST),
        types=[OrderType.MARKET],
        rows=[(FILLED, None)],
        spent=SPEND,
    ),
    Case(
        name="ledger away when the result is recorded",
        answers=[accepted()],
        prepare=_away("record_result", Fault.NOT_DONE, Fault.ANSWER_LOST),
        types=[OrderType.MARKET],
        rows=[(FILLED, None)],
        spent=SPEND,
    ),
    Case(
        name="ledger away for a minute after the send",
        answers=[accepted()],
        during=_away_for_a_minute,
        types=[OrderType.MARKET],
        rows=[(FILLED, None)],
        spent=SPEND,
    ),
    Case(
        name="kill switch on at the decision",
        answers=[],
        prepare=_kill,
        types=[],
        rows=[(REJECTED, "SAFETY_CONSTRAINT")],
        trades=0,
    ),
    Case(
        name="kill switch thrown between decision and send",
        answers=[],
        during=_kill_while_committing,
        types=[],
        rows=[(FAILED, "SAFETY_CONSTRAINT")],
        trades=0,
    ),
    Case(
        name="kill switch known to the ledger only",
        answers=[],
        prepare=_kill_in_ledger,
        types=[],
        rows=[(REJECTED, "SAFETY_CONSTRAINT")],
        trades=0,
    ),
    Case(
        name="kill switch known to the ledger only, at the follow-up",
        answers=[refused(NOT_OPEN)],
        during=_kill_in_ledger_after_send,
        types=[OrderType.MARKET],
        rows=[(REJECTED, "NOT_OPEN_YET")],
    ),
    Case(
        name="stopped while the venue says not open yet",
        answers=[refused(NOT_OPEN)] * 60,
        during=_stop_after_send,
        types=[OrderType.MARKET],
        rows=[(REJECTED, "NOT_OPEN_YET")],
    ),
    Case(
        name="the commit comes back after the listing went stale",
        answers=[],
        during=_commit_late,
        types=[],
        rows=[(FAILED, "STALE")],
        trades=0,
    ),
    Case(
        name="the follow-up comes back after the listing went stale",
        answers=[refused(NOT_OPEN)] * 60,
        during=_follow_up_late,
        types=[OrderType.MARKET],
        rows=[(REJECTED, "NOT_OPEN_YET"), (FAILED, "STALE")],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@virtual_time
async def test_each_outcome(case: Case) -> None:
    bench = Bench()
    bench.venue.answers = list(case.answers)
    configuration = with_style(case.style, **case.parameters)
    if case.style is IOC:
        bench.desk.instruments["NEWUSDT"] = examples.instrument(taker_rate=FEE)
    if case.prepare is not None:
        case.prepare(bench)
    intent = bench.decide(configuration, price=PRICE)
    async with asyncio.TaskGroup() as tasks:
        if case.during is not None:
            tasks.create_task(case.during(bench))
        tasks.create_task(bench.entries.carry(intent, configuration))

    assert [order.order_type for order in bench.venue.sent] == case.types
    assert bench.rows() == case.rows
    assert bench.venue.violations == []
    assert bench.held == case.held
    assert bench.usage().spent_today == case.spent == bench.venue.bought()
    assert bench.usage().orders_last_hour == case.trades
    _books_agree(bench)


def _books_agree(bench: Bench) -> None:
    """The ledger's reservations say the same as the desk, and positions are what the venue holds."""
    rows = bench.db.reservations.values()
    assert all(row.state != "held" for row in rows)
    assert sum((row.spent for row in rows), ZERO) == bench.usage().spent_today
    assert {p.symbol: p.quantity for p in bench.desk.positions.values()} == bench.venue.holdings()
    assert bench.db.positions == bench.desk.positions
    assert sum(bench.usage().exposure_by_symbol.values(), ZERO) == sum(
        (p.cost for p in bench.desk.positions.values()), ZERO
    )
    assert bench.desk.exit_plans == {}
    assert sorted(bench.db.trade_log) == sorted(bench.db.orders)  # one entry each, also for what never left


@virtual_time
async def test_a_listing_decided_on_twice_is_sent_once() -> None:
    bench, configuration = Bench(), examples.configuration()
    await bench.enter(configuration)
    bought = bench.venue.bought()
    bench.desk.positions.clear()  # as an engine that lost its memory, but not its fence
    bench.desk._capacity = {mode: type(capacity)() for mode, capacity in bench.desk._capacity.items()}
    await bench.enter(configuration)
    assert len(bench.venue.sent) == 1
    assert bench.held == ZERO
    assert bench.venue.bought() == bought
    assert bench.usage().orders_last_hour == 0


@pytest.mark.parametrize("skip", [False, True])
@virtual_time
async def test_a_fenced_out_engine_stops_acting(skip: bool) -> None:
    bench, configuration = Bench(), examples.configuration(symbols=("OTHER",) if skip else ("*USDT",))
    bench.db.fences[ACCOUNT.id] = 2
    intent = bench.decide(configuration)
    assert (intent.decision.verdict is Verdict.SKIP) == skip
    with pytest.raises(FencedOut):
        await bench.entries.carry(intent, configuration)
    assert bench.venue.sent == []
    assert bench.db.decisions == {}


@virtual_time
async def test_an_engine_fenced_out_between_two_attempts_stops_acting() -> None:
    bench, configuration = Bench(), examples.configuration()
    bench.venue.answers = [refused(NOT_OPEN, before=lambda: _take_over(bench))]
    with pytest.raises(FencedOut):
        await bench.enter(configuration)
    assert len(bench.venue.sent) == 1


async def _take_over(bench: Bench) -> None:
    bench.db.fences[ACCOUNT.id] += 1
    await asyncio.sleep(0)


@virtual_time
async def test_a_send_that_never_returns_is_unknown_and_settled_by_evidence() -> None:
    bench, configuration = Bench(), examples.configuration()
    bench.venue.answers = [accepted(before=asyncio.Event().wait)]
    async with asyncio.timeout(60):
        await bench.enter(configuration)
    assert bench.rows() == [(FILLED, None)]
    assert len(bench.venue.sent) == 1
    assert bench.usage().spent_today == SPEND


@virtual_time
async def test_a_commit_that_is_refused_by_the_kill_switch_blocks_the_desk_and_is_recorded_as_blocked() -> None:
    bench, configuration = Bench(), examples.configuration()
    bench.throw_kill_switch()
    await bench.enter(configuration)
    assert bench.desk.kill_switch
    (decision,) = bench.db.decisions.values()
    assert decision.blocked_limit == "kill_switch"
    assert bench.journal.told("was not bought")


@virtual_time
async def test_live_switched_off_between_two_attempts_stops_the_second() -> None:
    bench = Bench(live=True, mode=Mode.LIVE, auto_trade=True)
    configuration = examples.configuration(mode=Mode.LIVE)

    async def switch_off() -> None:
        bench.desk.settings = structs.replace(bench.settings, auto_trade=False)
        await asyncio.sleep(0)

    bench.venue.answers = [refused(NOT_OPEN, before=switch_off)]
    await bench.enter(configuration)
    assert [order.mode for order in bench.venue.sent] == [Mode.LIVE]
    assert bench.desk._capacity[Mode.LIVE]._held == {}


@virtual_time
async def test_live_without_credentials_is_recorded_as_unsent() -> None:
    bench = Bench(live=False, mode=Mode.LIVE, auto_trade=True)
    await bench.enter(examples.configuration(mode=Mode.LIVE))
    assert bench.venue.sent == []
    assert bench.rows() == [(FAILED, "NO_CREDENTIALS")]
    assert bench.usage(Mode.LIVE).orders_last_hour == 0


@virtual_time
async def test_a_skip_waits_for_the_ledger_and_is_written_once() -> None:
    bench, configuration = Bench(), examples.configuration(symbols=("OTHER",))
    bench.ledger.fail("commit", Fault.NOT_DONE, Fault.ANSWER_LOST)
    await bench.enter(configuration)
    assert len(bench.db.decisions) == 1
    assert bench.orders() == []
