"""What the benches print: medians, p99 and ratios, and the raw samples as JSON."""

import json
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

Samples = dict[str, list[float]]


def p99(values: Sequence[float]) -> float:
    """The value that one in a hundred exceeds."""
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


def machine() -> str:
    """What the figures were measured on."""
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}"


def table(title: str, samples: Mapping[str, Sequence[float]], base: str) -> None:
    """One line for each program, with its ratio to `base`."""
    out = sys.stdout.write
    out(f"\n{title} ({machine()})\n")
    out(f"{'':<22}{'n':>5}{'min':>9}{'p50':>9}{'p99':>9}{'max':>9}{'p50/' + base:>9}{'p99/' + base:>9}\n")
    middle, late = (statistics.median(samples[base]), p99(samples[base])) if samples.get(base) else (0.0, 0.0)
    for name, values in samples.items():
        if not values:
            continue
        p50, high = statistics.median(values), p99(values)
        ratios = f"{p50 / middle:>9.2f}{high / late:>9.2f}" if middle and late else ""
        out(f"{name:<22}{len(values):>5}{min(values):>9.0f}{p50:>9.0f}{high:>9.0f}{max(values):>9.0f}{ratios}\n")


def lines(title: str, samples: Mapping[str, Sequence[float]]) -> None:
    """Median and p99 of each."""
    sys.stdout.write(f"\n{title}\n")
    for name, values in samples.items():
        sys.stdout.write(f"{name:<34}{statistics.median(values):>9.0f} p50 {p99(values):>9.0f} p99\n")


def keep(raw: Path | None, samples: object) -> None:
    """Write the raw samples, when a file was asked for."""
    if raw is not None:
        raw.parent.mkdir(parents=True, exist_ok=True)
        raw.write_text(json.dumps(samples))


def progress(text: str) -> None:
    """Where a long bench is, for whoever watches."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text} ")
