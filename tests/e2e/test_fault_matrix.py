"""The fault matrix: each fault at each stage of an order's life, and afterwards the books are the exchange's.

After each wave: nothing is open, nothing was bought twice, every position was sold, the ledger has what the exchange
has; and the run goes on with the next wave. `fault_matrix` tells which pairs are cells and why the others are none.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.crash.books import differences
from tests.e2e import fault_matrix as matrix
from tests.e2e import fault_scenes as scenes
from tests.e2e.fault_matrix import Stage
from tests.e2e.operating import open_operator
from tests.e2e.world import World, open_world

NOT_TAKEN = {"connection refused", "5xx before accept"}
"""What leaves open whether an order was taken, and it was not: the engine may let the listing go."""


def test_every_pair_is_a_cell_or_has_a_reason() -> None:
    """No pair of fault and stage is forgotten, and none is both."""
    pairs = {(fault, stage) for fault in matrix.FAULTS for stage in Stage}
    assert pairs == matrix.CELLS | matrix.NO_MEANING.keys()
    assert not matrix.CELLS & matrix.NO_MEANING.keys()


@asynccontextmanager
async def running(database_url: str, folder: Path, style: str = "market_then_ioc") -> AsyncIterator[World]:
    """A world with an engine and a live run; its books are compared at the end, after one more listing."""
    async with open_world(database_url, folder) as world, open_operator(world) as operator:
        await world.prepare(
            "--max-trades-per-hour", "100", "--max-concurrent-listings", "30", "--max-daily-spend", "5000",
            "--take-profit", "none", "--time-limit-s", "1.5", "--freshness-s", "30", "--ticker-interval-s", "1",
            "--calendar-interval-s", "1", "--order-style", style,
        )  # fmt: skip
        await world.start_engine()
        await operator.start_run()
        await world.until_running()
        yield world
        await scenes.still_works(world)
        assert await differences(world) == []
        assert await world.stop_engine() == 0


@pytest.mark.campaign
@pytest.mark.parametrize("part", range(3))
async def test_faults_of_requests(part: int, database_url: str, tmp_path: Path) -> None:
    """Every kind of failed request at every stage at which something is asked; the listings are seen by polling."""
    async with running(database_url, tmp_path) as world:
        for wave, (name, fault) in enumerate(list(matrix.REQUESTS.items())[part::3]):
            post = matrix.SENDS if name in matrix.ON_THE_WAY_IN else matrix.ANSWERS
            stages = (*matrix.READS, *post)
            symbols = [scenes.symbol_of(wave, stage) for stage in stages]
            await world.control("faults", clear=True, faults=scenes.request_faults(wave, fault, stages))
            for symbol in symbols:
                await world.list_now(symbol, path="flat", push_now=False)
            unbought = [scenes.symbol_of(wave, Stage.ENTRY_SEND)] if name in NOT_TAKEN else []
            await scenes.over(world, symbols, unbought=unbought)
            await scenes.struck(world, symbols)


@pytest.mark.campaign
async def test_faults_of_pushes(database_url: str, tmp_path: Path) -> None:
    """Every kind of failed push: of the listing, of the price, of an order's begin, end and executions."""
    stages = (*matrix.READS, *matrix.ANSWERS)
    async with running(database_url, tmp_path) as world:
        for wave, (name, fault) in enumerate(matrix.PUSHES.items()):
            await scenes.listening(world)
            if name == "disconnect":  # one after the other: a cut connection pushes nothing else
                for stage in stages:
                    await _play_pushes(world, wave, fault, [stage])
            else:
                await _play_pushes(world, wave, fault, stages)


async def _play_pushes(world: World, wave: int, fault: dict[str, Any], stages: Sequence[Stage]) -> None:
    symbols = [scenes.symbol_of(wave, stage) for stage in stages]
    await world.control("faults", clear=True, faults=scenes.push_faults(wave, fault, stages))
    await scenes.listening(world)
    await scenes.list_at_once(world, symbols)
    await scenes.over(world, symbols)
    await scenes.struck(world, symbols)


@pytest.mark.campaign
@pytest.mark.parametrize("part", range(2))
async def test_what_turns_while_orders_are_at_every_stage(part: int, database_url: str, tmp_path: Path) -> None:
    """The clock jumps or drifts, MARKET is switched off, a cap or a halt begins: in front of orders at every stage."""
    async with running(database_url, tmp_path) as world:
        for wave, (name, switches) in enumerate(list(matrix.TURNS.items())[part::2]):
            committing, held, seen = (
                scenes.symbol_of(wave, stage) for stage in (Stage.COMMIT, Stage.HELD, Stage.SIGHTING)
            )
            await scenes.list_at_once(world, [held])
            await world.eventually_order(held, "buy", "filled")
            symbols = [held, *await scenes.at_every_stage(world, wave)]
            async with scenes.journal_held(world):
                await scenes.list_at_once(world, [committing])
                await scenes.somebody_waits(world)
                symbols.append(committing)
                if name == "halt":
                    await scenes.halt(world, symbols, halted=True)
                else:
                    await world.control("settings", **switches)
            await world.list_later(seen, 1_000, halts=[[0, 1_500]] if name == "halt" else [])
            if name == "halt":
                await scenes.refused(world, committing)
                await scenes.halt(world, symbols, halted=False)
            await scenes.over(world, [*symbols, seen])
            await world.control("settings", **scenes.turned_back(switches))


@pytest.mark.campaign
async def test_faults_of_orders(database_url: str, tmp_path: Path) -> None:
    """Partial and late fills, orders that are not found or cancelled first and executed after all.

    MARKET only: a limit order after a MARKET order that the exchange calls cancelled would be a second purchase when it
    was executed after all, and nobody could have known.
    """
    async with running(database_url, tmp_path, "market") as world:
        symbols, faults = [], []
        for wave, (name, fault) in enumerate(matrix.ORDERS.items()):
            for stage in matrix.FILLS if name == "partial fill" else matrix.QUERIES:
                symbol = scenes.symbol_of(wave, stage)
                symbols.append(symbol)
                faults.append(fault | {"where": scenes.about(symbol, stage), "label": symbol})
        await world.control("faults", faults=faults)
        await scenes.list_at_once(world, symbols)
        await scenes.over(world, symbols)
        await scenes.struck(world, symbols)
        await world.control("settings", trades_visible_after_ms=1_200)
        await scenes.list_at_once(world, ["LATEFILLSUSDT"])
        await scenes.over(world, ["LATEFILLSUSDT"])


@pytest.mark.campaign
async def test_faults_of_the_calendar(database_url: str, tmp_path: Path) -> None:
    """Entries vanish, move or change their types for a while, and then the whole calendar is stale."""
    async with running(database_url, tmp_path) as world:
        named = {f"CALENDAR{number}USDT": fault for number, fault in enumerate(matrix.CALENDAR.values())}
        await world.control("faults", faults=[fault | {"target": name, "label": name} for name, fault in named.items()])
        for symbol in named:
            await world.list_later(symbol, 1_500)
        await scenes.over(world, named)
        await scenes.struck(world, named)
        await world.control("settings", calendar_frozen=True)
        await world.list_later("STALEUSDT", 500)
        await scenes.over(world, ["STALEUSDT"])


@pytest.mark.campaign
async def test_disconnect_while_an_intent_is_committed(database_url: str, tmp_path: Path) -> None:
    """Every websocket is cut between the decision and the order."""
    async with running(database_url, tmp_path) as world:
        async with scenes.journal_held(world):
            await scenes.list_at_once(world, ["CUTUSDT"])
            await scenes.somebody_waits(world)
            await world.control("disconnect")
        await scenes.over(world, ["CUTUSDT"])
