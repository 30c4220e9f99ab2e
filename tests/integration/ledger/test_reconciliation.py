"""Revisions of closed orders, external orders, the wallet, and the records of comparisons."""

import importlib
from datetime import timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from msgspec import structs
from tests.integration.ledger.conftest import Connection, spread
from tests.integration.ledger.test_outcomes import ACCEPTED, STAGES, evidence, fill, filled, position_of
from tests.integration.ledger.world import ACCOUNT, FENCE, NOW, RUN, entry, exit_of

from signalbox.domain.decisions import Intent
from signalbox.domain.errors import FencedOut, InvariantError
from signalbox.domain.ids import PositionId
from signalbox.domain.orders import EvidenceState, Mode, Order, OrderEvidence, OrderResult, OrderStatus, Side, Unknown
from signalbox.domain.reconciliation import (
    Difference,
    DifferenceKind,
    Reconciliation,
    ReservationState,
    Revision,
    WalletLine,
)
from signalbox.domain.runs import RunStatus
from signalbox.domain.venue_records import Balance, VenueOrder
from signalbox.ledger.chain import TRADE_LOGS, verify
from signalbox.ledger.engine_ledger import EngineLedger

LATER = NOW + timedelta(minutes=5)

reconciliation_step = importlib.import_module("signalbox.ledger.migrations.versions.0009_reconciliation")


async def committed(ledger: EngineLedger, symbol: str = "ALPHAUSDT") -> tuple[Intent, Order]:
    """A durable live entry."""
    intent = entry(symbol)
    assert intent.order is not None
    intent = structs.replace(intent, order=structs.replace(intent.order, mode=Mode.LIVE))
    await ledger.commit(intent)
    await spread(ledger)
    assert intent.order is not None
    return intent, intent.order


async def partly_filled(ledger: EngineLedger, symbol: str = "ALPHAUSDT") -> Order:
    """An entry that was closed with one of its two fills."""
    _, sent = await committed(ledger, symbol)
    await ledger.record_submission(sent, ACCEPTED, STAGES, latency_ms=None)
    await ledger.record_result(
        sent,
        evidence=evidence(EvidenceState.PARTIALLY_CANCELLED),
        fills=[fill(1, symbol=symbol)],
        result=filled("8", "10.00"),
        position=position_of(
            sent, mode=Mode.LIVE, quantity=Decimal(8), cost=Decimal(10), realised_pnl=Decimal("-0.01")
        ),
        spent=Decimal("10.01"),
        fill_model=None,
    )
    return sent


def revision(order: Order, number: int = 2, **changes: Any) -> Revision:
    """The second fill came later."""
    values: dict[str, Any] = {
        "order": order,
        "number": number,
        "at": LATER,
        "evidence": evidence(),
        "fills": (fill(1), fill(2)),
        "replaced": (),
        "result": filled(),
        "position": position_of(order, mode=Mode.LIVE),
        "more_spent": Decimal("10.01"),
    }
    return Revision(**{**values, **changes})


async def verified(sql: Connection) -> bool:
    return (await verify(sql, TRADE_LOGS)).ok


async def test_a_late_fill_is_the_next_revision_and_repeating_it_changes_nothing(
    ledger: EngineLedger, sql: Connection
) -> None:
    sent = await partly_filled(ledger)
    for _ in range(2):
        await ledger.revise(revision(sent))
    row = await sql.fetchrow("SELECT * FROM trade_orders")
    assert row is not None
    assert (row["status"], row["revision"], row["revised_at"]) == ("filled", 2, LATER)
    assert (row["executed_quantity"], row["executed_quote"]) == (Decimal(16), Decimal(20))
    assert row["realised_pnl"] == Decimal("-0.02")
    assert row["completed_at"] == NOW + timedelta(seconds=1)
    assert await sql.fetchval("SELECT count(*) FROM fills") == 2
    logs = await sql.fetch("SELECT revision, fill_quantity, jsonb_array_length(fills) AS n FROM trade_logs ORDER BY 1")
    assert [tuple(log) for log in logs] == [(1, Decimal(8), 1), (2, Decimal(16), 2)]
    reservation = await sql.fetchrow("SELECT state, settled_amount, revision FROM reservations")
    assert reservation is not None
    assert tuple(reservation) == ("settled", Decimal("20.02"), 2)
    assert await sql.fetchval("SELECT quantity FROM positions") == Decimal(16)
    assert await verified(sql)
    with pytest.raises(InvariantError, match="is at revision 2, not before 4"):
        await ledger.revise(revision(sent, number=4))


async def test_an_order_that_was_never_sent_turns_up_filled(ledger: EngineLedger, sql: Connection) -> None:
    intent, sent = await committed(ledger)
    await ledger.record_unsent(sent, at=NOW, code="NEVER_SENT", reason="the venue does not know it")
    await ledger.settle_reservation(intent.decision.id, spent=Decimal(0), at=NOW)
    assert await sql.fetchval("SELECT state FROM reservations") == "released"
    (closed,) = await ledger.closed_orders(ACCOUNT, NOW - timedelta(hours=1))
    assert closed.reservation is not None
    assert (closed.status, closed.reservation.state) == (OrderStatus.FAILED, ReservationState.RELEASED)
    assert closed.exit_plan is not None
    await ledger.revise(revision(sent, more_spent=Decimal("20.02")))
    row = await sql.fetchrow("SELECT * FROM trade_orders")
    assert row is not None
    assert (row["status"], row["submitted_at"], row["error_code"]) == ("filled", NOW, None)
    assert row["position_id"] == PositionId(sent.decision_id)
    reservation = await sql.fetchrow("SELECT state, settled_amount FROM reservations")
    assert reservation is not None
    assert tuple(reservation) == ("settled", Decimal("20.02"))
    history = await ledger.capacity_history(ACCOUNT, Mode.LIVE, NOW + timedelta(minutes=1))
    assert history.entries == [NOW]
    assert history.spent == {NOW.date(): Decimal("20.02")}
    assert await verified(sql)


async def test_an_order_that_turns_up_cancelled_is_rejected_as_a_revision(
    ledger: EngineLedger, sql: Connection
) -> None:
    intent, sent = await committed(ledger)
    await ledger.record_unsent(sent, at=NOW, code="NEVER_SENT", reason="the venue does not know it")
    await ledger.settle_reservation(intent.decision.id, spent=Decimal(0), at=NOW)
    cancelled = OrderResult(
        status=OrderStatus.REJECTED, completed_at=NOW, error_code="CANCELLED_BY_VENUE", error_reason="no fill"
    )
    record = OrderEvidence(state=EvidenceState.CANCELLED, exchange_order_id="C02__1", response={"status": "CANCELED"})
    await ledger.revise(revision(sent, fills=(), result=cancelled, evidence=record, position=None, more_spent=None))
    row = await sql.fetchrow("SELECT status, error_code, submitted_at, revision FROM trade_orders")
    assert row is not None
    assert tuple(row) == ("rejected", "CANCELLED_BY_VENUE", NOW, 2)
    assert await sql.fetchval("SELECT state FROM reservations") == "released"
    assert await sql.fetchval("SELECT count(*) FROM trade_logs") == 2


async def test_a_closed_position_opens_again_by_a_revision_only(ledger: EngineLedger, sql: Connection) -> None:
    sent = await partly_filled(ledger)
    await sql.execute("UPDATE positions SET status = 'closed', closed_at = now()")
    history = await ledger.position_history(PositionId(sent.decision_id))
    assert history is not None
    assert history.position.closed_at is not None
    assert [(order_id, counted.exchange_trade_id) for order_id, counted in history.fills] == [(sent.id, "t1")]
    await ledger.revise(revision(sent))
    row = await sql.fetchrow("SELECT status, closed_at, revision FROM positions")
    assert row is not None
    assert tuple(row) == ("open", None, 2)
    assert [p.quantity for p in await ledger.open_positions(ACCOUNT)] == [Decimal(16)]


async def test_a_fill_that_stood_for_others_stays_and_does_not_count_any_more(
    ledger: EngineLedger, sql: Connection
) -> None:
    _, sent = await committed(ledger)
    rest = structs.replace(fill(1, quantity="16"), exchange_trade_id="C02__1:rest")
    await ledger.record_result(
        sent,
        evidence=evidence(),
        fills=[rest],
        result=filled(),
        position=position_of(sent, mode=Mode.LIVE),
        spent=Decimal("20.01"),
        fill_model=None,
    )
    await ledger.revise(revision(sent, replaced=("C02__1:rest",), more_spent=Decimal("0.01")))
    (closed,) = await ledger.closed_orders(ACCOUNT, NOW - timedelta(hours=1))
    assert [counted.exchange_trade_id for counted in closed.fills] == ["t1", "t2"]
    flows = await ledger.live_flows(ACCOUNT)
    assert flows.markets[0].quantity == Decimal(16)
    assert await sql.fetchval("SELECT count(*) FROM fills") == 3
    for change in ("price = 2", "replaced_at = NULL", "replaced_at = now()"):
        with pytest.raises(asyncpg.RestrictViolationError):
            await sql.execute(f"UPDATE fills SET {change} WHERE exchange_trade_id = 'C02__1:rest'")  # noqa: S608 - ours
    with pytest.raises(asyncpg.RestrictViolationError):
        await sql.execute("UPDATE fills SET replaced_at = now() WHERE exchange_trade_id = 't1'")
    await sql.execute("BEGIN")
    for statement in reconciliation_step.DOWN:  # without the column nothing tells that it does not count
        await sql.execute(statement)
    assert await sql.fetchval("SELECT sum(quantity) FROM fills") == Decimal(16)
    await sql.execute("ROLLBACK")


@pytest.mark.parametrize(
    "change",
    [
        "executed_quantity = 1",
        "realised_pnl = 5",
        "exchange_order_id = 'other'",
        "revision = 3, revised_at = now()",
        "revision = 1, revised_at = NULL, executed_quote = 1",
    ],
)
async def test_a_closed_order_changes_by_its_next_revision_only(
    ledger: EngineLedger, sql: Connection, change: str
) -> None:
    await partly_filled(ledger)
    with pytest.raises(asyncpg.RestrictViolationError, match="next revision only"):
        await sql.execute(f"UPDATE trade_orders SET {change}")  # noqa: S608 - our text


@pytest.mark.parametrize(
    "change", ["status = 'submitted'", "status = 'pending'", "status = 'failed', submitted_at = NULL"]
)
async def test_a_revision_takes_nothing_back(ledger: EngineLedger, sql: Connection, change: str) -> None:
    await partly_filled(ledger)
    with pytest.raises((asyncpg.CheckViolationError, asyncpg.RestrictViolationError)):
        await sql.execute(f"UPDATE trade_orders SET {change}, revision = 2, revised_at = now()")  # noqa: S608 - ours


async def test_an_open_order_has_no_revision(ledger: EngineLedger, sql: Connection) -> None:
    _, sent = await committed(ledger)
    await ledger.record_submission(sent, Unknown(reason="cut socket"), STAGES, latency_ms=None)
    with pytest.raises(InvariantError):
        await ledger.revise(revision(sent))
    assert await sql.fetchval("SELECT count(*) FROM fills") == 0


async def test_ids_of_orders_are_known_from_the_journal_on(ledger: EngineLedger, sql: Connection) -> None:
    intent = entry("ALPHAUSDT")
    await ledger.commit(intent)
    assert intent.order is not None
    name = intent.order.client_order_id
    assert await sql.fetchval("SELECT count(*) FROM intent_journal") == 1
    assert await ledger.own_client_order_ids(ACCOUNT, [name, "other"]) == {name}
    assert (await ledger.live_flows(ACCOUNT)).busy == {"ALPHAUSDT"}
    await spread(ledger)
    assert await ledger.own_client_order_ids(ACCOUNT, [name, "other"]) == {name}


def external(**changes: Any) -> VenueOrder:
    """An order that somebody placed by hand."""
    values: dict[str, Any] = {
        "exchange_order_id": "C02__9",
        "client_order_id": None,
        "symbol": "BTCUSDT",
        "side": Side.SELL,
        "kind": "LIMIT",
        "status": "NEW",
        "evidence": OrderEvidence(state=EvidenceState.OPEN, exchange_order_id="C02__9"),
        "price": Decimal(100_000),
        "quantity": Decimal("0.01"),
        "placed_at": NOW,
    }
    return VenueOrder(**{**values, **changes})


async def test_an_external_order_is_new_once_and_follows_its_changes(ledger: EngineLedger, sql: Connection) -> None:
    assert [o.exchange_order_id for o in await ledger.record_external_orders(ACCOUNT, [external()], NOW)] == ["C02__9"]
    assert await ledger.record_external_orders(ACCOUNT, [external()], LATER) == []
    assert await sql.fetchval("SELECT updated_at FROM external_orders") == NOW
    done = OrderEvidence(state=EvidenceState.FILLED, executed_quantity=Decimal("0.01"), executed_quote=Decimal(1_000))
    assert await ledger.record_external_orders(ACCOUNT, [external(status="FILLED", evidence=done)], LATER) == []
    row = await sql.fetchrow("SELECT status, executed_quote, first_seen_at, updated_at FROM external_orders")
    assert row is not None
    assert tuple(row) == ("FILLED", Decimal(1_000), NOW, LATER)


def line(asset: str, free: str, *, movement: str | None = None) -> WalletLine:
    """An asset of the wallet."""
    return WalletLine(
        balance=Balance(asset=asset, free=Decimal(free)),
        booked=Decimal(0),
        traded=Decimal(-20),
        external_movement=None if movement is None else Decimal(movement),
    )


def compared(minutes: int, *differences: Difference) -> Reconciliation:
    """A comparison so many minutes after NOW."""
    at = NOW + timedelta(minutes=minutes)
    return Reconciliation(account_id=ACCOUNT, started_at=at, finished_at=at, orders_checked=3, differences=differences)


async def test_comparisons_are_kept_those_without_differences_for_a_day(ledger: EngineLedger, sql: Connection) -> None:
    difference = Difference(kind=DifferenceKind.EXTERNAL_MOVEMENT, subject="USDT", message="moved by 5", settled=True)
    for _ in range(2):
        await ledger.record_reconciliation(compared(0), [line("USDT", "980")])
    await ledger.record_reconciliation(compared(1, difference), [line("USDT", "985", movement="5")])
    await ledger.record_reconciliation(compared(2), [line("USDT", "985")])
    assert await sql.fetchval("SELECT count(*) FROM reconciliations") == 3
    assert await ledger.wallet(ACCOUNT) == [line("USDT", "985", movement="5")]
    await ledger.record_reconciliation(compared(25 * 60), [])
    rows = await sql.fetch(
        "SELECT agreed, jsonb_array_length(differences) AS n FROM reconciliations ORDER BY started_at"
    )
    assert [tuple(row) for row in rows] == [(True, 1), (True, 0)]


async def test_flows_are_what_live_fills_moved_and_positions_hold(ledger: EngineLedger) -> None:
    sent = await partly_filled(ledger)
    flows = await ledger.live_flows(ACCOUNT)
    assert [(f.symbol, f.side, f.quantity, f.quote) for f in flows.markets] == [
        ("ALPHAUSDT", Side.BUY, Decimal(8), Decimal(10))
    ]
    assert flows.fees == {"USDT": Decimal("0.01")}
    assert flows.held == {"ALPHAUSDT": Decimal(8)}
    assert flows.busy == frozenset()
    leave = exit_of(PositionId(sent.decision_id), "ALPHAUSDT")
    assert leave.order is not None
    await ledger.commit(structs.replace(leave, order=structs.replace(leave.order, mode=Mode.LIVE)))
    assert (await ledger.live_flows(ACCOUNT)).busy == {"ALPHAUSDT"}


def blocked_entry(symbol: str) -> Intent:
    """An entry that a guardrail stopped."""
    intent = entry(symbol)
    return structs.replace(intent, order=None, reservation=None, blocked=intent.order, blocked_limit="max_daily_spend")


async def test_blocked_and_stopped_orders_have_a_trade_log_entry(ledger: EngineLedger, sql: Connection) -> None:
    _, sent = await committed(ledger)
    for _ in range(2):
        await ledger.record_unsent(sent, at=NOW, code="STALE", reason="too late")
    intent = entry("BETAUSDT")
    blocked = structs.replace(
        intent, order=None, reservation=None, blocked=intent.order, blocked_limit="max_daily_spend"
    )
    for _ in range(2):
        await ledger.commit(blocked)
    logs = await sql.fetch(
        "SELECT o.status, l.revision, l.exchange_response FROM trade_logs l JOIN trade_orders o ON o.id = l.order_id"
        " ORDER BY l.sequence"
    )
    assert [(row["status"], row["revision"]) for row in logs] == [("failed", 1), ("rejected", 1)]
    assert await verified(sql)


async def test_a_log_entry_that_a_killed_engine_owed_is_written_by_the_next_owner(
    ledger: EngineLedger, sql: Connection
) -> None:
    intent = entry("BETAUSDT")
    blocked = structs.replace(
        intent, order=None, reservation=None, blocked=intent.order, blocked_limit="max_daily_spend"
    )
    await ledger._committer.commit(blocked)
    await sql.execute("UPDATE trade_orders SET unknown_since = NULL")
    assert await sql.fetchval("SELECT count(*) FROM trade_logs") == 0
    await ledger.record_unlogged(ACCOUNT)
    owed = await sql.fetchval("SELECT count(*) FROM trade_orders WHERE completed_at > now() - interval '2 days'")
    assert await sql.fetchval("SELECT count(*) FROM trade_logs") == owed


async def test_a_run_is_moved_on_by_the_owner_of_its_account_only(ledger: EngineLedger) -> None:
    with pytest.raises(FencedOut, match="was taken over"):
        await ledger.set_run_status(RUN, RunStatus.FAILED, at=LATER, error_message="x", fence=FENCE - 1)
    await ledger.set_run_status(RUN, RunStatus.RUNNING, at=LATER, fence=FENCE)
    await ledger.set_run_status(RUN, RunStatus.RUNNING, at=LATER, fence=FENCE - 1)  # it is so already
