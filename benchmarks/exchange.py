"""A simulated MEXC exchange for benches: no rate limits, no schedule, a deep purse. Ends when its stdin does."""

import argparse
import sys
from decimal import Decimal

from signalbox.simulators.mexc.main import run
from signalbox.simulators.mexc.options import AccountOptions, RateLimitOptions, SimulatorOptions


def main() -> int:
    """Run until stdin ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    run(
        SimulatorOptions(
            port=0,
            seed=options.seed,
            exit_with_parent=True,
            accounts=(AccountOptions(balances={"USDT": Decimal(10_000_000)}),),
            rate_limits=RateLimitOptions(enforced=False),
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
