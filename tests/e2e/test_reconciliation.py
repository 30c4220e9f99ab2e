"""The books against an exchange that tells things late, twice, or not at all; what is not ours is shown."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.crash.books import at_rest, differences
from tests.e2e.world import World, open_world
from tests.venue_examples import RecordedEvents, example_order, no_jitter

from signalbox.domain.credentials import Credentials, Secret
from signalbox.domain.orders import Accepted, OrderType, Side, StageTimes, TimeInForce
from signalbox.engine.clock import SystemClock
from signalbox.venues.mexc.client import open_orders
from signalbox.venues.mexc.endpoints import MexcEndpoints

SYMBOL = "LATEUSDT"
QUIET = {"price": "0.5", "path": "flat", "depth_notional": "4000"}


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(database_url, tmp_path) as opened:
        yield opened


async def _start(world: World, *configuration: str) -> None:
    await world.prepare(
        "--take-profit", "0.10", "--time-limit-s", "none", "--order-style", "market", "--freshness-s", "4",
        *configuration,
    )  # fmt: skip
    await world.start_engine()
    await world.command("run", "start", "main", "main")


async def _revised(world: World, revision: int = 2) -> asyncpg.Record:
    async def found() -> list[asyncpg.Record]:
        return await world.rows(
            "SELECT * FROM trade_orders WHERE symbol = $1 AND side = 'buy' AND revision = $2", SYMBOL, revision
        )

    rows: list[asyncpg.Record] = await world.eventually(found, f"the order is at revision {revision}")
    return rows[0]


async def _sold(world: World) -> None:
    """The take-profit sells what is held, and the books are the exchange's."""
    await world.control("prices", symbol=SYMBOL, price="0.6")
    await world.eventually_order(SYMBOL, "sell", "filled")
    await world.command("run", "stop", "main")
    await world.eventually(lambda: at_rest(world), "everything is at rest")
    assert await differences(world) == []


async def _alert(world: World, kind: str) -> asyncpg.Record:
    async def found() -> list[asyncpg.Record]:
        return await world.rows("SELECT * FROM alerts WHERE kind = $1", kind)

    rows: list[asyncpg.Record] = await world.eventually(found, f"an alert {kind}")
    return rows[0]


async def _kinds(world: World) -> list[str]:
    rows = await world.rows("SELECT differences FROM reconciliations ORDER BY id")
    return [found["kind"] for row in rows for found in json.loads(row["differences"])]


async def _look_at_everything(world: World) -> None:
    """The private stream is cut: when it is back, a whole comparison closes the gap."""
    before = await world.value("SELECT count(*) FROM reconciliations")
    await world.control("disconnect")

    async def compared() -> bool:
        return bool(await world.value("SELECT count(*) FROM reconciliations") > before)

    await world.eventually(compared, "another comparison")


async def test_an_execution_after_the_exchange_called_the_order_cancelled_is_booked_and_sold(world: World) -> None:
    await _start(world)
    await world.control("faults", faults=[{"kind": "late_execution", "target": SYMBOL, "latency_ms": 1_500}])
    await world.list_now(SYMBOL, **QUIET)
    closed = await world.eventually_order(SYMBOL, "buy", "rejected")
    assert (closed["error_code"], closed["revision"]) == ("CANCELLED_BY_VENUE", 1)
    revised = await _revised(world)
    assert revised["status"] == "filled"
    assert revised["executed_quantity"] > 0
    logs = await world.rows("SELECT revision FROM trade_logs WHERE order_id = $1 ORDER BY sequence", revised["id"])
    assert [row["revision"] for row in logs] == [1, 2]
    alert = await _alert(world, "late_fill")
    assert revised["client_order_id"] == alert["subject"]
    await _sold(world)
    assert "revision 2" in await world.command("trades", "show", str(revised["id"]))


async def test_an_order_that_appears_after_it_was_not_found_is_booked_at_the_next_start(world: World) -> None:
    """The answer is lost and look-ups show the order late: not found, then found by the first comparison."""
    await _start(world)
    await world.control("settings", order_visible_after_ms=60_000)
    await world.control(
        "faults", faults=[{"kind": "answer_lost_after_accept", "target": "/api/v3/order", "method": "POST", "times": 1}]
    )
    await world.list_now(SYMBOL, **QUIET)
    closed = await world.eventually_order(SYMBOL, "buy", "rejected")
    assert closed["error_code"] == "NOT_FOUND_AT_VENUE"
    await world.kill_engine()
    await world.control("settings", order_visible_after_ms=0)
    await world.start_engine()
    revised = await _revised(world)
    assert revised["status"] == "filled"
    await world.eventually_order(SYMBOL, "buy", "filled")
    await world.control("prices", symbol=SYMBOL, price="0.6")
    await world.eventually_order(SYMBOL, "sell", "filled")
    await world.eventually(lambda: at_rest(world), "everything is at rest")
    assert await differences(world) == []


async def test_executions_that_are_listed_late_are_awaited(world: World) -> None:
    """The order is final at once, its executions appear three seconds later; nothing is assumed meanwhile."""
    await _start(world)
    await world.control("settings", trades_visible_after_ms=3_000)
    await world.list_now(SYMBOL, **QUIET)
    await world.eventually_order(SYMBOL, "buy", "filled")
    assert await world.value("SELECT count(*) FROM fills WHERE exchange_trade_id LIKE '%:rest%'") == 0
    await _sold(world)
    assert await _kinds(world) == []


async def test_with_the_private_stream_down_everything_works_by_asking(world: World) -> None:
    await world.control(
        "faults", faults=[{"kind": "error_before_accept", "target": "/api/v3/userDataStream", "times": None}]
    )
    await _start(world)
    await world.list_now(SYMBOL, **QUIET)
    await world.eventually_order(SYMBOL, "buy", "filled")

    async def told() -> bool:
        status = await world.value("SELECT status FROM bot_health WHERE component_name = 'private_stream'")
        return bool(status == "degraded")

    await world.eventually(told, "the private stream is degraded")
    await _sold(world)


async def test_pushes_that_come_twice_late_broken_or_not_at_all_change_nothing(world: World) -> None:
    await _start(world)
    private = "spot@private"
    await world.control(
        "faults",
        faults=[
            {"kind": "push_missing", "target": private, "percent": 30, "times": None},
            {"kind": "push_duplicated", "target": private, "percent": 50, "times": None},
            {"kind": "push_delayed", "target": private, "percent": 50, "latency_ms": 300, "times": None},
            {"kind": "push_malformed", "target": private, "percent": 30, "times": None},
            {"kind": "disconnect", "target": private, "percent": 10, "times": None},
        ],
    )
    await world.list_now(SYMBOL, **QUIET)
    await world.eventually_order(SYMBOL, "buy", "filled")
    await _sold(world)
    assert await world.value("SELECT max(revision) FROM trade_orders") == 1
    assert await world.rows("SELECT * FROM external_orders") == []


async def test_comparing_twice_changes_nothing(world: World) -> None:
    await _start(world)
    await world.list_now(SYMBOL, **QUIET)
    await world.eventually_order(SYMBOL, "buy", "filled")
    await _sold(world)
    before = await _books(world)
    assert await world.stop_engine() == 0
    await world.start_engine()
    await world.command("run", "start", "main", "main")  # entries start after the first comparison
    assert await _books(world) == before
    assert await _kinds(world) == []
    shown = await world.command("account", "list")
    assert "agree" in shown
    doctor = await world.read("doctor")
    assert "they agree" in str(doctor)


async def _books(world: World) -> list[Any]:
    tables = ("trade_orders", "fills", "positions", "trade_logs", "external_orders")
    return [[tuple(row) for row in await world.rows(f"SELECT * FROM {table} ORDER BY 1")] for table in tables]  # noqa: S608 - ours


async def test_an_order_placed_by_hand_is_shown_once_and_left_alone(world: World) -> None:
    await _start(world)
    await world.list_now(SYMBOL, **QUIET)
    await world.eventually_order(SYMBOL, "buy", "filled")
    account = world.exchange.accounts[0]
    by_hand = open_orders(
        MexcEndpoints(
            rest_url=world.exchange.rest_url, ws_url=world.exchange.ws_url, calendar_url=world.exchange.calendar_url
        ),
        Credentials(api_key=str(account["api_key"]), api_secret=Secret(str(account["secret"]))),
        clock=SystemClock(),
        events=RecordedEvents(),
        jitter=no_jitter,
    )
    try:
        order = example_order(
            symbol=SYMBOL,
            side=Side.BUY,
            order_type=OrderType.LIMIT,
            time_in_force=TimeInForce.GTC,
            quantity=Decimal(10),
            limit_price=Decimal("0.45"),
        )
        assert isinstance(await by_hand.submit(order, StageTimes()), Accepted)
        alert = await _alert(world, "external_order")
        assert alert["count"] == 1
        row = (await world.rows("SELECT * FROM external_orders"))[0]
        assert (row["client_order_id"], row["status"]) == (order.client_order_id, "NEW")
        shown = await world.read("books", "external")
        assert [item["exchange_order_id"] for item in shown] == [row["exchange_order_id"]]
        await by_hand.cancel(order)

        async def cancelled() -> bool:
            return bool(await world.value("SELECT status FROM external_orders") == "CANCELED")

        await world.eventually(cancelled, "its end is known")
    finally:
        await by_hand.close()
    assert await world.value("SELECT count FROM alerts WHERE kind = 'external_order'") == 1
    assert len(await world.rows("SELECT * FROM trade_orders WHERE side = 'buy'")) == 1


async def test_money_that_moves_without_us_is_recorded_and_a_missing_coin_is_an_alert(world: World) -> None:
    await _start(world)
    await world.list_now(SYMBOL, **QUIET)
    bought = await world.eventually_order(SYMBOL, "buy", "filled")
    await _look_at_everything(world)
    wallet = world.exchange.exchange.accounts.all[0]
    wallet.receive("USDT", Decimal(250))
    wallet.pay_free("LATE", Decimal(5))
    await _look_at_everything(world)
    alert = await _alert(world, "position_mismatch")
    held = bought["executed_quantity"]
    assert f"hold {held.normalize():f} LATE" in alert["message"]
    assert f"only {(held - 5).normalize():f}" in alert["message"]
    moved = {row["asset"]: row["external_movement"] for row in await world.rows("SELECT * FROM account_balances")}
    assert (moved["USDT"], moved["LATE"]) == (Decimal(250), Decimal(-5))
    assert await world.value("SELECT quantity FROM positions") == held
    assert "less than our positions hold" in await world.command("books", "wallet")
    wallet.receive("LATE", Decimal(5))
    await _look_at_everything(world)

    async def resolved() -> bool:
        return bool(await world.value("SELECT resolved_at FROM alerts WHERE kind = 'position_mismatch'"))

    await world.eventually(resolved, "the alert is resolved")
