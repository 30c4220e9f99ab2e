"""Every bench, one after the other: `python -m benchmarks [--quick] [--raw DIRECTORY]`.

`--quick` takes few samples, to see that everything works; its figures say little. ccxt takes part where
.venv-conformance is there (`make conformance` makes it).
"""

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.event_to_order import CCXT
from benchmarks.exchanges import ROOT

BENCHES: tuple[tuple[str, tuple[str, ...], tuple[str, ...], str], ...] = (
    ("event_to_order", ("--warm",), ("--samples", "4", "--rounds", "1"), "--raw"),
    ("polled_listing", (), ("--samples", "4"), "--raw"),
    ("scheduled_snipe", (), ("--listings", "4", "--offsets", "0"), "--raw"),
    ("burst", (), ("--rounds", "1"), "--raw"),
    ("decode", (), ("--rounds", "20"), "--samples"),
    ("intent_commit", (), ("--commits", "200"), ""),
    ("start_stop", (), ("--rounds", "1"), "--raw"),
    ("memory_day", (), ("--hours", "0.5"), "--raw"),
)
"""Name, its usual options, those for a quick look, and the option that takes the file for its raw samples."""

WITH_CCXT = {"event_to_order", "polled_listing"}


def main() -> int:
    """Run them; 1 when one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few samples")
    parser.add_argument("--raw", type=Path, help="a directory for the raw samples")
    options = parser.parse_args()
    if options.raw is not None:
        options.raw.mkdir(parents=True, exist_ok=True)
    failed = []
    for name, usual, quick, raw in BENCHES:
        command = [sys.executable, "-m", f"benchmarks.{name}", *usual, *(quick if options.quick else ())]
        if name in WITH_CCXT and CCXT.exists():
            command.append("--ccxt")
        if options.raw is not None and raw:
            command += [raw, str(options.raw.resolve() / f"{name}.json")]
        print(f"\n$ python -m {' '.join(command[2:])}", flush=True)
        if subprocess.run(command, cwd=ROOT, check=False).returncode:  # noqa: S603 - our own programs
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
