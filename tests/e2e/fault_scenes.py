"""How the cells of the fault matrix are played: several listings at once, each with its fault at its stage."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
from tests.crash.books import books_differ
from tests.e2e.fault_matrix import FILLS, QUERIES, SENDS, Stage
from tests.e2e.world import World

from signalbox.simulators.mexc.options import Switches

ORDER, TRADES, BOOK = "/api/v3/order", "/api/v3/myTrades", "/api/v3/depth"
PRICES, CALENDAR = "/api/v3/ticker/price", "/api/operation/new_coin_calendar"
WAVE_S = 60.0
_POST = {"target": ORDER, "method": "POST"}
_ASK = {"target": ORDER, "method": "GET"}

REQUEST_PLACES: dict[Stage, dict[str, Any]] = {
    Stage.SIGHTING: {"target": PRICES, "times": 2},
    Stage.ENTRY_SEND: _POST,
    Stage.ENTRY_ANSWER: _POST,
    Stage.ENTRY_QUERY: _ASK,
    Stage.ENTRY_FILLS: {"target": TRADES},
    Stage.HELD: {"target": BOOK},
    Stage.EXIT_SEND: _POST,
    Stage.EXIT_ANSWER: _POST,
    Stage.EXIT_QUERY: _ASK,
    Stage.EXIT_FILLS: {"target": TRADES},
}
"""Where a fault of requests strikes at each stage."""

_ORDERS, _DEALS = "spot@private.orders", "spot@private.deals"
PUSH_PLACES: dict[Stage, tuple[str, dict[str, str]]] = {
    Stage.SIGHTING: ("spot@public.miniTickers", {}),
    Stage.ENTRY_ANSWER: (_ORDERS, {"status": "NEW"}),
    Stage.ENTRY_QUERY: (_ORDERS, {"status": "FILLED"}),
    Stage.ENTRY_FILLS: (_DEALS, {}),
    Stage.HELD: ("spot@public.aggre.bookTicker", {}),
    Stage.EXIT_ANSWER: (_ORDERS, {"status": "NEW"}),
    Stage.EXIT_QUERY: (_ORDERS, {"status": "FILLED"}),
    Stage.EXIT_FILLS: (_DEALS, {}),
}
"""The channel, and what its push says, at each stage."""


def symbol_of(wave: int, stage: Stage) -> str:
    """The pair that plays a stage in a wave."""
    return f"W{wave}{stage.name.replace('_', '')}USDT"


def about(symbol: str, stage: Stage) -> dict[str, str]:
    """Narrows a fault down to one listing, and to the side that trades at this stage."""
    if stage is Stage.SIGHTING:
        return {}
    if stage is Stage.HELD:
        return {"symbol": symbol}
    return {"symbol": symbol, "side": "BUY" if stage.name.startswith("ENTRY") else "SELL"}


def request_faults(wave: int, fault: Mapping[str, Any], stages: Iterable[Stage]) -> list[dict[str, Any]]:
    """The fault at each of these stages, one listing for each, labelled by the listing."""
    return [
        {**fault, **REQUEST_PLACES[stage], "where": about(symbol, stage), "label": symbol}
        for stage in stages
        for symbol in [symbol_of(wave, stage)]
    ]


def push_faults(wave: int, fault: Mapping[str, Any], stages: Iterable[Stage]) -> list[dict[str, Any]]:
    """The same for pushes."""
    faults = []
    for stage in stages:
        symbol = symbol_of(wave, stage)
        channel, told = PUSH_PLACES[stage]
        faults.append({**fault, "target": channel, "where": about(symbol, stage) | told, "label": symbol})
    return faults


async def over(world: World, symbols: Iterable[str], *, unbought: Iterable[str] = ()) -> None:
    """Wait until every listing was decided on, nothing is left of any, and the books are the exchange's.

    Each was bought once and sold, but those of `unbought` may have been left alone. Late executions come into the books
    with a reconciliation.
    """
    wanted, may_fail = set(symbols), set(unbought)
    found: list[str] = []

    async def seen() -> bool:
        return bool(await world.value(_SEEN, list(wanted)) == len(wanted))

    async def settled() -> bool:
        found[:] = ["something is left open"] if not await world.value(_SETTLED) else await books_differ(world)
        return not found

    await world.eventually(seen, f"all of {sorted(wanted)} were decided on", WAVE_S)
    try:
        await world.eventually(settled, f"everything of {sorted(wanted)} is settled and sold", WAVE_S)
    except AssertionError as error:
        raise AssertionError("\n".join([*found, str(error)])) from None
    bought = {row["symbol"] for row in await world.rows(_BOUGHT, list(wanted))}
    assert wanted - may_fail <= bought, f"not bought: {sorted(wanted - may_fail - bought)}"


_SEEN = "SELECT count(DISTINCT symbol) FROM trade_orders WHERE symbol = ANY($1)"
_BOUGHT = "SELECT symbol FROM trade_orders WHERE side = 'buy' AND executed_quantity > 0 AND symbol = ANY($1)"
_SETTLED = """
SELECT NOT EXISTS (SELECT FROM trade_orders WHERE status IN ('pending', 'submitted'))
   AND NOT EXISTS (SELECT FROM positions WHERE status = 'open')
   AND NOT EXISTS (SELECT FROM reservations WHERE state = 'held')
   AND NOT EXISTS (SELECT FROM intent_journal)
"""


async def still_works(world: World) -> None:
    """The run goes on: the next listing is bought and sold."""
    await world.calm()
    await world.list_now("AFTERUSDT", path="flat")
    await over(world, ["AFTERUSDT"])


async def listening(world: World) -> None:
    """Wait until the engine is subscribed to the listings and to its own orders."""
    wanted = {"spot@public.miniTickers", _ORDERS, _DEALS}

    async def subscribed() -> bool:
        names = world.exchange.hub.subscriptions()
        return all(any(name.startswith(channel) for name in names) for channel in wanted)

    await world.eventually(subscribed, "the engine is subscribed again")


async def struck(world: World, labels: Iterable[str]) -> None:
    """Wait until these faults have struck."""
    missing = set(labels)

    async def all_struck() -> bool:
        missing.difference_update(await world.struck())
        return not missing

    try:
        await world.eventually(all_struck, "all faults struck", WAVE_S)
    except AssertionError as error:
        raise AssertionError(f"these did not strike: {sorted(missing)}; {error}") from None


@asynccontextmanager
async def journal_held(world: World) -> AsyncIterator[None]:
    """No intent is committed while the block runs."""
    connection = await asyncpg.connect(world.database_url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE intent_journal IN SHARE MODE")
            yield
    finally:
        await connection.close()


async def somebody_waits(world: World) -> None:
    """Wait until a statement waits for a lock."""

    async def waiting() -> bool:
        return bool(
            await world.value(
                "SELECT EXISTS (SELECT FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock')"
            )
        )

    await world.eventually(waiting, "an intent waits to be committed")


HOLD_SALES_MS, HOLD_BUYS_MS = 3_500, 1_500
"""How long requests are held at their stage: those of sales are at theirs first and wait for those of buys."""


async def at_every_stage(world: World, wave: int) -> list[str]:
    """Bring one order to each stage at which it waits for the exchange; returns their pairs."""
    sales = [stage for stage in (*SENDS, *QUERIES, *FILLS) if stage.name.startswith("EXIT")]
    buys = [stage for stage in (*SENDS, *QUERIES, *FILLS) if stage.name.startswith("ENTRY")]
    for stages, hold_ms in ((sales, HOLD_SALES_MS), (buys, HOLD_BUYS_MS)):
        faults = request_faults(wave, {"kind": "latency", "latency_ms": hold_ms}, stages)
        await world.control("faults", faults=faults)
        symbols = [symbol_of(wave, stage) for stage in stages]
        await list_at_once(world, symbols)
        await struck(world, symbols)
    return [symbol_of(wave, stage) for stage in (*sales, *buys)]


async def list_at_once(world: World, symbols: Iterable[str], **options: Any) -> None:
    """Surprise listings that one push tells of."""
    for symbol in symbols:
        await world.control("listings", symbol=symbol, announced=False, path="flat", **options)
    await world.control("push")


async def halt(world: World, symbols: Iterable[str], *, halted: bool) -> None:
    """Stop or resume the trading of pairs."""
    await asyncio.gather(*(world.change_listing(symbol, halted=halted) for symbol in symbols))


async def refused(world: World, symbol: str) -> None:
    """Wait until the exchange has refused an order of this pair."""

    async def was_refused() -> bool:
        return any(request["code"] for request in await world.sent_orders(symbol))

    await world.eventually(was_refused, f"an order for {symbol} was refused")


def turned_back(switches: Mapping[str, Any]) -> dict[str, Any]:
    """The same switches as they were."""
    before = msgspec.to_builtins(Switches())
    return {name: before[name] for name in switches}
