"""ccxt's async client at the job of the bare clients; runs in an environment of its own (`make conformance` makes it).

Unmodified ccxt; only constructor options say where the simulated exchange is.

`known`: for each symbol that comes on stdin, ccxt learns the market while it is announced, watches it over its
websocket (ccxt cannot watch all of MEXC's spot pairs at once), prints `armed`, and buys when the first offer comes.
`poll`: reads the markets again and again until one is there that it did not know, and buys it: `--fast` without any
pause and without ccxt's own rate limiter, else as ccxt comes.
"""

import argparse
import asyncio
import sys
from typing import Any

import ccxt.async_support  # type: ignore[import-not-found]  # only in the conformance environment
import ccxt.pro  # type: ignore[import-not-found]  # only in the conformance environment
import uvloop


def constructor(options: argparse.Namespace) -> dict[str, Any]:
    """What a user of ccxt writes."""
    return {
        "apiKey": options.key,
        "secret": options.secret,
        "enableRateLimit": not options.fast,
        "urls": {
            "api": {
                "spot": {"public": options.rest, "private": options.rest},
                "contract": {"public": f"{options.rest}/api/v1/contract"},
                "ws": {"spot": options.ws},
            }
        },
    }


async def _offered(exchange: Any, symbol: str) -> None:
    """Wait until somebody sells; before the opening the tickers are empty."""
    while not (await exchange.watch_ticker(symbol))["ask"]:
        pass


async def known(exchange: Any) -> None:
    """Buy what is named on stdin, each when it begins to trade."""
    loop = asyncio.get_running_loop()
    await exchange.load_markets()
    print("ready", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        symbol = line.strip().removesuffix("USDT") + "/USDT"
        await exchange.load_markets(True)  # noqa: FBT003 - ccxt's own signature
        watching = asyncio.ensure_future(_offered(exchange, symbol))
        await asyncio.sleep(0.2)
        print("armed", flush=True)
        await watching
        await exchange.create_market_buy_order_with_cost(symbol, 10)


async def poll(exchange: Any) -> None:
    """Buy every market that was not there before."""
    before = set(await exchange.load_markets())
    print("ready", flush=True)
    while True:
        markets = set(await exchange.load_markets(True))  # noqa: FBT003 - ccxt's own signature
        for symbol in markets - before:
            await exchange.create_market_buy_order_with_cost(symbol, 10)
        before = markets


async def run(options: argparse.Namespace) -> None:
    """Until stdin ends, or the process is terminated."""
    library = ccxt.pro if options.job == "known" else ccxt.async_support
    exchange = library.mexc(constructor(options))
    try:
        await (known(exchange) if options.job == "known" else poll(exchange))
    finally:
        await exchange.close()


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=("known", "poll"))
    for name in ("rest", "ws", "key", "secret"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--fast", action="store_true")
    uvloop.run(run(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
