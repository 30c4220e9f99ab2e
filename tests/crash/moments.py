"""Instants at which an engine dies. Each function lists a token, waits for its instant, and returns there.

What only a database lock or a slow answer can hold still is held while the engine is killed, and let go afterwards.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
from tests.e2e.world import World

_ORDER = "/api/v3/order"
_LONGEST_DELAY_S = 1.2
_LATE_MS = 3_000
"""How late look-ups may show an order: within the time for which "not found" proves nothing."""

Moment = Callable[[World, random.Random, str], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def before_the_commit_is_answered(world: World, _: random.Random, symbol: str) -> AsyncIterator[None]:
    """The journal's statement waits in the server; it goes through after the engine is dead."""
    async with _locked(world, "intent_journal"):
        await world.list_now(symbol)
        await _someone_waits(world)
        yield


@asynccontextmanager
async def order_on_its_way(world: World, rng: random.Random, symbol: str) -> AsyncIterator[None]:
    """The exchange takes the order only after the engine is dead, and does not show it to the next one at once."""
    await world.control("settings", order_visible_after_ms=_LATE_MS)
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
async def exit_taken_unanswered(world: World, _: random.Random, symbol: str) -> AsyncIterator[None]:
    """The time limit's sell order was taken by the exchange, and its answer never came."""
    await world.list_now(symbol)
    await world.eventually_order(symbol, "buy", "filled")
    await _fault(world, "answer_late", "POST", 3_000)
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
async def any_instant_after_the_listing(world: World, rng: random.Random, symbol: str) -> AsyncIterator[None]:
    """Somewhere in the milliseconds from event to order."""
    await world.list_now(symbol)
    await asyncio.sleep(rng.uniform(0.0, 0.03))
    yield


@asynccontextmanager
async def any_instant(world: World, rng: random.Random, symbol: str) -> AsyncIterator[None]:
    """Somewhere in the life of a trade, on a slow exchange that loses answers."""
    await world.control("settings", order_visible_after_ms=rng.choice((0, _LATE_MS)))
    for kind in ("latency", "answer_late", "answer_lost_after_accept", "query_blind"):
        if rng.random() < 0.4:
            await _fault(world, kind, rng.choice(("POST", "GET")), rng.randint(1, 300))
    await world.list_now(symbol)
    await asyncio.sleep(rng.uniform(0.0, _LONGEST_DELAY_S))
    yield


CHOSEN: tuple[Moment, ...] = (
    order_taken_unanswered,
    committed_not_spread,
    exit_taken_unanswered,
    before_the_commit_is_answered,
    any_instant_after_the_listing,
    settled_not_recorded,
    order_on_its_way,
    answered_not_settled,
    exit_settled_not_recorded,
    any_instant,
)
SENT_FOR_SURE = frozenset(CHOSEN) - {
    before_the_commit_is_answered,
    order_on_its_way,
    any_instant_after_the_listing,
    any_instant,
}
"""The instants at which the exchange has received an order already."""

AT_RANDOM: tuple[Moment, ...] = (any_instant_after_the_listing, any_instant)


async def _fault(world: World, kind: str, method: str, latency_ms: int) -> None:
    fault: dict[str, Any] = {"kind": kind, "target": _ORDER, "method": method, "latency_ms": latency_ms}
    await world.control("faults", faults=[fault])


async def _known(world: World, symbol: str) -> bool:
    """The intent is in the journal or in its tables."""
    found = await world.value(
        "SELECT true FROM intent_journal WHERE document::text LIKE '%' || $1 || '%'"
        " UNION ALL SELECT true FROM trade_orders WHERE symbol = $1",
        symbol,
    )
    return bool(found)


async def _sold(world: World, symbol: str) -> bool:
    return any(request["side"] == "SELL" for request in await world.sent_orders(symbol))


@asynccontextmanager
async def _locked(world: World, table: str) -> AsyncIterator[None]:
    """Nobody writes to a table while the block runs."""
    connection = await asyncpg.connect(world.database_url)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN SHARE MODE")
            yield
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
