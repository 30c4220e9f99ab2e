"""G5, end to end: the exchange throttles, bans or goes away, the network is cut, the ledger restarts."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.e2e.world import World, allow_connections, open_world

ORDER = {"target": "/api/v3/order", "method": "POST"}
HELD = ("--take-profit", "none", "--stop-loss", "none", "--time-limit-s", "none")


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A bot at work."""
    async with open_world(database_url, tmp_path) as opened:
        await opened.prepare(*HELD)
        await opened.start_engine()
        await opened.command("run", "start", "main", "main")
        yield opened


async def until_alert(world: World, kind: str, *, over: bool = False, patience_s: float = 30.0) -> Any:
    state = "NOT NULL" if over else "NULL"

    async def found() -> list[Any]:
        return await world.rows(f"SELECT * FROM alerts WHERE kind = $1 AND resolved_at IS {state}", kind)  # noqa: S608 - constant

    rows = await world.eventually(found, f"an alert {kind} is {'over' if over else 'open'}", patience_s)
    return rows[0]


async def orders_of(world: World, symbol: str) -> list[asyncpg.Record]:
    return await world.rows("SELECT * FROM trade_orders WHERE symbol = $1 ORDER BY attempt", symbol)


async def until_ended(world: World, symbol: str) -> list[asyncpg.Record]:
    """The orders of a symbol once none of them is under way, and its reservation ended."""

    async def found() -> list[asyncpg.Record]:
        held = await world.value("SELECT count(*) FROM reservations WHERE symbol = $1 AND state = 'held'", symbol)
        rows = await orders_of(world, symbol)
        return rows if rows and not held and all(row["status"] not in ("pending", "submitted") for row in rows) else []

    rows: list[asyncpg.Record] = await world.eventually(found, f"the orders for {symbol} ended")
    return rows


async def books_are_equal(world: World) -> None:
    """What the exchange executed is what the ledger has, order by order."""
    executed = {order["clientOrderId"]: Decimal(order["executedQty"]) for order in await world.exchange_orders()}
    theirs = {name: quantity for name, quantity in executed.items() if quantity > 0}
    rows = await world.rows("SELECT client_order_id, executed_quantity FROM trade_orders WHERE status = 'filled'")
    assert {row["client_order_id"]: row["executed_quantity"] for row in rows} == theirs
    assert theirs


@pytest.mark.parametrize("retry_after", [2, None])
async def test_g5_a_429_during_an_opening_delays_the_order_and_loses_nothing(
    world: World, retry_after: int | None
) -> None:
    """With or without a time: silence, then the same signal is sent, once."""
    await world.control("faults", faults=[{"kind": "rate_limited", "retry_after": retry_after, **ORDER}])
    await world.list_now("BUSYUSDT")
    await world.eventually_order("BUSYUSDT", "buy", "filled")
    first, *_, last = await orders_of(world, "BUSYUSDT")
    assert (first["status"], first["error_code"]) == ("rejected", "429")
    assert last["submitted_at"] - first["submitted_at"] >= timedelta(seconds=retry_after or 1)
    received = await world.sent_orders("BUSYUSDT")
    gap_s = (received[-1]["arrived_ns"] - received[0]["arrived_ns"]) / 1e9
    assert len(received) == 2 or retry_after is None
    assert gap_s >= (retry_after or 1) - 0.05
    alert = await until_alert(world, "venue_throttled", over=True)
    assert "too many requests" in alert["message"]
    await books_are_equal(world)


async def test_g5_a_ban_is_obeyed_and_what_goes_stale_meanwhile_is_recorded(world: World) -> None:
    await world.control("faults", faults=[{"kind": "error_before_accept", "status": 418, **ORDER}])
    await world.list_now("BANNEDUSDT")
    banned = await until_ended(world, "BANNEDUSDT")
    assert [(row["status"], row["error_code"]) for row in banned] == [("rejected", "HTTP_418")]
    assert "dropped as stale" in banned[0]["error_reason"]
    alert = await until_alert(world, "venue_throttled")
    assert (alert["severity"], "banned" in alert["message"]) == ("critical", True)
    health = await world.value("SELECT status FROM bot_health WHERE component_name = 'venue.mexc.budget'")
    assert health == "degraded"
    assert "CRITICAL venue_throttled" in await world.command("run", "status")

    await world.list_now("SILENTUSDT")
    silent = await until_ended(world, "SILENTUSDT")
    assert {(row["status"], row["error_code"]) for row in silent[-1:]} == {("failed", "STALE")}
    told = "SELECT count(*) FROM system_events WHERE message LIKE '%SILENTUSDT%dropped as stale%'"
    assert await world.value(told) == 1
    assert await world.sent_orders("SILENTUSDT") == [], "not a single request leaves during a ban"


async def test_g5_a_storm_of_server_errors_is_an_outage_and_ends_with_the_first_answer(world: World) -> None:
    """An order that is sent into the storm is settled by evidence afterwards, neither lost nor doubled."""
    await world.control("faults", faults=[{"kind": "error_after_accept", "target": "/api/v3", "times": None}])
    await world.list_now("STORMUSDT")
    alert = await until_alert(world, "venue_outage", patience_s=60)
    assert "has not answered for" in alert["message"]
    assert "HTTP 503" in alert["message"]
    assert "CRITICAL venue_outage" in await world.command("run", "status")
    await world.calm()
    await until_alert(world, "venue_outage", over=True, patience_s=60)
    rows = await until_ended(world, "STORMUSDT")
    assert [row["status"] for row in rows] == ["filled"]
    assert len(await world.sent_orders("STORMUSDT")) == 1
    await world.list_now("AFTERUSDT")
    await world.eventually_order("AFTERUSDT", "buy", "filled")
    await books_are_equal(world)


async def test_g5_a_cut_network_is_told_and_the_gap_is_closed_after_it(world: World) -> None:
    """Neither requests nor the stream get through; a listing of that time is found when the network is back."""
    await world.control("faults", faults=[{"kind": "refuse_connection", "times": None}])
    await world.control("disconnect")
    await until_alert(world, "venue_outage", patience_s=60)
    await world.list_now("GAPUSDT", push_now=False)
    await world.calm()
    await until_alert(world, "venue_outage", over=True, patience_s=60)
    await world.eventually_order("GAPUSDT", "buy", "filled")
    assert len(await world.sent_orders("GAPUSDT")) == 1
    await books_are_equal(world)


async def test_g5_a_ledger_that_restarts_keeps_fresh_signals_and_drops_stale_ones_with_a_record(world: World) -> None:
    await allow_connections(world.database_url, allowed=False)
    await world.list_now("FRESHUSDT")
    await asyncio.sleep(2)
    assert await world.sent_orders() == [], "no order leaves without a committed intent"
    await allow_connections(world.database_url, allowed=True)
    await world.eventually_order("FRESHUSDT", "buy", "filled")
    alert = await until_alert(world, "ledger_away", over=True)
    assert alert["severity"] == "critical"

    await allow_connections(world.database_url, allowed=False)
    await world.list_now("STALEUSDT")
    await asyncio.sleep(11)
    await allow_connections(world.database_url, allowed=True)

    async def skipped() -> list[asyncpg.Record]:
        return await world.rows(
            "SELECT d.* FROM strategy_decisions d JOIN listing_signals s ON s.id = d.listing_signal_id"
            " WHERE s.symbol = 'STALEUSDT'"
        )

    (decision,) = await world.eventually(skipped, "the stale signal is recorded")
    assert (decision["decision"], decision["skip_code"]) == ("skip", "STALE")
    assert {order["symbol"] for order in await world.sent_orders()} == {"FRESHUSDT"}
    assert await world.value("SELECT status FROM bot_runs") == "running"
    await world.list_now("BACKUSDT")
    await world.eventually_order("BACKUSDT", "buy", "filled")
    await books_are_equal(world)
