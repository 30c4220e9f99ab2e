"""The operator's scenarios, end to end: the exchange is simulated, everything else is what users run."""

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from tests.e2e.world import World, allow_connections, open_world


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(database_url, tmp_path) as opened:
        yield opened


async def test_scenario_1_operator_starts_and_stops_a_bot(world: World) -> None:
    """Start creates a run that is running with a heartbeat; stop is final and no trade is attempted afterwards."""
    await world.prepare()
    await world.start_engine()

    run = await world.read("run", "start", "main", "main")
    assert run["status"] == "running"
    assert await world.value("SELECT last_heartbeat FROM bot_runs WHERE status = 'running'") is not None
    second = await world.command("run", "start", "main", "main", expect=1)
    assert "active" in second

    stopped = await world.read("run", "stop", "main")
    assert stopped["status"] == "stopped"
    assert stopped["id"] == run["id"]
    await world.list_now("LATEUSDT")
    again = await world.read("run", "start", "main", "main")
    assert again["id"] != run["id"]
    assert await world.sent_orders() == []


async def test_scenario_2_a_listing_is_bought_and_sold(world: World) -> None:
    """A new listing becomes a filled order with its trade log, position and counters; the take-profit sells it."""
    await world.prepare("--take-profit", "0.10", "--time-limit-s", "none")
    await world.start_engine()
    await world.command("run", "start", "main", "main")

    await world.list_now("NEWUSDT", price="0.5", path="flat")
    bought = await world.eventually_order("NEWUSDT", "buy", "filled")
    assert bought["latency_ms"] < 1000
    assert bought["request"] is not None
    signal = (await world.rows("SELECT * FROM listing_signals"))[0]
    assert signal["symbol"] == "NEWUSDT"
    assert signal["processed"]
    assert signal["freshness_deadline"] - signal["detected_at"] == timedelta(seconds=10)
    spent = bought["executed_quote"]
    assert Decimal(18) < spent <= Decimal(20)
    fees = await world.value("SELECT sum(fee) FROM fills WHERE order_id = $1", bought["id"])
    settled = await world.value("SELECT settled_amount FROM reservations WHERE state = 'settled'")
    assert settled == spent + fees

    await world.control("prices", symbol="NEWUSDT", price="0.6")
    sold = await world.eventually_order("NEWUSDT", "sell", "filled")
    assert sold["reduce_only"]
    assert sold["quantity"] == bought["executed_quantity"]
    rule = await world.value("SELECT exit_rule FROM strategy_decisions WHERE id = $1", sold["decision_id"])
    assert rule == "take_profit"
    position = (await world.rows("SELECT * FROM positions"))[0]
    assert position["status"] == "closed"
    assert position["quantity"] == 0
    sell_fees = await world.value("SELECT sum(fee) FROM fills WHERE order_id = $1", sold["id"])
    assert position["realised_pnl"] == sold["executed_quote"] - spent - fees - sell_fees
    logged = await world.rows("SELECT order_id, exchange_response FROM trade_logs ORDER BY sequence")
    assert [row["order_id"] for row in logged] == [bought["id"], sold["id"]]
    assert len(await world.sent_orders("NEWUSDT")) == 2

    shown = await world.command("trades", "show", str(bought["id"]))
    assert "max_daily_spend" in shown
    assert "durable" in shown
    assert "Every row is as it was written" in await world.command("audit", "verify")


async def test_scenario_3_a_safety_constraint_prevents_a_trade(world: World) -> None:
    """The limit is reached: the next order is recorded as rejected with the limit's name and never reaches the
    exchange, and operators see why."""
    await world.prepare("--max-trades-per-hour", "1", "--take-profit", "none", "--time-limit-s", "none")
    await world.start_engine()
    await world.command("run", "start", "main", "main")
    await world.list_now("FIRSTUSDT")
    await world.eventually_order("FIRSTUSDT", "buy", "filled")

    await world.list_now("SECONDUSDT")
    blocked = await world.eventually_order("SECONDUSDT", "buy", "rejected")
    assert blocked["error_code"] == "SAFETY_CONSTRAINT"
    assert "max_trades_per_hour" in blocked["error_reason"]
    assert [order["symbol"] for order in await world.sent_orders()] == ["FIRSTUSDT"]
    told = (
        "SELECT details->>'limit' FROM system_events WHERE details->>'code' = 'SAFETY_CONSTRAINT' AND level = 'warning'"
    )
    assert await world.eventually(lambda: world.value(told), "operators are told") == "max_trades_per_hour"


async def test_scenario_5_a_killed_engine_leaves_a_failed_run_and_a_clean_restart(world: World) -> None:
    """After kill -9 the next engine marks the run failed with a reason, keeps the position's exit armed, and a new run
    starts under a new id."""
    await world.prepare("--take-profit", "0.10", "--time-limit-s", "none")
    await world.start_engine()
    run = await world.read("run", "start", "main", "main")
    await world.list_now("HELDUSDT", price="0.5", path="flat")
    await world.eventually_order("HELDUSDT", "buy", "filled")

    await world.kill_engine()
    assert await world.value("SELECT status FROM bot_runs") == "running"
    await world.start_engine()

    async def failed() -> str | None:
        reason: str | None = await world.value("SELECT error_message FROM bot_runs WHERE status = 'failed'")
        return reason

    assert "ended" in await world.eventually(failed, "the killed run is failed")
    await world.control("prices", symbol="HELDUSDT", price="0.6")
    await world.eventually_order("HELDUSDT", "sell", "filled")
    again = await world.read("run", "start", "main", "main")
    assert again["status"] == "running"
    assert again["id"] != run["id"]
    assert await world.stop_engine() == 0
    assert await world.value("SELECT count(*) FROM bot_runs WHERE status NOT IN ('failed', 'stopped')") == 0


async def test_g3_simulation_is_the_default_and_sends_nothing(world: World) -> None:
    """Without both keys a listing is filled on the live book, marked as simulated, and the exchange sees no order."""
    await world.prepare("--take-profit", "none", "--time-limit-s", "none", live=False)
    await world.start_engine()
    await world.command("run", "start", "main", "main")
    await world.list_now("PAPERUSDT")
    filled = await world.eventually_order("PAPERUSDT", "buy", "filled")
    assert filled["mode"] == "simulation"
    assert filled["fill_model"] == "book-walk-v1"
    assert filled["executed_quote"] <= 20
    assert await world.sent_orders() == []


async def test_g2_the_kill_switch_blocks_entries_at_once_and_survives_a_restart(world: World) -> None:
    """On: a listing is recorded as blocked, nothing is sent; it stays on over a restart until an operator lifts it."""
    await world.prepare("--take-profit", "none", "--time-limit-s", "none")
    await world.start_engine()
    await world.command("run", "start", "main", "main")
    await world.command("kill-switch", "on", "--reason", "test")
    await world.list_now("BLOCKEDUSDT")
    blocked = await world.eventually_order("BLOCKEDUSDT", "buy", "rejected")
    assert (blocked["error_code"], "kill_switch" in blocked["error_reason"]) == ("SAFETY_CONSTRAINT", True)

    await world.stop_engine()
    await world.start_engine()
    await world.command("run", "start", "main", "main")
    await world.list_now("STILLUSDT")
    await world.eventually_order("STILLUSDT", "buy", "rejected")
    assert await world.sent_orders() == []

    await world.command("kill-switch", "off", "--reason", "test over")
    await world.list_now("FREEUSDT")
    await world.eventually_order("FREEUSDT", "buy", "filled")


async def test_p1_a_lost_answer_is_settled_by_evidence_and_never_sent_twice(world: World) -> None:
    """The exchange takes the order and the answer is lost: the order is unknown, then found, and bought once."""
    await world.prepare("--take-profit", "none", "--time-limit-s", "none")
    await world.start_engine()
    await world.command("run", "start", "main", "main")
    await world.control(
        "faults", faults=[{"kind": "answer_lost_after_accept", "target": "/api/v3/order", "method": "POST", "times": 1}]
    )
    await world.list_now("LOSTUSDT")
    order = await world.eventually_order("LOSTUSDT", "buy", "filled")
    assert order["unknown_since"] is None
    assert order["exchange_order_id"] is not None
    assert len(await world.sent_orders("LOSTUSDT")) == 1


async def test_g4_a_live_run_without_credentials_is_refused_with_what_is_missing(world: World) -> None:
    """No credentials: the start names the variable, the file and the keyring entry that would help."""
    await world.prepare()
    del world.environment["SIGNALBOX_ACCOUNT_MAIN_API_SECRET"]
    await world.start_engine()
    refused = await world.command("run", "start", "main", "main", expect=1)
    assert "SIGNALBOX_ACCOUNT_MAIN_API_SECRET" in refused.replace("\n", "")
    assert "main.api_secret" in refused.replace("\n", "")


async def test_a_ledger_that_is_away_stops_new_orders_and_comes_back_by_itself(world: World) -> None:
    """While nobody can connect to the database nothing is sent; what is still fresh afterwards is bought, once."""
    await world.prepare("--take-profit", "none", "--time-limit-s", "none")
    await world.start_engine()
    await world.command("run", "start", "main", "main")
    await allow_connections(world.database_url, allowed=False)
    await world.list_now("AWAYUSDT")
    assert await world.sent_orders() == []
    await allow_connections(world.database_url, allowed=True)

    async def back() -> bool:
        health = await world.value("SELECT status FROM bot_health WHERE component_name = 'intents'")
        return bool(health == "running")

    await world.eventually(back, "the ledger is back")
    await world.eventually_order("AWAYUSDT", "buy", "filled")
    assert len(await world.sent_orders("AWAYUSDT")) == 1
    await world.list_now("BACKUSDT")
    await world.eventually_order("BACKUSDT", "buy", "filled")
