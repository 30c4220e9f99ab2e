"""How values look: screens for people, JSON for programs. Results go to stdout, everything else to stderr.

People see their own time zone and ages; JSON has UTC. Without a terminal there are no colours and no wrapped columns.
"""

import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.text import Text

from signalbox.domain.money import plain

_WIDE: Final = 1000
NOTHING: Final = "–"
_FRACTION_MAX: Final = 10
_SIGNIFICANT: Final = 10

GOOD, WARN, BAD, FAINT = "green", "yellow", "bold red", "dim"

_STYLES: Final = {
    "running": GOOD,
    "filled": GOOD,
    "passed": GOOD,
    "fired": GOOD,
    "execute": GOOD,
    "ok": GOOD,
    "starting": WARN,
    "stopping": WARN,
    "pending": WARN,
    "submitted": WARN,
    "degraded": WARN,
    "warning": WARN,
    "not_enforced": WARN,
    "live": WARN,
    "failed": BAD,
    "rejected": BAD,
    "error": BAD,
    "not_applicable": FAINT,
    "waiting": FAINT,
    "skip": FAINT,
}


def stdout() -> Console:
    """The console for results."""
    return _console(sys.stdout)


def stderr() -> Console:
    """The console for everything else."""
    return _console(sys.stderr)


def _console(file: Any) -> Console:
    if file.isatty():
        return Console(file=file, highlight=False)
    return Console(file=file, highlight=False, width=_WIDE, force_terminal=False, no_color=True)


def print_json(value: object) -> None:
    """One JSON document on stdout: decimals as strings, times in UTC."""
    plain = msgspec.to_builtins(value, enc_hook=str, builtin_types=(Decimal, datetime))
    encoded = msgspec.json.encode(_in_utc(plain))
    sys.stdout.write(msgspec.json.format(encoded, indent=2).decode() + "\n")


def _in_utc(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, dict):
        return {key: _in_utc(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_in_utc(item) for item in value]
    return value


def shown(value: Decimal) -> str:
    """An amount for a screen: long quotients are cut to ten significant digits (JSON has every digit)."""
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent >= -_FRACTION_MAX:
        return format(value, "f")
    places = max(0, _SIGNIFICANT - 1 - value.adjusted())
    return plain(round(value, places))


def cell(value: Any) -> Text:
    """One value as a table shows it. Words of state get their colour."""
    if value is None:
        return Text(NOTHING, style=FAINT)
    if isinstance(value, Text):
        return value
    if isinstance(value, datetime):
        return Text(local_time(value))
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    text = shown(value) if isinstance(value, Decimal) else str(value.value if isinstance(value, Enum) else value)
    return Text(text, style=_STYLES.get(text, ""))


def local_time(at: datetime, *, milliseconds: bool = True) -> str:
    """The instant in the zone of this machine, without the zone's name."""
    return at.astimezone().isoformat(sep=" ", timespec="milliseconds" if milliseconds else "seconds")[:-6]


def age(at: datetime | None, now: datetime) -> str:
    """How long ago (or ahead) an instant is, in one unit."""
    if at is None:
        return "never"
    seconds = (now - at).total_seconds()
    text = _duration(abs(seconds))
    return f"in {text}" if seconds < 0 else f"{text} ago"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86_400:.0f} d"


def aged(at: datetime | None, now: datetime, *, allowed: timedelta) -> Text:
    """An age that looks old when it is older than allowed."""
    text = age(at, now)
    if at is None or now - at > allowed:
        return Text(f"{text}, STALE (allowed {_duration(allowed.total_seconds())})", style=BAD)
    return Text(text, style=GOOD)


def latency(milliseconds: Decimal | None) -> Text:
    """A latency with its badge: under 500 ms green, under 1000 ms amber, else red."""
    if milliseconds is None:
        return Text(NOTHING, style=FAINT)
    style = GOOD if milliseconds < 500 else WARN if milliseconds < 1000 else BAD
    return Text(f"{milliseconds:.1f} ms", style=style)


class Banner(StrEnum):
    """What is at stake, said on every screen."""

    SIMULATED_EXCHANGE = "SIMULATED EXCHANGE"
    SIMULATION = "SIMULATION"
    LIVE = "LIVE"


_BANNERS: Final = {
    Banner.SIMULATED_EXCHANGE: ("the exchange runs on this machine; no real money", "black on cyan"),
    Banner.SIMULATION: ("orders are filled against live prices; nothing is sent", "black on green"),
    Banner.LIVE: ("real orders with real money may be sent", "bold white on red"),
}


def banner(kind: Banner) -> Text:
    """The first line of every screen."""
    text, style = _BANNERS[kind]
    return Text.assemble((f" {kind.value} ", style), f" {text}")
