"""Tables that fit their terminal: aligned decimals, one zone, extra columns that give way."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct
from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from signalbox.cli.output import FAINT, NOTHING, cell, local_time, shown, stdout

_PROSE_MIN: Final = 24
_GAP: Final = 3


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


def table(
    title: str, columns: Sequence[Column], rows: Iterable[Sequence[Any]], *, empty: str, width: int | None = None
) -> Table | Text:
    """A table, or the sentence `empty` when there are no rows. Cells: text, numbers, times, None, or Rich text.

    `width` is the room in characters, that of stdout when None. Where even that is too little, words are folded, but
    never numbers, times and the first column, by which a row is named.
    """
    cells = [list(row) for row in rows]
    if not cells:
        return Text(empty)
    written = [_written(column, [row[index] for row in cells]) for index, column in enumerate(columns)]
    room = stdout().width if width is None else width
    kept, left_out = _fitting(written, room)
    made = Table(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    made.caption_justify, made.caption_style = "left", FAINT
    if left_out:
        made.caption = f"not shown: {', '.join(left_out)} (widen the terminal, or --json)"
    cramped = sum(one.width for one in kept) > room
    for number, one in enumerate(kept):
        right = one.column.kind is Kind.DECIMAL
        folds = one.column.wrap or (cramped and number > 0 and one.column.kind is Kind.TEXT)
        made.add_column(one.head, justify="right" if right else "left", no_wrap=not folds, overflow="fold")
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
    texts = [NOTHING if value is None else shown(Decimal(value)) for value in values]
    width = max((len(text.partition(".")[2]) + (1 if "." in text else 0) for text in texts), default=0)
    padded = []
    for text in texts:
        fraction = len(text.partition(".")[2]) + (1 if "." in text else 0)
        padded.append(text + " " * (width - fraction))
    return padded


def _zone(times_shown: Sequence[datetime | None]) -> str:
    """The short name of this machine's time zone at the times that are shown."""
    return next((at.astimezone().tzname() or "local" for at in times_shown if at is not None), "local")
