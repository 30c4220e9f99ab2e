"""M70-M89: request limits, faults, and the simulator as a process."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from tests.contract.simulator_mexc.conftest import LISTED, StartVenue, Venue

from signalbox.simulators.mexc.options import ListingOptions, RateLimitOptions, SimulatorOptions

BUY_25 = "symbol=ABCUSDT&side=BUY&type=MARKET&quoteOrderQty=25"
PROGRAM = """
from signalbox.simulators.mexc.main import run
from signalbox.simulators.mexc.options import SimulatorOptions
run(SimulatorOptions(seed=5, exit_with_parent=True))
"""


async def test_m70_weight_limit_then_ban(start_venue: StartVenue) -> None:
    """M70: 429 with Retry-After, recovery when the window has passed, 418 for who goes on."""
    options = SimulatorOptions(rate_limits=RateLimitOptions(ip_weight=50, violations_before_ban=3))
    venue = await start_venue(options)
    client = venue.client
    for _ in range(2):
        assert (await client.get("/api/v3/exchangeInfo")).status == 200
    venue.clock.advance(4_000)
    first = await client.get("/api/v3/ping")
    assert (first.status, first.headers["Retry-After"]) == (429, "6")
    assert first.body == {"code": 429, "msg": "Too many requests"}
    venue.clock.advance(6_000)
    assert (await client.get("/api/v3/exchangeInfo")).status == 200
    assert (await client.get("/api/v3/exchangeInfo")).status == 200
    statuses = [(await client.get("/api/v3/ping")).status for _ in range(3)]
    assert statuses == [429, 418, 418]
    venue.clock.advance(120_000)
    assert (await client.get("/api/v3/ping")).status == 200


@pytest.mark.parametrize(("body", "expected"), [("text", "Too many requests"), ("empty", "")])
async def test_m71_form_of_the_429_is_a_switch(start_venue: StartVenue, body: str, expected: str) -> None:
    """M71: text or nothing, without Retry-After."""
    limits = RateLimitOptions(ip_weight=1, retry_after=False, body=body)  # type: ignore[arg-type]  # parametrised
    venue = await start_venue(SimulatorOptions(rate_limits=limits))
    await venue.client.get("/api/v3/ping")
    answer = await venue.client.get("/api/v3/ping")
    assert (answer.status, answer.body, "Retry-After" in answer.headers) == (429, expected, False)


async def test_m72_orders_and_cancels_share_twelve_per_second(venue: Venue) -> None:
    """M72: the thirteenth within a second gets 429 and does nothing; the next second is free again."""
    for number in range(11):
        assert (await venue.client.order(f"{BUY_25}&newClientOrderId=r-{number}")).status == 200
    cancel = await venue.client.signed("DELETE", "/api/v3/order", "symbol=ABCUSDT&orderId=C02__1")
    assert cancel.code == -2011
    assert (await venue.client.order(BUY_25)).status == 429
    venue.clock.advance(1_000)
    assert (await venue.client.order(BUY_25)).status == 200
    assert len((await venue.client.signed("GET", "/api/v3/allOrders", "symbol=ABCUSDT")).body) == 12


async def test_m73_limits_can_be_off(start_venue: StartVenue) -> None:
    """M73: nothing is counted for benches."""
    limits = RateLimitOptions(enforced=False, orders_per_window=1)
    venue = await start_venue(SimulatorOptions(listings=(LISTED,), rate_limits=limits))
    statuses = {(await venue.client.order(BUY_25)).status for _ in range(30)}
    assert statuses == {200}


@pytest.mark.parametrize(
    "kind", ["answer_lost_after_accept", "error_after_accept", "malformed_answer", "truncated_answer"]
)
async def test_m74_order_is_there_although_the_answer_is_not(venue: Venue, kind: str) -> None:
    """M74: taken, but the client cannot know; the look-up by client id finds it."""
    await venue.client.control("faults", {"faults": [{"kind": kind, "target": "/api/v3/order", "method": "POST"}]})
    if kind == "answer_lost_after_accept":
        with pytest.raises(aiohttp.ClientConnectionError):
            await venue.client.order(f"{BUY_25}&newClientOrderId=lost-1")
    else:
        answer = await venue.client.raw_bytes_status(f"{BUY_25}&newClientOrderId=lost-1")
        assert answer == (503 if kind == "error_after_accept" else 200)
    found = await venue.client.signed("GET", "/api/v3/order", "symbol=ABCUSDT&origClientOrderId=lost-1")
    assert found.body["status"] == "FILLED"


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"kind": "error_before_accept", "status": 502}, 502),
        ({"kind": "rate_limited", "retry_after": 3}, 429),
        ({"kind": "challenge_page"}, 403),
    ],
)
async def test_m75_faults_before_anything_is_done(venue: Venue, fault: dict[str, Any], status: int) -> None:
    """M75: refused on the way in, nothing was taken; the second attempt works."""
    await venue.client.control("faults", {"faults": [fault | {"target": "/api/v3/order"}]})
    answer = await venue.client.order(f"{BUY_25}&newClientOrderId=no-1")
    assert answer.status == status
    assert answer.headers.get("Retry-After") == ("3" if status == 429 else None)
    unknown = await venue.client.signed("GET", "/api/v3/order", "symbol=ABCUSDT&origClientOrderId=no-1")
    assert unknown.code == -2013
    arrived = (await venue.client.control("orders", method="GET"))["requests"]
    assert [(record["client_order_id"], record["code"]) for record in arrived] == [("no-1", status)]
    assert (await venue.client.order(BUY_25)).status == 200


async def test_m76_latency_and_a_cut_connection(venue: Venue) -> None:
    """M76: a slow answer is slow; a refused connection is an error of the connection, also for the repeat of a GET."""
    faults = [
        {"kind": "latency", "latency_ms": 60},
        {"kind": "refuse_connection", "target": "/api/v3/time", "times": None},
    ]
    await venue.client.control("faults", {"faults": faults})
    started = asyncio.get_running_loop().time()
    assert (await venue.client.get("/api/v3/ping")).status == 200
    assert asyncio.get_running_loop().time() - started >= 0.059
    with pytest.raises(aiohttp.ClientConnectionError):
        await venue.client.get("/api/v3/time")


async def test_m77_partial_late_and_invisible_fills(venue: Venue) -> None:
    """M77: a fill can be partial, late, and for a while not found by queries."""
    client = venue.client
    faults = [
        {"kind": "partial_fill", "target": "ABCUSDT", "percent_filled": 50},
        {"kind": "query_blind", "target": "ABCUSDT"},
        {"kind": "fill_late", "target": "ABCUSDT", "latency_ms": 400, "skip": 1},
    ]
    await client.control("faults", {"faults": faults})
    by_id = "symbol=ABCUSDT&origClientOrderId="
    await client.order(f"{BUY_25}&newClientOrderId=half")
    assert (await client.signed("GET", "/api/v3/order", by_id + "half")).code == -2013
    half = (await client.signed("GET", "/api/v3/order", by_id + "half")).body
    assert (half["status"], half["executedQty"]) == ("PARTIALLY_CANCELED", "23.8")
    await client.order(f"{BUY_25}&newClientOrderId=late")
    assert (await client.signed("GET", "/api/v3/order", by_id + "late")).body["status"] == "NEW"
    venue.advance(400)
    assert (await client.signed("GET", "/api/v3/order", by_id + "late")).body["status"] == "FILLED"


async def test_m78_halt(venue: Venue) -> None:
    """M78: a halted pair says status "2" and refuses orders with 30016 until it resumes."""
    await venue.client.control("listings", {"symbol": "ABCUSDT", "halted": True}, "PATCH")
    assert (await venue.client.order(BUY_25)).code == 30016
    await venue.client.control("listings", {"symbol": "ABCUSDT", "halted": False}, "PATCH")
    assert (await venue.client.order(BUY_25)).status == 200


async def test_m79_halted_over_its_opening(start_venue: StartVenue) -> None:
    """M79: a pair that is halted when it should open, opens when it resumes."""
    venue = await start_venue(SimulatorOptions(listings=(ListingOptions(symbol="NEWUSDT", open_in_ms=1_000),)))
    buy = "symbol=NEWUSDT&side=BUY&type=MARKET&quoteOrderQty=5"
    await venue.client.control("listings", {"symbol": "NEWUSDT", "halted": True}, "PATCH")
    venue.advance(1_500)
    assert (await venue.client.order(buy)).code == 30016
    resumed = await venue.client.control("listings", {"symbol": "NEWUSDT", "halted": False}, "PATCH")
    assert resumed["phase"] == "open"
    assert (await venue.client.order(buy)).status == 200


@asynccontextmanager
async def process() -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    """The simulator as a process of its own, with its ready line."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        async with asyncio.timeout(20):
            yield child, json.loads(await child.stdout.readline())
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def test_m80_ready_line_and_sigterm() -> None:
    """M80: one JSON line with URLs and test credentials; SIGTERM ends it with status 0."""
    async with process() as (child, ready):
        assert (ready["venue"], ready["simulated"], ready["seed"]) == ("mexc", True, 5)
        assert ready["ws"] == ready["rest"].replace("http", "ws") + "/ws"
        assert set(ready["accounts"][0]) == {"label", "api_key", "secret", "balances"}
        async with aiohttp.ClientSession() as session, session.get(ready["calendar"]) as answer:
            assert answer.status == 200
        child.send_signal(signal.SIGTERM)
        assert await child.wait() == 0


async def test_m81_ends_with_its_parent() -> None:
    """M81: the end of stdin ends the simulator."""
    async with process() as (child, _):
        assert child.stdin is not None
        child.stdin.close()
        assert await child.wait() == 0


async def test_m82_connections_are_cut_in_the_process_too() -> None:
    """M82: the process runs on another event loop than the other cases; cutting a connection works there as well."""
    async with process() as (_, ready), aiohttp.ClientSession() as session:
        fault = {"kind": "refuse_connection", "target": "/api/v3/time", "times": None}
        async with session.post(f"{ready['rest']}/control/faults", json={"faults": [fault]}) as answer:
            assert answer.status == 200
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(f"{ready['rest']}/api/v3/time")
        async with session.ws_connect(ready["ws"]) as socket:
            async with session.post(f"{ready['rest']}/control/disconnect") as answer:
                assert await answer.json() == {"disconnected": 1}
            assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSED
