"""The table of what is going to be listed."""

from datetime import datetime, timedelta
from typing import Final

from rich.console import Group
from rich.text import Text

from signalbox.cli.output import BAD, FAINT, GOOD, WARN, age, local_time
from signalbox.cli.tables import Column, prose, table, times
from signalbox.control.upcoming import UpcomingBoard
from signalbox.domain.listings import Eligibility, ListingState
from signalbox.ledger.queries.listing_schedule import ClockRow, ScheduledRow

_STYLES: Final = {Eligibility.ELIGIBLE: GOOD, Eligibility.UNCERTAIN: WARN, Eligibility.INELIGIBLE: BAD}


def upcoming_screen(board: UpcomingBoard, *, ended: bool) -> Group:
    """The clock, then the listings."""
    columns = [
        Column("symbol"),
        times("opens at"),
        Column("state" if ended else "opens in"),
        Column("verdict"),
        prose("why"),
        Column("moved"),
        Column("announced by", extra=True),
        Column("account", extra=True),
    ]
    cells = [
        [
            row.symbol,
            row.opens_at,
            row.state if ended else countdown(row.opens_at - board.venue_now),
            Text(row.verdict, style=_STYLES[row.verdict]) if row.verdict else None,
            row.main_reason,
            moved(row),
            announced_by(row),
            row.account,
        ]
        for row in board.listings
    ]
    title = "Announced listings that opened or were cancelled" if ended else "Upcoming listings"
    empty = "Nothing ended yet." if ended else "Nothing is announced."
    lines = [clock_line(board.clock, board.now)]
    if not board.watched:
        text = "No run is active, so nobody looks for announcements: this is what the last run knew."
        lines.append(Text(f"{text} Start one: signalbox run start ACCOUNT CONFIGURATION", style=WARN))
    return Group(*lines, table(title, columns, cells, empty=empty))


def clock_line(clock: ClockRow | None, now: datetime) -> Text:
    """How far the exchange's clock is from ours."""
    if clock is None:
        return Text("The exchange's clock was not measured yet: a run does that.", style=WARN)
    return Text(
        f"The exchange's clock is {clock.offset_us / 1000:+.1f} ms from ours (± {clock.error_us / 1000:.1f} ms,"
        f" measured {age(clock.measured_at, now)}). Openings are by its clock."
    )


def countdown(left: timedelta) -> Text:
    """Time to the opening, to the second."""
    seconds = round(left.total_seconds())
    text = _clock(abs(seconds))
    if seconds < 0:
        return Text(f"overdue {text}", style=WARN)
    return Text(text, style=WARN if seconds < 60 else "")


def _clock(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    head = f"{days} d " if days else ""
    return f"{head}{hours:02d}:{minutes:02d}:{rest:02d}"


def moved(row: ScheduledRow) -> Text | None:
    """How often it was moved, and from when."""
    moves = [move for move in row.moves if move.new is not None]
    if not moves:
        return Text("taken back", style=FAINT) if row.state is ListingState.CANCELLED else None
    times_text = "once" if len(moves) == 1 else f"{len(moves)} times"
    return Text(f"{times_text}, was {local_time(moves[-1].old, milliseconds=False)}", style=WARN)


def announced_by(row: ScheduledRow) -> str:
    """The sources that name this opening, and what others say instead."""
    others = (f"{origin} says {local_time(at, milliseconds=False)}" for origin, at in row.disputed.items())
    return "; ".join([", ".join(row.origins), *others])
