"""Other people's client: the unmodified ccxt `mexc` works against the simulated MEXC.

ccxt pins many libraries, so it lives in an environment of its own; `make conformance` builds that environment and
names its interpreter. Not covered, because ccxt 4.5.90 itself cannot: `watch_bids_asks` on spot (it reads the field
names of the old JSON pushes).
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

INTERPRETER = os.environ.get("SIGNALBOX_CONFORMANCE_PYTHON")  # noqa: TID251 - set by `make conformance`
CLIENT = Path(__file__).with_name("ccxt_mexc_client.py")
WAIT_S = 180
SIMULATOR = """
from signalbox.simulators.mexc.main import run
from signalbox.simulators.mexc.options import ListingOptions, SimulatorOptions
run(SimulatorOptions(seed=1, exit_with_parent=True, listings=(ListingOptions(symbol="ABCUSDT", path="flat"),)))
"""

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(not INTERPRETER, reason="needs ccxt in its own environment: run `make conformance`"),
]


async def run_client(ready: str) -> dict[str, Any]:
    """What the client saw; its own error output when it failed."""
    child = await asyncio.create_subprocess_exec(
        str(INTERPRETER), str(CLIENT), ready, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(WAIT_S):
            out, err = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    assert child.returncode == 0, err.decode()
    seen: dict[str, Any] = json.loads(out)
    return seen


@pytest.fixture
async def ready() -> AsyncIterator[str]:
    """The ready line of a simulator that runs as a process of its own."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SIMULATOR, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdin is not None
    try:
        async with asyncio.timeout(20):
            line = await child.stdout.readline()
        yield line.decode()
    finally:
        child.stdin.close()
        await child.wait()


async def test_unmodified_ccxt_trades_on_the_simulated_mexc(ready: str) -> None:
    """Markets, tickers, balance, buy by cost, sell, order and trade queries, errors, and the streams."""
    seen = await run_client(ready)
    rest = seen["rest"]
    assert rest["markets"] == 26
    assert rest["precision"]["price"] == 1e-5
    assert (rest["active"], rest["website_only_active"]) == (True, False)
    assert rest["ticker"] == 0.5
    assert rest["tickers"] == ["ABC/USDT", "BTC/USDT"]
    assert rest["book"] == [5, 5]
    assert (rest["candles"], rest["public_trades"]) == (5, 1)
    assert rest["balance"]["free"] == 10_000
    assert (rest["fee"], rest["currencies"]) == (0.0005, True)
    assert rest["ack_status"] is None, "the exchange acknowledges only"
    assert rest["bought"] == {
        "status": "closed",
        "side": "buy",
        "type": "market",
        "filled": 47.61,
        "cost": pytest.approx(23.85261),
        "clientOrderId": "ccxt-1",
    }
    assert (rest["my_trades"], rest["fees"], rest["order_trades"]) == (47.61, ["USDT"], 1)
    assert rest["sold"] == "closed"
    assert (rest["open"], rest["cancelled"], rest["ioc"]) == (["ccxt-2"], "canceled", "closed")
    assert (rest["cancelled_all"], rest["orders"]) == (2, 6)
    assert rest["errors"] == ["InsufficientFunds", "InvalidOrder", "InvalidOrder"]
    streams = seen["streams"]
    assert streams["watch_ticker"] is True
    assert {streams[name] for name in ("watch_trades", "watch_orders", "watch_my_trades")} == {"ABC/USDT"}
    assert streams["watch_order_book"] is True
    assert streams["watch_ohlcv"] == 6
