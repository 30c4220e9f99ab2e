"""S5: exits on live prices, after a restart, and when the exchange does not simply take them."""

from collections.abc import AsyncIterator
from decimal import Decimal
from functools import partial
from pathlib import Path

import asyncpg
import pytest
from tests.e2e.world import World, allow_connections, open_world

SYMBOL = "EXITUSDT"


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(database_url, tmp_path) as opened:
        yield opened


async def _hold(world: World, *plan: str, **listing: object) -> asyncpg.Record:
    """Buy EXITUSDT at 0.5 under an exit plan; the order that bought it."""
    rules = ("--take-profit", "none", "--time-limit-s", "none")
    await world.prepare(*rules, *plan)
    await world.start_engine()
    await world.command("run", "start", "main", "main")
    await world.list_now(SYMBOL, **{"price": "0.5", "path": "flat", "depth_notional": "4000"} | listing)
    return await world.eventually_order(SYMBOL, "buy", "filled")


async def _price(world: World, price: str) -> None:
    await world.control("prices", symbol=SYMBOL, price=price)


async def _sales(world: World, status: str = "filled") -> list[asyncpg.Record]:
    return await world.rows(
        "SELECT o.*, d.exit_rule, d.reason FROM trade_orders o JOIN strategy_decisions d ON d.id = o.decision_id"
        " WHERE o.symbol = $1 AND o.side = 'sell' AND o.status = $2 ORDER BY o.created_at",
        SYMBOL,
        status,
    )


async def _closed(world: World) -> asyncpg.Record:
    """The position once it is closed; the exchange has as little of the coin then."""

    async def closed() -> list[asyncpg.Record]:
        return await world.rows("SELECT * FROM positions WHERE status = 'closed'")

    rows: list[asyncpg.Record] = await world.eventually(closed, "the position is closed")
    held = world.exchange.exchange.accounts.all[0].balance("EXIT")
    assert held.free == rows[0]["quantity"]
    assert held.locked == 0
    return rows[0]


async def _alert(world: World, kind: str, *, is_open: bool) -> asyncpg.Record:
    async def found() -> list[asyncpg.Record]:
        return await world.rows(
            "SELECT * FROM alerts WHERE kind = $1 AND (resolved_at IS NULL) = $2 ORDER BY id DESC", kind, is_open
        )

    rows: list[asyncpg.Record] = await world.eventually(found, f"an alert {kind}, open: {is_open}")
    return rows[0]


async def test_s5_levels_sell_their_parts_and_the_stop_loss_the_rest(world: World) -> None:
    bought = await _hold(
        world, "--take-profit-level", "0.2:0.5", "--take-profit-level", "0.4:0.25", "--stop-loss", "0.2"
    )
    quantity = bought["executed_quantity"]
    lot = Decimal("0.01")
    for number, (price, part) in enumerate((("0.63", "0.5"), ("0.74", "0.25")), start=1):
        await _price(world, price)
        await world.eventually(partial(_sold, world, number), f"the level at {price} is sold")
        sale = (await _sales(world))[-1]
        assert quantity * Decimal(part) - lot < sale["executed_quantity"] <= quantity * Decimal(part)
        assert sale["exit_rule"] == "take_profit"
    (row,) = await world.read("positions")
    assert row["sold_when"] == ["it falls to 0.4008 (-20%)"]
    assert "level 2 of 2" in await world.command("trades", "show", str((await _sales(world))[-1]["id"]))

    await _price(world, "0.3")
    position = await _closed(world)
    sales = await _sales(world)
    assert [sale["exit_rule"] for sale in sales] == ["take_profit", "take_profit", "stop_loss"]
    assert sum(sale["executed_quantity"] for sale in sales) == quantity
    assert position["bought"] == quantity


async def _sold(world: World, count: int) -> bool:
    return len(await _sales(world)) >= count


async def test_s5_a_trailing_stop_fires_after_a_restart_because_of_a_peak_before_it(world: World) -> None:
    await _hold(world, "--trailing-stop", "0.1", "--trailing-activation", "0.2")
    await _price(world, "0.8")

    async def stored() -> bool:
        peak = await world.value("SELECT highest_bid FROM positions")
        return peak is not None and peak > Decimal("0.75")

    await world.eventually(stored, "the peak is stored")
    await world.kill_engine()
    assert await _sales(world) == []
    await _price(world, "0.65")  # 30 % above the entry, and 19 % below the highest bid, which only the ledger remembers
    await world.start_engine()
    await _closed(world)
    (sale,) = await _sales(world)
    assert sale["exit_rule"] == "trailing_stop"
    assert "the highest was 0.79" in sale["reason"]


async def test_s5_market_orders_off_during_an_exit_make_it_a_limit_sale(world: World) -> None:
    await _hold(world, "--stop-loss", "0.2")
    await world.control("settings", market_orders_off=True)
    await _price(world, "0.3")
    await _closed(world)
    (refused,) = await _sales(world, "rejected")
    assert refused["error_code"] == "30051"
    (sale,) = await _sales(world)
    assert (sale["order_type"], sale["time_in_force"]) == ("limit", "IOC")
    assert sale["limit_price"] < sale["executed_price"]
    alert = await _alert(world, "exit_refused", is_open=False)
    assert alert["resolution"].startswith("sold: stop_loss")


async def test_s5_market_orders_that_are_cancelled_in_the_first_minute_become_limit_sales(world: World) -> None:
    await _hold(world, "--stop-loss", "0.2")
    await world.control("settings", market_cancel_ms=60_000)
    await _price(world, "0.3")
    await _closed(world)
    (cancelled,) = await _sales(world, "rejected")
    assert cancelled["error_code"] == "CANCELLED_BY_VENUE"
    assert (await _sales(world))[0]["order_type"] == "limit"


async def test_s5_an_exit_waits_out_the_buy_only_phase(world: World) -> None:
    await _hold(world, "--stop-loss", "0.2", buy_only_ms=600_000)
    await _price(world, "0.3")
    alert = await _alert(world, "exit_refused", is_open=True)
    assert "30001" in alert["message"]
    await world.eventually(lambda: _refused(world, 2), "it is tried again")
    await world.change_listing(SYMBOL, buy_only_ms=0)
    await _closed(world)
    assert {row["error_code"] for row in await _sales(world, "rejected")} == {"30001"}
    assert (await _sales(world))[0]["order_type"] == "market"
    await _alert(world, "exit_refused", is_open=False)


async def test_s5_a_stop_that_fired_is_carried_out_after_a_kill_though_the_price_recovered(world: World) -> None:
    await _hold(world, "--stop-loss", "0.2", buy_only_ms=600_000)
    await _price(world, "0.3")
    await world.eventually(lambda: _refused(world, 1), "the stop fired and was refused")
    await world.kill_engine()
    await _price(world, "0.6")
    (row,) = await world.read("positions")
    assert row["sold_when"] == ["as soon as the exchange takes it: the stop loss has fired"]
    await world.change_listing(SYMBOL, buy_only_ms=0)
    await world.start_engine()
    await _closed(world)
    (sale,) = await _sales(world)
    assert sale["exit_rule"] == "stop_loss"
    assert "fired before" in sale["reason"]


async def _refused(world: World, count: int) -> bool:
    return len(await _sales(world, "rejected")) >= count


async def test_s5_a_halt_is_waited_out(world: World) -> None:
    await _hold(world, "--stop-loss", "0.2")
    await _price(world, "0.42")  # just above the stop
    await world.change_listing(SYMBOL, halted=True)
    position = await world.value("SELECT id FROM positions")
    await world.command("kill-switch", "on", "--mode", "flatten", "--reason", "a test")
    alert = await _alert(world, "exit_refused", is_open=True)
    assert "30016" in alert["message"]
    assert alert["details"] is not None
    await world.change_listing(SYMBOL, halted=False)
    closed = await _closed(world)
    assert closed["id"] == position
    assert (await _sales(world))[0]["exit_rule"] == "flatten"


async def test_s5_less_in_the_wallet_than_in_the_books_is_sold_and_told(world: World) -> None:
    bought = await _hold(world, "--stop-loss", "0.2")
    await world.control("balances", label="main", asset="EXIT", change="-10")
    await _price(world, "0.3")
    await world.eventually(lambda: _sold(world, 1), "what is there is sold")
    (sale,) = await _sales(world)
    assert sale["executed_quantity"] == bought["executed_quantity"] - 10
    (oversold,) = await _sales(world, "rejected")
    assert oversold["error_code"] == "30005"
    alert = await _alert(world, "position_mismatch", is_open=True)
    assert alert["subject"] == "main EXIT"
    held = world.exchange.exchange.accounts.all[0].balance("EXIT")
    assert held.free == held.locked == 0


async def test_s5_a_stop_loss_fires_by_asking_while_no_price_is_pushed(world: World) -> None:
    """The price stream's connection is cut and not let in again; the other prices come by asking."""
    await _hold(world, "--stop-loss", "0.2")
    await world.control("faults", faults=[{"kind": "refuse_connection", "target": "/ws", "times": None}])
    await world.control("disconnect")
    await _price(world, "0.3")
    await _closed(world)
    (sale,) = await _sales(world)
    assert sale["exit_rule"] == "stop_loss"
    status = await world.value("SELECT status FROM bot_health WHERE component_name = 'prices.stream'")
    assert status in {"degraded", "stopped"}


async def test_s5_an_exit_while_the_ledger_is_away_comes_when_it_is_back(world: World) -> None:
    await _hold(world, "--stop-loss", "0.2")
    await allow_connections(world.database_url, allowed=False)
    await _price(world, "0.3")

    async def told() -> bool:
        return "exit_refused" in (world.folder / "engine.log").read_text()

    await world.eventually(told, "the exit that cannot be made durable is told")
    assert [order["side"] for order in await world.sent_orders(SYMBOL)] == ["BUY"]
    await allow_connections(world.database_url, allowed=True)
    await _closed(world)
    await _alert(world, "exit_refused", is_open=False)
