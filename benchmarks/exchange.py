"""A simulated MEXC exchange for benches: no rate limits, a deep purse. Ends when its stdin does."""

import argparse
import asyncio
import sys
from decimal import Decimal

import msgspec
from benchmarks.fast_time import FastClock, FastLoop, Pace

from signalbox.simulators.faults import Fault
from signalbox.simulators.mexc.main import ready_line, run, serve
from signalbox.simulators.mexc.options import AccountOptions, RateLimitOptions, ScheduleOptions, SimulatorOptions

NO_PUSHES = Fault(kind="push_missing", target="spot@public.miniTickers", times=None)


def main() -> int:
    """Run until stdin ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--filler", type=int, default=0, help="further pairs that nothing happens to")
    parser.add_argument("--silent", action="store_true", help="never push mini-tickers: listings are found by polling")
    parser.add_argument("--every-min", type=float, default=0, help="a listing every so many minutes")
    parser.add_argument("--pace", default="", help="JSON of a fast_time.Pace")
    options = parser.parse_args()
    simulator = SimulatorOptions(
        port=0,
        seed=options.seed,
        exit_with_parent=True,
        accounts=(AccountOptions(balances={"USDT": Decimal(10_000_000)}),),
        rate_limits=RateLimitOptions(enforced=False),
        filler_pairs=options.filler,
        faults=(NO_PUSHES,) if options.silent else (),
        schedule=_schedule(options.every_min),
    )
    if options.pace:
        _run_fast(simulator, msgspec.json.decode(options.pace, type=Pace))
    else:
        run(simulator)
    return 0


def _schedule(every_min: float) -> ScheduleOptions:
    if not every_min:
        return ScheduleOptions()
    every_ms = round(every_min * 60_000)
    return ScheduleOptions(count=500, first_in_ms=every_ms, every_ms=every_ms, announce_ahead_ms=every_ms)


def _run_fast(options: SimulatorOptions, pace: Pace) -> None:
    async def live() -> None:
        simulator = await serve(options, FastClock(pace))
        try:
            print(ready_line(simulator), flush=True)
            await asyncio.to_thread(sys.stdin.read)
        finally:
            await simulator.close()

    with asyncio.Runner(loop_factory=lambda: FastLoop(pace)) as runner:
        runner.run(live())


if __name__ == "__main__":
    sys.exit(main())
