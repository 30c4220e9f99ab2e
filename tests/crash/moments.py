"""Named instants at which an engine dies. Each lists a token, waits for its instant, and stays there for the kill.

What only a database lock, a slow answer or a stopped process can hold still is held while the engine is killed, and let
go afterwards. In the order of an order's life:

| point | instants |
|---|---|
| waiting for an opening | waiting_for_the_opening |
| before commit | commit_that_never_happens, commit_after_death |
| after commit | committed_unsent, order_on_its_way |
| after send | order_taken_unanswered, committed_not_spread, exit_taken_unanswered |
| between two attempts | between_two_attempts |
| after answer | answered_not_settled |
| before outcome commit | settled_not_recorded, exit_settled_not_recorded |
| half sold | half_sold, first_level_sold |
| recovery | recovering, settling_while_recovering |
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
from tests.e2e.world import World

_ORDER = "/api/v3/order"
LATE_MS = 3_000
"""How late look-ups may show an order: within the time for which "not found" proves nothing."""

Moment = Callable[[World, random.Random, str], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def waiting_for_the_opening(world: World, _: random.Random, symbol: str) -> AsyncIterator[None]:
    """The calendar announced the listing, the engine has read it, and it opens only after the kill."""
    await world.list_later(symbol, 4_000)
    await world.eventually(lambda: _scheduled(world, symbol), f"the opening of {symbol} is in the schedule")
    yield


@asynccontextmanager
async def commit_that_never_happens(world: World, _: random.Random, symbol: str) -> AsyncIterator[None]:
    """The journal's statement waits in the server, and the server gives it up as well."""
    async with _locked(world, "intent_journal") as holder:
        await world.list_now(symbol)
        await _someone_waits(world)
        yield
        await holder.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )


@asynccontextmanager
async def commit_after_death(world: World, _: random.Random, symbol: str) -> AsyncIterator[None]:
    """The journal's statement waits in the server; it goes through after the engine is dead."""
    async with _locked(world, "intent_journal"):
        await world.list_now(symbol)
        await _someone_waits(world)
        yield


@asynccontextmanager
async def committed_unsent(world: World, _: random.Random, symbol: str) -> AsyncIterator[None]:
    """The intent is durable, and the engine never learns it: it stands still from before the commit until the kill."""
    async with _locked(world, "intent_journal"):
        await world.list_now(symbol)
        await _someone_waits(world)
        world.freeze_engine()
    await world.eventually(lambda: _known(world, symbol), f"the intent for {symbol} is durable")
    yield


@asynccontextmanager
async def order_on_its_way(world: World, rng: random.Random, symbol: str) -> AsyncIterator[None]:
    """The exchange takes the order only after the engine is dead, and does not show it to the next one at once."""
    await world.control("settings", order_visible_after_ms=LATE_MS)
    await _fault(world, "latency", "POST", rng.randint(200, 800))
    await world.list_now(symbol)
    await world.eventually(lambda: _known(world, symbol), f"the intent for {symbol} is durable")
    await asyncio.sleep(rng.uniform(0.0, 0.1))
    yield


@asynccontextmanager
async def order_taken_unanswered(world: World, _: random.Random, symbol: str) -> AsyncIterator[None]:
    """The exchange took the order and has not answered."""
    await _fault(world, "answer_late", "POST", 2_000)
    await world.list_now(symbol)
    await world.eventually(lambda: world.sent_orders(symbol), f"the order for {symbol} arrived")
    yield


@asynccontextmanager
async def committed_not_spread(world: World, _: random.Random, symbol: str) -> AsyncIterator[None]:
    """The order is sent, and its intent is nowhere but in the journal."""
    async with _locked(world, "trade_orders"):
        await world.list_now(symbol)
        await world.eventually(lambda: world.sent_orders(symbol), f"the order for {symbol} arrived")
        yield


@asynccontextmanager
async def between_two_attempts(world: World, _: random.Random, symbol: str) -> AsyncIterator[None]:
    """The exchange says "not open yet", at least twice so far, and opens after the kill."""
    await world.list_later(symbol, 500, late_ms=4_000)
    await world.eventually(lambda: _asked_twice(world, symbol), f"two attempts for {symbol} were refused")
    yield


@asynccontextmanager
async def answered_not_settled(world: World, _: random.Random, symbol: str) -> AsyncIterator[None]:
    """The order is known as accepted; nobody has asked yet how it ended."""
    await _fault(world, "latency", "GET", 1_500)
    await world.list_now(symbol)
    await world.eventually_order(symbol, "buy", "submitted")
    yield


@asynccontextmanager
async def settled_not_recorded(world: World, _: random.Random, symbol: str) -> AsyncIterator[None]:
    """The fills are known, and the transaction that writes them is cut in the middle."""
    async with _locked(world, "fills"):
        await world.list_now(symbol)
        await _someone_waits(world)
        yield


@asynccontextmanager
async def half_sold(world: World, _: random.Random, symbol: str) -> AsyncIterator[None]:
    """The first sale of a position filled half of it; the rest is to be sold by the next engine."""
    await world.control("faults", faults=[{"kind": "partial_fill", "where": {"symbol": symbol, "side": "SELL"}}])
    await world.list_now(symbol, path="flat")
    await world.eventually_order(symbol, "sell", "filled")
    yield


@asynccontextmanager
async def first_level_sold(world: World, _: random.Random, symbol: str) -> AsyncIterator[None]:
    """The first level of the take-profit sold its share; the plan for the rest must be armed again."""
    await world.list_now(symbol, path="flat")
    await world.eventually_order(symbol, "buy", "filled")
    await world.control("prices", symbol=symbol, price="0.65")
    await world.eventually_order(symbol, "sell", "filled")
    yield


@asynccontextmanager
async def exit_taken_unanswered(world: World, _: random.Random, symbol: str) -> AsyncIterator[None]:
    """The time limit's sell order was taken by the exchange, and its answer never came."""
    await _fault(world, "answer_late", "POST", 3_000, where={"symbol": symbol, "side": "SELL"})
    await world.list_now(symbol)
    await world.eventually(lambda: _sold(world, symbol), f"the exit of {symbol} arrived")
    yield


@asynccontextmanager
async def exit_settled_not_recorded(world: World, _: random.Random, symbol: str) -> AsyncIterator[None]:
    """The token is sold, and the ledger has not been told."""
    await world.list_now(symbol)
    await world.eventually_order(symbol, "buy", "filled")
    async with _locked(world, "fills"):
        await world.eventually(lambda: _sold(world, symbol), f"the exit of {symbol} arrived")
        await _someone_waits(world)
        yield


@asynccontextmanager
async def recovering(world: World, rng: random.Random, symbol: str) -> AsyncIterator[None]:
    """A second engine is killed while it asks how the order of the first one ended."""
    async with order_taken_unanswered(world, rng, symbol):
        await world.kill_engine()
    label = f"look-up of {symbol}"
    await _fault(world, "latency", "GET", 2_000, where={"symbol": symbol}, label=label)
    await world.start_engine()
    await world.eventually(lambda: _struck(world, label), f"the next engine asks for the order of {symbol}")
    yield


@asynccontextmanager
async def settling_while_recovering(world: World, rng: random.Random, symbol: str) -> AsyncIterator[None]:
    """A second engine is killed while it writes what it found about the order of the first one."""
    async with order_taken_unanswered(world, rng, symbol):
        await world.kill_engine()
    async with _locked(world, "fills"):
        await world.start_engine()
        await _someone_waits(world)
        yield


NAMED: tuple[Moment, ...] = (
    waiting_for_the_opening,
    commit_that_never_happens,
    commit_after_death,
    committed_unsent,
    order_on_its_way,
    order_taken_unanswered,
    committed_not_spread,
    between_two_attempts,
    answered_not_settled,
    settled_not_recorded,
    half_sold,
    first_level_sold,
    exit_taken_unanswered,
    exit_settled_not_recorded,
    recovering,
    settling_while_recovering,
)
NEVER_SENT: frozenset[Moment] = frozenset({commit_that_never_happens, commit_after_death, committed_unsent})
"""Nothing may have reached the exchange."""

MAY_BE_MISSED: frozenset[Moment] = frozenset({waiting_for_the_opening, between_two_attempts, order_on_its_way})
"""Whether it was bought depends on how soon the next engine is there; never twice."""


async def _fault(world: World, kind: str, method: str, latency_ms: int, **fields: Any) -> None:
    fault = {"kind": kind, "target": _ORDER, "method": method, "latency_ms": latency_ms, **fields}
    await world.control("faults", faults=[fault])


async def _known(world: World, symbol: str) -> bool:
    """The intent is in the journal or in its tables."""
    found = await world.value(
        "SELECT true FROM intent_journal WHERE document::text LIKE '%' || $1 || '%'"
        " UNION ALL SELECT true FROM trade_orders WHERE symbol = $1",
        symbol,
    )
    return bool(found)


async def _scheduled(world: World, symbol: str) -> bool:
    return bool(await world.value("SELECT true FROM listing_schedule WHERE symbol = $1", symbol))


async def _sold(world: World, symbol: str) -> bool:
    return any(request["side"] == "SELL" for request in await world.sent_orders(symbol))


async def _asked_twice(world: World, symbol: str) -> bool:
    return [request["code"] for request in await world.sent_orders(symbol)].count(30001) >= 2


async def _struck(world: World, label: str) -> bool:
    return label in await world.struck()


@asynccontextmanager
async def _locked(world: World, table: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    """Nobody writes to a table while the block runs."""
    connection = await asyncpg.connect(world.database_url)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN SHARE MODE")
            yield connection
    finally:
        await connection.close()


async def _someone_waits(world: World) -> None:
    async def waiting() -> bool:
        return bool(
            await world.value(
                "SELECT EXISTS (SELECT FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock')"
            )
        )

    await world.eventually(waiting, "the engine waits for the lock")
