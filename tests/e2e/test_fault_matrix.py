"""The fault matrix: each fault at each stage of an order's life, and afterwards the books are the exchange's.

After each wave: nothing is open, nothing was bought twice, every position was sold, the ledger has what the exchange
has; and the run goes on with the next wave. `fault_matrix` tells which pairs are cells and why the others are none.

A wave mostly waits, for answers and for the request limit; so each test plays several worlds at once, each with an
exchange, an engine and a ledger of its own.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.crash.books import differences
from tests.e2e import fault_matrix as matrix
from tests.e2e import fault_scenes as scenes
from tests.e2e.fault_matrix import Stage
from tests.e2e.operating import open_operator
from tests.e2e.world import World, open_world
from tests.postgresql import DatabaseServer

NOT_TAKEN = {"connection refused", "5xx before accept"}
"""What leaves open whether an order was taken, and it was not: the engine may let the listing go."""

Wave = tuple[int, str]
Play = Callable[[World], Coroutine[Any, Any, None]]
MARKET_ONLY = "market"
"""A limit order after a MARKET order that the exchange calls cancelled would be a second purchase when it was executed
after all, and nobody could have known."""


def test_every_pair_is_a_cell_or_has_a_reason() -> None:
    """No pair of fault and stage is forgotten, and none is both."""
    pairs = {(fault, stage) for fault in matrix.FAULTS for stage in Stage}
    assert pairs == matrix.CELLS | matrix.NO_MEANING.keys()
    assert not matrix.CELLS & matrix.NO_MEANING.keys()


class Theatre:
    """Plays several worlds at the same time."""

    def __init__(self, stack: ExitStack, server: DatabaseServer, template: str, folder: Path) -> None:
        self._stack = stack
        self._server = server
        self._template = template
        self._folder = folder

    async def play(self, *plays: Play, style: str = "market_then_ioc") -> None:
        """Each play in a world of its own; the first that fails ends the others."""
        async with asyncio.TaskGroup() as tasks:
            for number, play in enumerate(plays):
                url = self._stack.enter_context(self._server.database(template=self._template))
                folder = self._folder / str(number)
                folder.mkdir()
                tasks.create_task(_play(play, url, folder, style))


@pytest.fixture
def theatre(postgresql: DatabaseServer, migrated_template: str, tmp_path: Path) -> Iterator[Theatre]:
    """Worlds on databases that are dropped at the end."""
    with ExitStack() as stack:
        yield Theatre(stack, postgresql, migrated_template, tmp_path)


async def _play(play: Play, database_url: str, folder: Path, style: str) -> None:
    """One world: an engine with a live run, the play, one more listing, and the comparison of all books."""
    async with open_world(database_url, folder) as world, open_operator(world) as operator:
        await world.prepare(
            "--max-trades-per-hour", "100", "--max-concurrent-listings", "30", "--max-daily-spend", "5000",
            "--take-profit", "none", "--time-limit-s", "1.5", "--freshness-s", "30", "--ticker-interval-s", "2",
            "--calendar-interval-s", "1", "--order-style", style,
        )  # fmt: skip
        await world.start_engine()
        await operator.start_run()
        await world.until_running()
        await play(world)
        await scenes.still_works(world)
        assert await differences(world) == []
        assert await world.stop_engine() == 0


def _dealt(faults: Iterable[str], hands: int) -> list[list[Wave]]:
    """The faults with their numbers, dealt out."""
    waves = list(enumerate(faults))
    return [waves[hand::hands] for hand in range(hands)]


@pytest.mark.campaign
@pytest.mark.parametrize("half", range(2))
async def test_faults_of_requests(half: int, theatre: Theatre) -> None:
    """Every kind of failed request at every stage at which something is asked; the listings are seen by polling."""
    worlds = _dealt(matrix.REQUESTS, 6)[half::2]
    await theatre.play(*(partial(_requests_fail, waves=waves) for waves in worlds))


async def _requests_fail(world: World, waves: Sequence[Wave]) -> None:
    for wave, name in waves:
        post = matrix.SENDS if name in matrix.ON_THE_WAY_IN else matrix.ANSWERS
        stages = (*matrix.READS, *post)
        symbols = [scenes.symbol_of(wave, stage) for stage in stages]
        await world.control("faults", clear=True, faults=scenes.request_faults(wave, matrix.REQUESTS[name], stages))
        for symbol in symbols:
            await world.list_now(symbol, path="flat", push_now=False)
        unbought = [scenes.symbol_of(wave, Stage.ENTRY_SEND)] if name in NOT_TAKEN else []
        await scenes.over(world, symbols, unbought=unbought)
        await scenes.struck(world, symbols)


@pytest.mark.campaign
async def test_faults_of_pushes(theatre: Theatre) -> None:
    """Every kind of failed push: of the listing, of the price, of an order's begin, end and executions."""
    worlds = _dealt((fault for fault in matrix.PUSHES if fault != "disconnect"), 3)
    await theatre.play(*(partial(_pushes_fail, waves=waves) for waves in worlds), _connections_are_cut)


_PUSHED = (*matrix.READS, *matrix.ANSWERS)


async def _pushes_fail(world: World, waves: Sequence[Wave]) -> None:
    for wave, name in waves:
        await _play_pushes(world, wave, matrix.PUSHES[name], _PUSHED)


async def _connections_are_cut(world: World) -> None:
    """One stage after the other: a cut connection pushes nothing else."""
    for stage in _PUSHED:
        await _play_pushes(world, 0, matrix.PUSHES["disconnect"], [stage])
    async with scenes.journal_held(world):
        committing = scenes.symbol_of(0, Stage.COMMIT)
        await scenes.list_at_once(world, [committing])
        await scenes.somebody_waits(world)
        await world.control("disconnect")
    await scenes.over(world, [committing])


async def _play_pushes(world: World, wave: int, fault: dict[str, Any], stages: Sequence[Stage]) -> None:
    symbols = [scenes.symbol_of(wave, stage) for stage in stages]
    await world.control("faults", clear=True, faults=scenes.push_faults(wave, fault, stages))
    await scenes.listening(world)
    await scenes.list_at_once(world, symbols)
    await scenes.over(world, symbols)
    await scenes.struck(world, symbols)


@pytest.mark.campaign
@pytest.mark.parametrize("half", range(2))
async def test_what_turns_while_orders_are_at_every_stage(half: int, theatre: Theatre) -> None:
    """The clock jumps or drifts, MARKET is switched off, a cap or a halt begins: in front of orders at every stage."""
    worlds = _dealt(matrix.TURNS, 4)[half::2]
    await theatre.play(*(partial(_something_turns, waves=waves) for waves in worlds))


async def _something_turns(world: World, waves: Sequence[Wave]) -> None:
    for wave, name in waves:
        switches = matrix.TURNS[name]
        committing, held, seen = (scenes.symbol_of(wave, stage) for stage in (Stage.COMMIT, Stage.HELD, Stage.SIGHTING))
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
async def test_faults_of_orders_and_of_the_calendar(theatre: Theatre) -> None:
    """Partial and late fills, orders that are not found or cancelled first and executed after all; calendar entries
    that vanish, move or change their types for a while, and then a stale calendar."""
    await theatre.play(_orders_behave_oddly, _fills_come_late, _calendar_is_odd, style=MARKET_ONLY)


async def _orders_behave_oddly(world: World) -> None:
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


async def _fills_come_late(world: World) -> None:
    await world.control("settings", trades_visible_after_ms=1_200)
    await scenes.list_at_once(world, ["LATEFILLSUSDT"])
    await scenes.over(world, ["LATEFILLSUSDT"])


async def _calendar_is_odd(world: World) -> None:
    named = {f"CALENDAR{number}USDT": fault for number, fault in enumerate(matrix.CALENDAR.values())}
    await world.control("faults", faults=[fault | {"target": name, "label": name} for name, fault in named.items()])
    for symbol in named:
        await world.list_later(symbol, 1_500)
    await scenes.over(world, named)
    await scenes.struck(world, named)
    await world.control("settings", calendar_frozen=True)
    await world.list_later("STALEUSDT", 500)
    await scenes.over(world, ["STALEUSDT"])
