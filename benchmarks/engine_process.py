"""`signalbox engine` as it is, but for what a bench says: with the account's pace lifted, or in fast time.

`--unpaced` lifts our own counting of MEXC's limits (12 orders a second, 300 weight in ten), which the simulated
exchange of the bench does not enforce either. Nothing else differs from `signalbox engine`.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable
from functools import partial

import msgspec
import uvloop
from benchmarks.fast_time import FastClock, FastLoop, Pace
from msgspec import structs

from signalbox.app import engine_process
from signalbox.app.database import open_database
from signalbox.app.settings import load_settings
from signalbox.observability.logging import configure_logging
from signalbox.venues.mexc import limits

PLENTY = 1_000_000


def main() -> int:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--unpaced", action="store_true")
    parser.add_argument("--pace", default="", help="JSON of a fast_time.Pace")
    options = parser.parse_args()
    if options.unpaced:
        for name in ("WEIGHT_PER_10_S", "ACCOUNT_WEIGHT_PER_10_S", "ORDERS_PER_SECOND"):
            vars(limits)[name] = structs.replace(vars(limits)[name], value=PLENTY)
        limits.MexcLimits.address.__kwdefaults__ = {"weight": PLENTY, "quiet": False}
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    if options.pace:
        pace = msgspec.json.decode(options.pace, type=Pace)
        vars(engine_process)["SystemClock"] = partial(FastClock, pace)
        loop_factory = partial(FastLoop, pace)
    settings = load_settings()
    configure_logging(level=settings.log_level, log_format=settings.log_format)
    with (
        open_database(settings, upgrade=True) as database,
        asyncio.Runner(loop_factory=loop_factory) as runner,
    ):
        runner.run(engine_process.serve(settings, database))
    return 0


if __name__ == "__main__":
    sys.exit(main())
