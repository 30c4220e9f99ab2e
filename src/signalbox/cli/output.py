"""How results look: tables for people, JSON for programs. Results go to stdout, everything else to stderr.

People see their own time zone and ages; JSON has UTC. Without a terminal there are no colours and no wrapped columns.
"""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any, Final

import msgspec
from msgspec import Struct
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from signalbox.domain.money import plain

_WIDE: Final = 1000
_NOTHING: Final = "–"
_FRACTION_MAX: Final = 10
_PROSE_MIN: Final = 24
_GAP: Final = 3
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


class Kind(StrEnum):
    """How a column is written."""

    TEXT = "text"
    DECIMAL = "decimal"
    TIME = "time"


class Column(Struct, frozen=True):
    """A column of a table. `places` rounds amounts on screens. Only columns that `wrap` give way on a narrow terminal;
    `extra` ones are left out there, the last one first, and named below the table."""

    title: str
    kind: Kind = Kind.TEXT
    places: int | None = None
    wrap: bool = False
    extra: bool = False


def decimals(title: str, places: int | None = None, *, extra: bool = False) -> Column:
    """A column of amounts, aligned at the decimal point."""
    return Column(title, Kind.DECIMAL, places=places, extra=extra)


def times(title: str, *, extra: bool = False) -> Column:
    """A column of instants, in the local zone."""
    return Column(title, Kind.TIME, extra=extra)


def prose(title: str, *, extra: bool = False) -> Column:
    """A column of sentences, which may take several lines."""
    return Column(title, wrap=True, extra=extra)


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


def table(
    title: str, columns: Sequence[Column], rows: Iterable[Sequence[Any]], *, empty: str, width: int | None = None
) -> Table | Text:
    """A table, or the sentence `empty` when there are no rows. Cells: text, numbers, times, None, or Rich text.

    `width` is the room in characters, that of stdout when None.
    """
    cells = [list(row) for row in rows]
    if not cells:
        return Text(empty)
    written = [_written(column, [row[index] for row in cells]) for index, column in enumerate(columns)]
    kept, left_out = _fitting(written, stdout().width if width is None else width)
    made = Table(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    made.caption_justify, made.caption_style = "left", FAINT
    if left_out:
        made.caption = f"not shown: {', '.join(left_out)} (widen the terminal, or --json)"
    for one in kept:
        right = one.column.kind is Kind.DECIMAL
        made.add_column(one.head, justify="right" if right else "left", no_wrap=not one.column.wrap)
    for line in zip(*(one.cells for one in kept), strict=True):
        made.add_row(*line)
    return made


class _Written(Struct, frozen=True):
    """A column as it will be printed."""

    column: Column
    head: str
    cells: Sequence[Text | str]

    @property
    def width(self) -> int:
        """The room that it needs, with the gap after it."""
        head = max(cell_len(line) for line in self.head.splitlines())
        widest = max(cell_len(str(text)) for text in self.cells)
        return max(head, min(widest, _PROSE_MIN) if self.column.wrap else widest) + _GAP


def _written(column: Column, values: Sequence[Any]) -> _Written:
    if column.kind is Kind.DECIMAL:
        rounded = [_rounded(value, column.places) for value in values]
        return _Written(column, column.title, aligned(rounded))
    if column.kind is Kind.TIME:
        return _written_times(column, values)
    return _Written(column, column.title, [cell(value) for value in values])


def _rounded(value: Decimal | int | None, places: int | None) -> Decimal | int | None:
    return value if value is None or places is None else round(Decimal(value), places)


def _written_times(column: Column, values: Sequence[datetime | None]) -> _Written:
    """Instants of one day show the day once, in the heading."""
    days = {local_time(value)[:10] for value in values if value is not None}
    head = f"{column.title} ({_zone(values)})"
    if len(days) != 1:
        return _Written(column, head, [cell(value) for value in values])
    texts = [cell(None) if value is None else Text(local_time(value)[11:]) for value in values]
    return _Written(column, f"{head}\n{days.pop()}", texts)


def _fitting(written: Sequence[_Written], width: int) -> tuple[list[_Written], list[str]]:
    """The columns that have room, and the titles of those that have none."""
    kept = list(written)
    left_out: list[str] = []
    while sum(one.width for one in kept) > width:
        extra = next((one for one in reversed(kept) if one.column.extra), None)
        if extra is None:
            break
        kept.remove(extra)
        left_out.insert(0, extra.column.title)
    return kept, left_out


def aligned(values: Sequence[Decimal | int | None]) -> list[str]:
    """Decimal texts of equal fraction width, padded with spaces, so that right-justified points stand in a line."""
    texts = [_NOTHING if value is None else shown(Decimal(value)) for value in values]
    width = max((len(text.partition(".")[2]) + (1 if "." in text else 0) for text in texts), default=0)
    padded = []
    for text in texts:
        fraction = len(text.partition(".")[2]) + (1 if "." in text else 0)
        padded.append(text + " " * (width - fraction))
    return padded


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
        return Text(_NOTHING, style=FAINT)
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


def _zone(times_shown: Sequence[datetime | None]) -> str:
    """The short name of this machine's time zone at the times that are shown."""
    return next((at.astimezone().tzname() or "local" for at in times_shown if at is not None), "local")


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
        return Text(_NOTHING, style=FAINT)
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
