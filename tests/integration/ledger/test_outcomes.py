"""What becomes of orders: each outcome once, however often it is told."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs
from tests.integration.ledger.conftest import Connection, spread
from tests.integration.ledger.world import ACCOUNT, NOW, entry, exit_of, order

from signalbox.domain.decisions import Intent
from signalbox.domain.errors import InvariantError
from signalbox.domain.ids import PositionId
from signalbox.domain.orders import (
    Accepted,
    EvidenceState,
    Fill,
    Mode,
    Order,
    OrderEvidence,
    OrderResult,
    OrderStatus,
    RefusalKind,
    Rejected,
    Side,
    StageTimes,
    Unknown,
)
from signalbox.domain.positions import ExitPlan, Position
from signalbox.ledger.chain import TRADE_LOGS, verify
from signalbox.ledger.engine_ledger import EngineLedger

STAGES = StageTimes(
    received_at=NOW, decided_at=NOW, durable_at=NOW, sent_at=NOW + timedelta(milliseconds=1), acknowledged_at=NOW
)
ACCEPTED = Accepted(exchange_order_id="C02__1", response={"orderId": "C02__1", "price": "1.2500"})
REJECTED = Rejected(code="30010", message="no valid trade price", kind=RefusalKind.PRICE, response={"code": 30010})


def fill(number: int, *, side: Side = Side.BUY, quantity: str = "8", symbol: str = "ALPHAUSDT") -> Fill:
    """An execution at 1.25."""
    return Fill(
        exchange_trade_id=f"t{number}",
        symbol=symbol,
        side=side,
        price=Decimal("1.25"),
        quantity=Decimal(quantity),
        quote_quantity=Decimal(quantity) * Decimal("1.25"),
        fee=Decimal("0.0100"),
        fee_asset="USDT",
        filled_at=NOW + timedelta(milliseconds=number),
    )


def position_of(of: Order, **fields: Any) -> Position:
    """The position that an order made."""
    given: dict[str, Any] = {
        "id": of.position_id or PositionId(of.decision_id),
        "account_id": ACCOUNT,
        "symbol": of.symbol,
        "mode": Mode.SIMULATION,
        "opened_at": NOW,
        "exit_plan": ExitPlan(take_profit=Decimal("0.2")),
        "quantity": Decimal(16),
        "cost": Decimal(20),
        "realised_pnl": Decimal("-0.02"),
        "fees": Decimal("0.02"),
        **fields,
    }
    return Position(**given)


def filled(quantity: str = "16", quote: str = "20.00") -> OrderResult:
    """A complete fill."""
    return OrderResult(
        status=OrderStatus.FILLED,
        completed_at=NOW + timedelta(seconds=1),
        executed_quantity=Decimal(quantity),
        executed_quote=Decimal(quote),
        fees={"USDT": Decimal("0.0200")},
    )


def evidence(state: EvidenceState = EvidenceState.FILLED) -> OrderEvidence:
    """The venue's record of the order."""
    return OrderEvidence(
        state=state,
        exchange_order_id="C02__1",
        executed_quantity=Decimal(16),
        executed_quote=Decimal(20),
        response={"status": "FILLED", "cummulativeQuoteQty": "20.00"},
    )


async def committed(ledger: EngineLedger, symbol: str = "ALPHAUSDT") -> tuple[Intent, Order]:
    """A durable entry."""
    intent = entry(symbol)
    await ledger.commit(intent)
    await spread(ledger)
    assert intent.order is not None
    return intent, intent.order


async def snapshot(sql: Connection) -> list[Any]:
    """Everything that an outcome touches."""
    tables = ("trade_orders", "fills", "positions", "reservations", "trade_logs", "chain_heads")
    return [[tuple(row) for row in await sql.fetch(f"SELECT * FROM {table} ORDER BY 1")] for table in tables]  # noqa: S608


async def finish(ledger: EngineLedger, of: Order, spent: Decimal | None = Decimal("20.02")) -> None:
    """Record the usual good end of an entry."""
    await ledger.record_result(
        of,
        evidence=evidence(),
        fills=[fill(1), fill(2)],
        result=filled(),
        position=position_of(of),
        spent=spent,
        fill_model="book-walk-1",
    )


async def test_accepted_makes_the_order_submitted(ledger: EngineLedger, sql: Connection) -> None:
    _, sent = await committed(ledger)
    await ledger.record_submission(sent, ACCEPTED, STAGES, latency_ms=Decimal("1.234"))
    row = await sql.fetchrow("SELECT *, response ->> 'price' AS price FROM trade_orders")
    assert row is not None
    assert (row["status"], row["exchange_order_id"], row["price"]) == ("submitted", "C02__1", "1.2500")
    assert (row["submitted_at"], row["durable_at"]) == (STAGES.sent_at, NOW)
    assert (row["latency_ms"], row["unknown_since"]) == (Decimal("1.234"), None)
    assert await sql.fetchval("SELECT last_order_time FROM system_status") == STAGES.sent_at


async def test_unknown_stays_submitted_until_it_is_settled(ledger: EngineLedger, sql: Connection) -> None:
    _, sent = await committed(ledger)
    await ledger.record_submission(sent, Unknown(reason="cut socket"), STAGES, latency_ms=None)
    assert await sql.fetchval("SELECT unknown_since FROM trade_orders") == NOW
    assert [(o.status, o.order.id) for o in await ledger.open_orders(ACCOUNT)] == [(OrderStatus.SUBMITTED, sent.id)]
    assert await sql.fetchval("SELECT state FROM reservations") == "held"
    before = await snapshot(sql)
    await ledger.record_submission(sent, Unknown(reason="cut socket"), STAGES, latency_ms=None)
    assert await snapshot(sql) == before
    await finish(ledger, sent)
    row = await sql.fetchrow("SELECT status, unknown_since FROM trade_orders")
    assert row is not None
    assert tuple(row) == ("filled", None)


async def test_a_refusal_completes_the_order_with_its_log_entry(ledger: EngineLedger, sql: Connection) -> None:
    intent, sent = await committed(ledger)
    for _ in range(2):
        await ledger.record_submission(sent, REJECTED, STAGES, latency_ms=None)
    row = await sql.fetchrow("SELECT * FROM trade_orders")
    assert row is not None
    assert (row["status"], row["error_code"], row["error_reason"]) == ("rejected", "30010", "no valid trade price")
    assert await sql.fetchval("SELECT array_agg(exchange_response ->> 'code') FROM trade_logs") == ["30010"]
    assert await sql.fetchval("SELECT state FROM reservations") == "held"  # a further attempt may follow
    for _ in range(2):
        await ledger.settle_reservation(intent.decision.id, spent=Decimal(0), at=NOW)
    ended = await sql.fetchrow("SELECT state, settled_amount FROM reservations")
    assert ended is not None
    assert tuple(ended) == (
        "settled",
        Decimal(0),
    )  # it was sent: it counts as a trade of its hour, also after a restart
    history = await ledger.capacity_history(intent.decision.account_id, sent.mode, NOW + timedelta(minutes=1))
    assert history.entries == [NOW]


async def test_capacity_of_an_order_that_never_left_is_released(ledger: EngineLedger, sql: Connection) -> None:
    intent, sent = await committed(ledger)
    await ledger.record_unsent(sent, at=NOW, code="STALE", reason="too late")
    await ledger.settle_reservation(intent.decision.id, spent=Decimal(0), at=NOW)
    assert await sql.fetchval("SELECT state FROM reservations") == "released"
    history = await ledger.capacity_history(intent.decision.account_id, sent.mode, NOW + timedelta(minutes=1))
    assert history.entries == []


async def test_an_order_that_never_left_is_failed(ledger: EngineLedger, sql: Connection) -> None:
    _, sent = await committed(ledger)
    for _ in range(2):
        await ledger.record_unsent(sent, at=NOW, code="STALE", reason="too late")
    row = await sql.fetchrow("SELECT status, error_code, submitted_at FROM trade_orders")
    assert row is not None
    assert tuple(row) == ("failed", "STALE", None)
    assert await sql.fetchval("SELECT count(*) FROM trade_logs") == 1
    never_written = order(sent.decision_id, "ALPHAUSDT", attempt=2)
    await ledger.record_unsent(never_written, at=NOW, code="STALE", reason="too late")


async def test_a_result_closes_the_books_once(ledger: EngineLedger, sql: Connection) -> None:
    _, sent = await committed(ledger)
    await ledger.record_submission(sent, ACCEPTED, STAGES, latency_ms=None)
    await finish(ledger, sent)
    before = await snapshot(sql)
    await finish(ledger, sent)
    await ledger.record_submission(sent, ACCEPTED, STAGES, latency_ms=None)
    await ledger.record_submission(sent, REJECTED, STAGES, latency_ms=None)
    await ledger.record_unsent(sent, at=NOW, code="STALE", reason="too late")
    assert await snapshot(sql) == before

    row = await sql.fetchrow("SELECT * FROM trade_orders")
    assert row is not None
    assert (row["status"], row["executed_price"], row["fill_model"]) == ("filled", Decimal("1.25"), "book-walk-1")
    assert (row["realised_pnl"], row["position_id"]) == (Decimal("-0.02"), sent.decision_id)
    assert await sql.fetchval("SELECT count(*) FROM fills") == 2
    reservation = await sql.fetchrow("SELECT state, settled_amount FROM reservations")
    assert reservation is not None
    assert tuple(reservation) == ("settled", Decimal("20.02"))
    log = await sql.fetchrow(
        "SELECT *, exchange_response ->> 'price' AS price, exchange_response ->> 'cummulativeQuoteQty' AS quote,"
        " fills -> 0 ->> 'quantity' AS quantity, position_snapshot ->> 'cost' AS cost FROM trade_logs"
    )
    assert log is not None
    assert (log["price"], log["quote"], log["quantity"], log["cost"]) == ("1.2500", "20.00", "8", "20")
    assert (log["fill_quantity"], log["revision"]) == (Decimal(16), 1)
    assert log["logged_at"] >= row["completed_at"]
    verdict = await verify(sql, TRADE_LOGS)
    assert (verdict.ok, verdict.rows) == (True, 1)
    assert await ledger.open_positions(ACCOUNT) == [position_of(sent)]
    assert await ledger.open_orders(ACCOUNT) == []
    assert await ledger.accounts_with_open_business() == [ACCOUNT]


async def test_a_pending_order_passes_through_submitted(ledger: EngineLedger, sql: Connection) -> None:
    """The engine was killed between the send and its answer; recovery found the order filled."""
    _, sent = await committed(ledger)
    await finish(ledger, sent)
    row = await sql.fetchrow("SELECT status, submitted_at FROM trade_orders")
    assert row is not None
    assert tuple(row) == ("filled", sent.created_at)


async def test_a_result_without_spend_keeps_the_reservation_for_a_further_attempt(
    ledger: EngineLedger, sql: Connection
) -> None:
    intent, sent = await committed(ledger)
    await ledger.record_submission(sent, ACCEPTED, STAGES, latency_ms=None)
    await ledger.record_result(
        sent,
        evidence=evidence(EvidenceState.CANCELLED),
        fills=[],
        result=OrderResult(status=OrderStatus.REJECTED, completed_at=NOW, error_code="CANCELLED_BY_VENUE"),
        position=None,
        spent=None,
        fill_model="book-walk-1",
    )
    assert await sql.fetchval("SELECT state FROM reservations") == "held"
    assert await sql.fetchval("SELECT fill_model FROM trade_orders") is None
    await ledger.settle_reservation(intent.decision.id, spent=Decimal("20.02"), at=NOW)
    history = await ledger.capacity_history(ACCOUNT, Mode.SIMULATION, NOW + timedelta(minutes=1))
    assert (history.entries, history.held) == ([NOW], [])
    assert history.spent == {NOW.date(): Decimal("20.02")}


async def test_an_exit_books_its_result_on_the_day_it_ended(ledger: EngineLedger, sql: Connection) -> None:
    _, bought = await committed(ledger)
    await finish(ledger, bought)
    leave = exit_of(PositionId(bought.decision_id), "ALPHAUSDT")
    await ledger.commit(leave)
    assert leave.order is not None
    sold = leave.order
    closed = position_of(
        bought, quantity=Decimal(0), cost=Decimal(0), realised_pnl=Decimal("1.23"), closed_at=NOW + timedelta(seconds=5)
    )
    await ledger.record_submission(sold, ACCEPTED, STAGES, latency_ms=None)
    await ledger.record_result(
        sold,
        evidence=evidence(),
        fills=[fill(3, side=Side.SELL, quantity="16")],
        result=filled(),
        position=closed,
        spent=None,
        fill_model="book-walk-1",
    )
    assert await ledger.open_positions(ACCOUNT) == []
    assert await ledger.accounts_with_open_business() == []
    assert await sql.fetchval("SELECT status FROM positions") == "closed"
    assert await sql.fetchval("SELECT sum(realised_pnl) FROM trade_orders") == Decimal("1.23")
    history = await ledger.capacity_history(ACCOUNT, Mode.SIMULATION, NOW + timedelta(minutes=1))
    assert history.realised == {NOW.date(): Decimal("1.23")}
    assert (await ledger.capacity_history(ACCOUNT, Mode.LIVE, NOW)).realised == {}


async def test_the_capacity_of_an_entry_in_flight_is_held(ledger: EngineLedger) -> None:
    intent, _ = await committed(ledger)
    history = await ledger.capacity_history(ACCOUNT, Mode.SIMULATION, NOW)
    assert history.held == [intent.reservation]
    assert (history.entries, history.spent) == ([], {})


async def test_the_same_fill_counts_once(ledger: EngineLedger, sql: Connection) -> None:
    _, sent = await committed(ledger)
    await ledger.record_result(
        sent,
        evidence=evidence(),
        fills=[fill(1), fill(1), fill(2)],
        result=filled(),
        position=position_of(sent),
        spent=Decimal("20.02"),
        fill_model="book-walk-1",
    )
    assert await sql.fetchval("SELECT count(*) FROM fills") == 2


async def test_an_account_that_trades_with_itself_has_both_fills(ledger: EngineLedger, sql: Connection) -> None:
    _, bought = await committed(ledger)
    await finish(ledger, bought)
    leave = exit_of(PositionId(bought.decision_id), "ALPHAUSDT")
    await ledger.commit(leave)
    assert leave.order is not None
    await ledger.record_result(
        leave.order,
        evidence=evidence(),
        fills=[fill(1, side=Side.SELL)],
        result=filled(),
        position=None,
        spent=None,
        fill_model="book-walk-1",
    )
    assert await sql.fetchval("SELECT array_agg(side ORDER BY side) FROM fills WHERE exchange_trade_id = 't1'") == [
        "buy",
        "sell",
    ]


async def test_an_outcome_of_an_order_that_was_never_written_is_refused(ledger: EngineLedger) -> None:
    intent = entry("ALPHAUSDT")
    assert intent.order is not None
    with pytest.raises(InvariantError, match="not in the ledger"):
        await ledger.record_submission(intent.order, ACCEPTED, STAGES, latency_ms=None)


async def test_an_answer_with_a_nul_character_is_recorded(ledger: EngineLedger, sql: Connection) -> None:
    _, sent = await committed(ledger)
    odd = structs.replace(ACCEPTED, response={"msg": "a\x00b"})
    await ledger.record_submission(sent, odd, STAGES, latency_ms=None)
    assert await sql.fetchval("SELECT response ->> 'msg' FROM trade_orders") == "a\N{SYMBOL FOR NULL}b"


async def test_a_failure_in_the_middle_leaves_nothing(ledger: EngineLedger, sql: Connection) -> None:
    _, sent = await committed(ledger)
    before = await snapshot(sql)
    with pytest.raises(InvariantError):
        await ledger.record_result(
            sent,
            evidence=evidence(),
            fills=[fill(1)],
            result=filled(),
            position=position_of(sent, opened_at=NOW, quantity=Decimal("NaN")),
            spent=Decimal(20),
            fill_model="book-walk-1",
        )
    assert await snapshot(sql) == before
