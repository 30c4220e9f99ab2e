"""An unmodified ccxt `mexc` against a simulated exchange; runs in an environment of its own.

Reads the simulator's ready line from the first argument, prints one JSON object with what ccxt saw, and exits with
1 when a call fails. Nothing of ccxt is subclassed or patched; the constructor gets keys, URLs and options:

* `urls.api.spot.public` / `.private`: the REST base; `urls.api.contract.public`: where ccxt looks for futures while it
  loads markets (it always asks; the simulator answers with an empty list); `urls.api.ws.spot`: the websocket.
* `options.watchOrderBook.snapshotDelay`: how many changes ccxt waits for before it fetches the book.
"""

import asyncio
import json
import sys
from typing import Any

import ccxt  # type: ignore[import-not-found]  # only in the conformance environment
import ccxt.pro  # type: ignore[import-not-found]  # only in the conformance environment

SYMBOL = "ABC/USDT"
WAIT_S = 20


def settings(ready: dict[str, Any]) -> dict[str, Any]:
    """What a user of ccxt writes into the constructor."""
    account = ready["accounts"][0]
    return {
        "apiKey": account["api_key"],
        "secret": account["secret"],
        "urls": {
            "api": {
                "spot": {"public": ready["rest"], "private": ready["rest"]},
                "contract": {"public": f"{ready['rest']}/api/v1/contract"},
                "ws": {"spot": ready["ws"]},
            }
        },
        "options": {"watchOrderBook": {"snapshotDelay": 2}},
    }


async def rest(exchange: Any) -> dict[str, Any]:
    """Markets, tickers, balance, a purchase by cost, a sale, queries."""
    seen: dict[str, Any] = {}
    markets = await exchange.load_markets()
    seen["markets"] = len(markets)
    seen["precision"] = markets[SYMBOL]["precision"]
    seen["active"] = markets[SYMBOL]["active"]
    seen["website_only_active"] = markets["WEBONLY/USDT"]["active"]
    seen["time"] = await exchange.fetch_time()
    seen["ticker"] = (await exchange.fetch_ticker(SYMBOL))["last"]
    seen["tickers"] = sorted(await exchange.fetch_tickers(["BTC/USDT", SYMBOL]))
    seen["bids_asks"] = len(await exchange.fetch_bids_asks())
    book = await exchange.fetch_order_book(SYMBOL, 5)
    seen["book"] = [len(book["bids"]), len(book["asks"])]
    seen["candles"] = len(await exchange.fetch_ohlcv("BTC/USDT", "1m", limit=5))
    seen["public_trades"] = len(await exchange.fetch_trades(SYMBOL, limit=1))
    seen["balance"] = (await exchange.fetch_balance())["USDT"]
    seen["fee"] = (await exchange.fetch_trading_fee(SYMBOL))["taker"]
    seen["currencies"] = "ABC" in await exchange.fetch_currencies()

    bought = await exchange.create_market_buy_order_with_cost(SYMBOL, 25, {"clientOrderId": "ccxt-1"})
    seen["ack_status"] = bought["status"]
    order = await exchange.fetch_order(bought["id"], SYMBOL)
    seen["bought"] = {name: order[name] for name in ("status", "side", "type", "filled", "cost", "clientOrderId")}
    trades = await exchange.fetch_my_trades(SYMBOL)
    seen["my_trades"] = sum(trade["amount"] for trade in trades)
    seen["fees"] = sorted({trade["fee"]["currency"] for trade in trades})
    seen["order_trades"] = len(await exchange.fetch_order_trades(bought["id"], SYMBOL))
    sold = await exchange.create_order(SYMBOL, "market", "sell", order["filled"])
    seen["sold"] = (await exchange.fetch_order(sold["id"], SYMBOL))["status"]

    limit = await exchange.create_order(SYMBOL, "limit", "buy", 10, 0.45, {"clientOrderId": "ccxt-2"})
    seen["open"] = [entry["clientOrderId"] for entry in await exchange.fetch_open_orders(SYMBOL)]
    seen["cancelled"] = (await exchange.cancel_order(limit["id"], SYMBOL))["status"]
    ioc = await exchange.create_order(SYMBOL, "limit", "buy", 10, 0.51, {"timeInForce": "IOC"})
    seen["ioc"] = (await exchange.fetch_order(ioc["id"], SYMBOL))["status"]
    await exchange.create_order(SYMBOL, "limit", "buy", 10, 0.45, {"test": True})
    await exchange.create_orders(
        [{"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 10, "price": price} for price in (0.45, 0.44)]
    )
    seen["cancelled_all"] = len(await exchange.cancel_all_orders(SYMBOL))
    seen["orders"] = len(await exchange.fetch_orders(SYMBOL))
    seen["errors"] = await errors(exchange)
    return seen


async def errors(exchange: Any) -> list[str]:
    """How ccxt sorts the refusals."""
    names = []
    for amount, price in ((10_000, 0.5), (1, 0.5), (10, 0.3)):
        try:
            await exchange.create_order(SYMBOL, "limit", "sell", amount, price)
        except ccxt.ExchangeError as error:
            names.append(type(error).__name__)
    return names


async def streams(exchange: Any) -> dict[str, Any]:
    """The websocket, public and private."""
    seen: dict[str, Any] = {"watch_ticker": (await exchange.watch_ticker(SYMBOL))["bid"] is not None}

    async def buy() -> None:
        await asyncio.sleep(0.3)
        await exchange.create_market_buy_order_with_cost(SYMBOL, 25)

    for name, watch in (
        ("watch_trades", exchange.watch_trades),
        ("watch_orders", exchange.watch_orders),
        ("watch_my_trades", exchange.watch_my_trades),
    ):
        task = asyncio.create_task(buy())
        async with asyncio.timeout(WAIT_S):
            seen[name] = (await watch(SYMBOL))[0]["symbol"]
        await task
    async with asyncio.timeout(WAIT_S):
        seen["watch_order_book"] = len((await exchange.watch_order_book("BTC/USDT"))["bids"]) > 0
        seen["watch_ohlcv"] = len((await exchange.watch_ohlcv("BTC/USDT", "1m"))[0])
    return seen


async def main() -> None:
    """Run everything and print what was seen."""
    exchange = ccxt.pro.mexc(settings(json.loads(sys.argv[1])))
    try:
        seen = {"version": ccxt.__version__, "rest": await rest(exchange), "streams": await streams(exchange)}
    finally:
        await exchange.close()
    sys.stdout.write(json.dumps(seen) + "\n")


asyncio.run(main())
