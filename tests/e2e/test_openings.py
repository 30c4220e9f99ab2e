"""Announced listings bought at their second, end to end: a simulated exchange, and everything else as users run it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.e2e.operating import open_operator
from tests.e2e.world import World, open_world

from signalbox.simulators.mexc.options import Switches

KEEPING = ("--calendar-interval-s", "1", "--take-profit", "none", "--time-limit-s", "none")
IN_MS = 5_000
"""Long enough for the calendar to be read and everything to be warm."""

PUNCTUAL_MS = 500
"""How late an order may be on a machine that runs other tests besides: the bench measures how late it is."""


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(database_url, tmp_path) as opened:
        yield opened


async def running(world: World, *configuration: str) -> None:
    """An engine with a live run that keeps what it buys."""
    await world.prepare(*KEEPING, *configuration)
    await world.start_engine()
    await world.command("run", "start", "main", "main")


async def announce(world: World, symbol: str, in_ms: int = IN_MS, **options: Any) -> int:
    """Announce a listing; when it opens, by the exchange's clock."""
    described = await world.control("listings", symbol=symbol, open_in_ms=in_ms, path="flat", **options)
    return int(described["published_open_ms"])


async def entries(world: World, symbol: str) -> list[asyncpg.Record]:
    """The entry orders of a symbol, as the ledger has them."""
    return await world.rows(
        "SELECT * FROM trade_orders WHERE symbol = $1 AND side = 'buy' ORDER BY attempt, created_at", symbol
    )


async def ended(world: World, symbol: str) -> list[asyncpg.Record]:
    """The entry orders, once the listing's capacity is free."""

    async def over() -> bool:
        held = "SELECT count(*) FROM reservations WHERE symbol = $1 AND state = 'held'"
        return bool(await entries(world, symbol)) and await world.value(held, symbol) == 0

    await world.eventually(over, f"the entry for {symbol} has ended")
    return await entries(world, symbol)


async def after_opening_ms(world: World, symbol: str, opens_at_ms: int) -> list[float]:
    """When the orders arrived, in milliseconds after the opening at the exchange's clock."""
    return [order["arrived_utc_ms"] - opens_at_ms for order in await world.sent_orders(symbol)]


@pytest.mark.parametrize(("offset_ms", "lead_ms"), [(0, 0), (137, 20), (-2400, 250)])
async def test_s2_an_announced_listing_is_bought_on_time_by_the_exchanges_clock(
    database_url: str, tmp_path: Path, offset_ms: int, lead_ms: int
) -> None:
    switches = Switches(clock_offset_ms=offset_ms)
    async with open_world(database_url, tmp_path, switches=switches) as world:
        await running(world, "--opening-lead-ms", str(lead_ms))
        opens_at = await announce(world, "SOONUSDT")
        bought = await world.eventually_order("SOONUSDT", "buy", "filled")
        arrived = await after_opening_ms(world, "SOONUSDT", opens_at)
        assert all(after - lead_ms >= -3 for after in arrived)
        assert arrived[0] - lead_ms <= PUNCTUAL_MS
        assert bought["durable_at"] < bought["due_at"]
        assert bought["created_at"] < bought["due_at"]
        shown = await world.command("trades", "show", str(bought["id"]))
        assert "due at the exchange" in shown


async def test_s2_listings_that_open_late_are_tried_until_they_do(world: World) -> None:
    """One after the other, each with another of the codes that may mean "not yet"."""
    codes = {f"LATE{number}USDT": code for number, code in enumerate([30001, 30016, 30000, 30025, 10007, -1121])}
    await running(world, "--max-concurrent-listings", str(len(codes)))
    opens_at = {}
    for number, (symbol, code) in enumerate(codes.items()):
        in_ms = IN_MS + 2_500 * number
        opens_at[symbol] = await announce(world, symbol, in_ms, late_ms=1_500, pre_open_code=code)
    for symbol, code in codes.items():
        rows = await ended(world, symbol)
        assert [row["status"] for row in rows] == ["rejected"] * (len(rows) - 1) + ["filled"]
        assert {row["error_code"] for row in rows[:-1]} == {str(code)}
        assert len({row["client_order_id"] for row in rows}) == len(rows)
        arrived = await after_opening_ms(world, symbol, opens_at[symbol])
        assert 1_500 <= arrived[-1] <= 1_500 + 2_000  # when exactly is a case of virtual time
        assert len(arrived) >= 4


async def test_a_pair_that_never_opens_to_the_api_is_given_up_with_the_reason(world: World) -> None:
    await running(world)
    await announce(world, "WEBUSDT", api_tradable=False)
    rows = await ended(world, "WEBUSDT")
    assert {row["error_code"] for row in rows} == {"10007"}
    assert "given up: still so" in rows[-1]["error_reason"]
    lasted = rows[-1]["submitted_at"] - rows[0]["due_at"]
    assert 4.5 < lasted.total_seconds() < 6


async def test_s2_a_listing_moved_in_its_last_seconds_is_bought_at_its_new_time(world: World) -> None:
    await running(world)
    opens_at = await announce(world, "MOVEUSDT", 7_000, moves=[[3_000, 11_000]])
    rows = await ended(world, "MOVEUSDT")
    filled = [row for row in rows if row["status"] == "filled"]
    assert len(filled) == 1
    (arrived,) = await after_opening_ms(world, "MOVEUSDT", opens_at + 4_000)
    assert -3 <= arrived <= PUNCTUAL_MS


async def test_s2_a_listing_taken_back_in_its_last_seconds_is_not_bought(world: World) -> None:
    await running(world)
    await announce(world, "GONEUSDT", 9_000, moves=[[3_000, None]])
    await announce(world, "NEXTUSDT", 11_000)
    await world.eventually_order("NEXTUSDT", "buy", "filled")
    assert await world.sent_orders("GONEUSDT") == []
    assert await world.value("SELECT count(*) FROM reservations WHERE state = 'held'") == 0


@pytest.mark.parametrize("stopped_by", ["kill_switch", "run_active"])
async def test_g2_an_order_that_waits_for_its_opening_is_stopped(world: World, stopped_by: str) -> None:
    """By the kill switch, or by the stop of its run: it is never sent, and its capacity is free again."""
    await running(world)
    await announce(world, "HALTUSDT")

    async def waits() -> bool:
        return bool(await world.value("SELECT count(*) FROM trade_orders WHERE status = 'pending'") == 1)

    async with open_operator(world) as operator:
        await world.eventually(waits, "an order waits")
        if stopped_by == "kill_switch":
            await operator.throw_kill_switch()
        else:
            await operator.stop_run()
    (row,) = await ended(world, "HALTUSDT")
    assert (row["status"], row["error_code"], row["error_reason"]) == ("failed", "SAFETY_CONSTRAINT", stopped_by)
    assert await world.sent_orders() == []


async def test_s4_market_orders_that_are_off_become_a_limit_at_once(world: World) -> None:
    await world.control("settings", market_orders_off=True)
    await running(world)
    opens_at = await announce(world, "NOMKTUSDT")
    rows = await ended(world, "NOMKTUSDT")
    assert [(row["order_type"], row["status"]) for row in rows[-2:]] == [("market", "rejected"), ("limit", "filled")]
    assert rows[-2]["error_code"] == "30051"
    assert len(await after_opening_ms(world, "NOMKTUSDT", opens_at)) == len(rows)  # nothing was sent beside them


async def test_s4_a_market_order_cancelled_in_the_first_minute_becomes_a_limit(world: World) -> None:
    await world.control("settings", market_cancel_ms=60_000)
    await running(world)
    await announce(world, "FIRSTUSDT")
    rows = await ended(world, "FIRSTUSDT")
    assert [(row["order_type"], row["error_code"]) for row in rows[-2:]] == [
        ("market", "CANCELLED_BY_VENUE"),
        ("limit", None),
    ]
    assert rows[-1]["status"] == "filled"


@pytest.mark.parametrize("text", ["cannot_exceed", "not_higher"])
async def test_s4_the_exchanges_highest_price_is_read_from_either_text_and_kept(world: World, text: str) -> None:
    await world.control("settings", cap_text=text)
    await running(world, "--order-style", "ioc_limit", "--max-price", "0.9", "--max-slippage", "0.15")
    await announce(world, "CAPUSDT", price="0.5", opening_cap="0.52")
    rows = await ended(world, "CAPUSDT")
    assert rows[-1]["status"] == "filled"
    assert rows[-1]["limit_price"] <= 0.52
    assert "30010" in {row["error_code"] for row in rows[:-1]}


async def test_three_listings_at_the_same_second_stay_inside_the_accounts_pace(world: World) -> None:
    """Twelve orders and cancels in a second are allowed: entries leave four of them free, and nobody is left out."""
    await world.control("rate-limits", enforced=True)
    await running(world, "--burst-interval-ms", "85")
    symbols = ["ONEUSDT", "TWOUSDT", "THREEUSDT"]
    described = [await announce(world, symbol, 6_000, late_ms=2_000) for symbol in symbols]
    await asyncio.gather(*(world.eventually_order(symbol, "buy", "filled") for symbol in symbols))
    assert max(described) - min(described) < 1_000
    sent = await world.sent_orders()
    arrived = sorted(order["arrived_ns"] for order in sent)
    for first in arrived:
        # Eight leave in a second (a case of virtual time); one that is held up on its way arrives with later ones.
        assert sum(first <= at < first + 990_000_000 for at in arrived) <= 10
    assert 429 not in {order["code"] for order in sent}
    counts = [sum(order["symbol"] == symbol for order in sent) for symbol in symbols]
    assert max(counts) - min(counts) <= 3
