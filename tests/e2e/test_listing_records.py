"""Every listing that appears has its row: bought or missed, with the reason; and the sources race."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.world import World, open_world

QUIET = ("--take-profit", "none", "--time-limit-s", "none")


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(database_url, tmp_path) as opened:
        yield opened


async def _running(world: World, *configuration: str, **options: Any) -> None:
    await world.prepare(*QUIET, *configuration, **options)
    await world.start_engine()
    await world.command("run", "start", "main", "main")


async def _record(world: World, symbol: str, outcome: str) -> dict[str, Any]:
    """The record of a symbol once it has the outcome."""

    async def found() -> list[Any]:
        return await world.rows("SELECT * FROM listing_records WHERE symbol = $1 AND outcome = $2", symbol, outcome)

    (row,) = await world.eventually(found, f"the record of {symbol} is {outcome}")
    return dict(row)


async def test_three_sources_race_and_the_listing_is_traded(world: World) -> None:
    await _running(world, "--calendar-interval-s", "1")
    await world.list_later("RACEUSDT", 5000)

    async def three() -> bool:
        return bool(await world.value("SELECT count(*) = 3 FROM listing_sightings"))

    row = await _record(world, "RACEUSDT", "traded")
    await world.eventually(three, "all three sources have seen it")
    order = await world.eventually_order("RACEUSDT", "buy", "filled")
    assert row["decision_id"] == order["decision_id"]
    assert row["opens_at"] == row["listed_at"]
    assert not row["is_test"]

    async def looked_back() -> Any:
        return await world.value("SELECT book_read_at FROM listing_records WHERE book_quantity > 0")

    await world.eventually(looked_back, "the first book was read")
    board = await world.read("listings", "race")
    (seen,) = board["listings"]
    assert [one["lag_ms"] for one in seen["sightings"]] == sorted(
        (one["lag_ms"] for one in seen["sightings"]), key=Decimal
    )
    assert {one["source"] for one in seen["sightings"]} == {"calendar", "ticker_diff", "websocket"}
    assert (seen["outcome"], seen["latency_ms"]) == ("traded", str(order["latency_ms"]))
    assert sum(source["won"] for source in board["sources"]) == 1
    story = await world.command("listings", "show", "RACEUSDT")
    for word in ("announced", "first by", "decided", "bought", "First book"):
        assert word in story
    assert "RACEUSDT" in await world.command("listings")
    await world.command("listings", "inject", "racing")
    await _record(world, "RACING", "missed")
    assert [row["symbol"] for row in (await world.read("listings", "race"))["listings"]] == ["RACEUSDT"]
    assert [row["symbol"] for row in (await world.read("listings", "race", "--tests"))["listings"]] == ["RACING"]
    assert (await world.read("listings", "missed"))["listings"] == []


async def test_what_was_missed_says_why(world: World) -> None:
    """By pattern, by limit, closed to API trading, and by the kill switch: each with its own word."""
    await _running(world, "--deny", "BAD*", "--max-trades-per-hour", "2")
    await world.list_now("BADUSDT")
    await world.list_now("CLOSEDUSDT", api_tradable=False)
    await world.list_now("FIRSTUSDT")
    assert (await _record(world, "BADUSDT", "missed"))["reason_code"] == "SYMBOL_NOT_ALLOWED"
    await _record(world, "FIRSTUSDT", "traded")
    closed = await _record(world, "CLOSEDUSDT", "missed")
    assert closed["decision_id"] is not None

    async def closed_to_us() -> Any:
        return await world.value(
            "SELECT reason FROM listing_records WHERE symbol = 'CLOSEDUSDT' AND reason_code = 'NOT_API_TRADABLE'"
        )

    assert "10007" in await world.eventually(closed_to_us, "the venue's rules explain its refusal")
    await world.list_now("LIMITUSDT")
    limited = await _record(world, "LIMITUSDT", "missed")
    assert (limited["reason_code"], limited["reason_limit"]) == ("SAFETY_CONSTRAINT", "max_trades_per_hour")

    await world.command("kill-switch", "on", "--reason", "test")
    await world.list_now("STOPPEDUSDT")
    stopped = await _record(world, "STOPPEDUSDT", "missed")
    assert stopped["reason_limit"] == "kill_switch"

    async def all_priced() -> Any:
        return await world.value(
            "SELECT bool_and(book_spent > 0) FROM listing_records WHERE symbol IN ('BADUSDT', 'LIMITUSDT')"
        )

    await world.eventually(all_priced, "what they would have cost is known")
    board = await world.read("listings", "missed", "--reason", "max_trades_per_hour")
    (only,) = board["listings"]
    assert only["record"]["symbol"] == "LIMITUSDT"
    assert Decimal(0) < Decimal(only["record"]["book_spent"]) <= Decimal(20)
    assert "SYMBOL_NOT_ALLOWED 1" in await world.command("listings", "missed")


async def test_a_listing_that_was_taken_back_is_cancelled(world: World) -> None:
    await _running(world, "--calendar-interval-s", "1")
    await world.list_later("GONEUSDT", 60_000, moves=((3000, None),), visible_before_open=False)
    row = await _record(world, "GONEUSDT", "missed")
    assert (row["reason_code"], row["decision_id"]) == ("CANCELLED", None)
    assert "GONEUSDT" in await world.command("listings", "missed", "--reason", "CANCELLED")


async def test_what_appears_while_nobody_watches_is_found_at_the_next_start(world: World) -> None:
    """Once while no run is active, once while the engine is down."""
    await _running(world)

    async def learnt() -> Any:
        return await world.value("SELECT count(*) FROM venue_symbols")

    await world.eventually(learnt, "the venue's symbols are known")
    await world.command("run", "stop", "main")
    await world.list_now("PAUSEUSDT")
    await world.command("run", "start", "main", "main")
    paused = await _record(world, "PAUSEUSDT", "missed")
    assert (paused["reason_code"], paused["first_seen_by"]) == ("NO_RUN", "market_list")
    assert "the run before ended at" in paused["reason"]

    await world.kill_engine()
    await world.list_now("DOWNUSDT")
    await world.start_engine()

    async def failed() -> Any:
        return await world.value("SELECT id FROM bot_runs WHERE status = 'failed'")

    await world.eventually(failed, "the run of the killed engine is failed")
    await world.command("run", "start", "main", "main")
    down = await _record(world, "DOWNUSDT", "missed")
    assert down["reason_code"] == "NO_RUN"
    assert "the run before failed: the engine ended" in down["reason"]
    assert [row["symbol"] for row in await world.read("listings", "list")] == ["DOWNUSDT", "PAUSEUSDT"]
    assert await world.sent_orders() == []


async def test_a_killed_engine_leaves_no_record_half_done(world: World) -> None:
    """The engine dies right after an order was filled, before its record was concluded."""
    await _running(world)
    await world.list_now("KILLEDUSDT")
    await world.eventually_order("KILLEDUSDT", "buy", "filled")
    await world.kill_engine()
    await world.start_engine()
    row = await _record(world, "KILLEDUSDT", "traded")
    assert row["first_seen_by"] in {"websocket", "ticker_diff"}
    assert await world.value("SELECT count(*) FROM listing_records WHERE outcome = 'pending'") == 0
