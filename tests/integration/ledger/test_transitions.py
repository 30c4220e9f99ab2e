"""Runs and orders move only along the allowed edges, in the database as well."""

import asyncpg
import pytest
from tests.integration.ledger.conftest import Connection
from tests.integration.ledger.rule_cases import insert
from tests.integration.ledger.states import (
    ORDER_STATES,
    ORDER_STEPS,
    RUN_STATES,
    RUN_STEPS,
    WAY_TO_ORDER,
    WAY_TO_RUN,
    move_order,
    move_run,
)


@pytest.mark.parametrize("old", RUN_STATES)
async def test_a_run_moves_only_along_the_allowed_edges(beside: Connection, old: str) -> None:
    for step in WAY_TO_RUN[old]:
        await move_run(beside, step)
    for new in RUN_STATES:
        transaction = beside.transaction()
        await transaction.start()
        if new == old or (old, new) in RUN_STEPS:
            await move_run(beside, new)
        else:
            with pytest.raises(asyncpg.CheckViolationError, match=f"cannot go from {old} to {new}"):
                await move_run(beside, new)
        await transaction.rollback()


async def test_a_run_starts_as_starting_and_fails_with_a_reason(beside: Connection) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="cannot start as running"):
        await beside.execute(insert("bot_runs", status="'running'"))
    with pytest.raises(asyncpg.CheckViolationError, match="failed_says_why"):
        await beside.execute("UPDATE bot_runs SET status = 'failed', stopped_at = started_at + interval '1 s'")
    with pytest.raises(asyncpg.CheckViolationError, match="stopped_after_start"):
        await beside.execute("UPDATE bot_runs SET status = 'failed', error_message = 'x', stopped_at = started_at")


@pytest.mark.parametrize("old", ORDER_STATES)
async def test_an_order_moves_only_along_the_allowed_edges(beside: Connection, old: str) -> None:
    for step in WAY_TO_ORDER[old]:
        await move_order(beside, step)
    for new in ORDER_STATES:
        transaction = beside.transaction()
        await transaction.start()
        if new == old or (old, new) in ORDER_STEPS:
            await move_order(beside, new)
        else:
            with pytest.raises(asyncpg.CheckViolationError, match=f"cannot go from {old} to {new}"):
                await move_order(beside, new)
        await transaction.rollback()


@pytest.mark.parametrize("status", ["submitted", "filled", "failed"])
async def test_an_order_starts_pending_or_blocked(beside: Connection, status: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match=f"cannot start as {status}"):
        await beside.execute(insert("trade_orders", status=f"'{status}'"))
    await beside.execute(
        insert("trade_orders", status="'rejected'", error_code="'SAFETY_CONSTRAINT'", completed_at="now()")
    )


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("fill_model = NULL", "fill_model_given"),
        ("executed_quantity = 0", "filled_has_fill"),
        ("executed_quantity = NULL", "filled_has_fill"),
        ("completed_at = submitted_at - interval '1 s'", "completed_after_submitted"),
        ("submitted_at = NULL", "submitted_at"),
        ("unknown_since = now()", "unknown_is_submitted"),
    ],
)
async def test_a_filled_order_is_complete(beside: Connection, change: str, rule: str) -> None:
    await move_order(beside, "submitted")
    await move_order(beside, "filled")
    with pytest.raises(asyncpg.CheckViolationError, match=rule):
        await beside.execute(f"UPDATE trade_orders SET {change}, revision = 2, revised_at = now()")  # noqa: S608 - our text
