"""Announced listings end to end: followed, judged, counted down, also over the death of the engine."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.world import World, open_world

QUICK = ("--calendar-interval-s", "1")


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(database_url, tmp_path) as opened:
        yield opened


async def stored(world: World, symbol: str, condition: str) -> Any:
    """The stored listing once it is like that."""

    async def found() -> Any:
        rows = await world.rows(f"SELECT * FROM listing_schedule WHERE symbol = $1 AND {condition}", symbol)  # noqa: S608 - the tests' own conditions
        return rows[0] if rows else None

    return await world.eventually(found, f"{symbol}: {condition}")


async def test_an_announced_listing_is_shown_with_its_verdict_followed_and_ended(world: World) -> None:
    await world.prepare(*QUICK)
    await world.start_engine()
    await world.command("run", "start", "main", "main")
    await world.list_later("SOONUSDT", 60_000)
    world.exchange.exchange.pairs["SOONUSDT"].timetable.api_from_ms = 0  # its flag says so before it opens
    await world.list_later("WEBUSDT", 60_000, api_tradable=False)
    await world.list_later("HIDUSDT", 60_000, visible_before_open=False)
    await stored(world, "SOONUSDT", "verdict = 'eligible'")
    await stored(world, "WEBUSDT", "verdict = 'uncertain' AND reasons @> '[{\"name\": \"api_tradable\"}]'")
    await stored(world, "HIDUSDT", "verdict = 'uncertain' AND origins = '{calendar}'")

    screen = await world.command("listings", "upcoming")
    assert "No run is active" not in screen
    for text in ("The exchange's clock is", "SOONUSDT", "eligible", "may change with it", "does not have it yet"):
        assert text in screen
    board = await world.read("listings", "upcoming")
    assert {row["symbol"] for row in board["listings"]} == {"SOONUSDT", "WEBUSDT", "HIDUSDT"}
    assert abs(board["clock"]["offset_us"]) <= board["clock"]["error_us"] + 1_000

    await world.change_listing("SOONUSDT", open_in_ms=120_000)
    await stored(world, "SOONUSDT", "jsonb_array_length(moves) > 0 AND verdict = 'eligible'")
    await world.change_listing("HIDUSDT", cancel=True)
    await stored(world, "HIDUSDT", "state = 'cancelled'")
    await world.change_listing("SOONUSDT", open_in_ms=1_000)
    await stored(world, "SOONUSDT", "state = 'opened'")
    assert await world.value("SELECT count(*) FROM listing_schedule WHERE state = 'scheduled'") == 1


async def test_what_moved_while_no_engine_lived_is_seen_by_the_next_one(world: World) -> None:
    await world.prepare(*QUICK, live=False)
    await world.start_engine()
    await world.command("run", "start", "main", "main")
    await world.list_later("MOVEUSDT", 300_000)
    await world.list_later("GONEUSDT", 300_000)
    first = await stored(world, "MOVEUSDT", "state = 'scheduled'")
    await stored(world, "GONEUSDT", "state = 'scheduled'")

    await world.kill_engine()
    await world.change_listing("MOVEUSDT", open_in_ms=600_000)
    await world.change_listing("GONEUSDT", cancel=True)
    await world.start_engine()

    async def may_start() -> Any:
        return not await world.rows("SELECT FROM bot_runs WHERE status IN ('starting', 'running', 'stopping')")

    await world.eventually(may_start, "the killed run is failed")
    await world.command("run", "start", "main", "main")
    moved = await stored(world, "MOVEUSDT", "jsonb_array_length(moves) = 1")
    assert (moved["id"], moved["state"], moved["first_announced_at"]) == (
        first["id"],
        "scheduled",
        first["first_announced_at"],
    )
    assert moved["opens_at"] > first["opens_at"]
    await stored(world, "GONEUSDT", "state = 'cancelled'")
