"""The demo's screen: what is at stake, how alive everything is, what comes, and the life of each listing."""

from datetime import datetime

from msgspec import Struct
from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from signalbox.app.audit import StreamResult
from signalbox.app.demo import Upcoming
from signalbox.cli.output import BAD, FAINT, GOOD, WARN, Banner, banner, cell, latency
from signalbox.cli.runs import engine_line, kill_switch_line
from signalbox.cli.tables import Column, decimals, table, times
from signalbox.control.runs import Overview
from signalbox.control.stories import Step, StepKind, Story, signed
from signalbox.domain.money import ZERO, total

_STEP_STYLES = {
    StepKind.DETECTED: "cyan",
    StepKind.DECIDED: "cyan",
    StepKind.SENT: WARN,
    StepKind.BOUGHT: GOOD,
    StepKind.REFUSED: BAD,
    StepKind.HELD: WARN,
    StepKind.SOLD: GOOD,
    StepKind.RESULT: "bold green",
}


_WIDE, _TALL = 120, 34
"""Columns and lines from which the coming listings have a panel of their own."""
_PANEL_WIDTH, _PANEL_HEIGHT, _TABLE_HEAD = 4, 2, 3
_KIND_WIDTH = 9


class DemoScreen(Struct, frozen=True, kw_only=True):
    """Everything that one frame shows."""

    at: datetime
    exchange: str
    overview: Overview
    upcoming: list[Upcoming]
    stories: list[Story]
    audit: list[StreamResult]


def frame(screen: DemoScreen, *, width: int, height: int) -> Layout:
    """One frame of the live view for a terminal of this size, in characters."""
    return _wide(screen, width) if width >= _WIDE and height >= _TALL else _narrow(screen, width, height)


def _wide(screen: DemoScreen, width: int) -> Layout:
    layout = Layout()
    layout.split_column(
        Layout(_head(screen), name="head", size=4),
        Layout(name="middle"),
        _trades(screen, rows=6, width=width),
        Layout(_foot(screen), name="foot", size=2),
    )
    layout["middle"].split_row(
        Layout(_panel(_calendar(screen), "listings"), name="calendar", size=38),
        Layout(_panel(_Newest(screen.stories), "now"), name="now"),
    )
    return layout


def _narrow(screen: DemoScreen, width: int, height: int) -> Layout:
    """What happens now gets the room; coming listings shrink to one line."""
    layout = Layout()
    layout.split_column(
        Layout(_short_head(screen), name="head", size=4),
        Layout(_panel(_Newest(screen.stories), "now"), name="now"),
        _trades(screen, rows=2 if height < _TALL else 6, width=width),
        Layout(_foot(screen), name="foot", size=2),
    )
    return layout


def _trades(screen: DemoScreen, *, rows: int, width: int) -> Layout:
    made = results_table(screen.stories[:rows], width=width - _PANEL_WIDTH)
    if isinstance(made, Table):
        made.show_edge, made.caption = False, None
    return Layout(_panel(made, "trades"), name="trades", size=rows + _TABLE_HEAD + _PANEL_HEIGHT)


def _panel(inside: RenderableType, title: str) -> Panel:
    return Panel(inside, title=title, title_align="left", box=box.SQUARE, border_style=FAINT, padding=(0, 1))


def _head(screen: DemoScreen) -> Group:
    line = Text("   ").join(
        [engine_line(screen.overview), _run_line(screen), kill_switch_line(screen.overview.system, screen.at)]
    )
    return Group(banner(Banner.SIMULATED_EXCHANGE), _exchange_line(screen), line)


def _short_head(screen: DemoScreen) -> Group:
    switch = Text("   ").join([kill_switch_line(screen.overview.system, screen.at), _exchange_line(screen)])
    alive = Text("   ").join([engine_line(screen.overview), _run_line(screen)])
    coming = Text("next: nothing is announced", style=FAINT)
    if screen.upcoming:
        soonest = screen.upcoming[0]
        coming = Text(f"next: {soonest.symbol} opens in {soonest.opens_in_s:.0f} s", style=WARN)
    return Group(banner(Banner.SIMULATED_EXCHANGE), alive, switch, coming)


def _exchange_line(screen: DemoScreen) -> Text:
    return Text(f"exchange {screen.exchange}", style=FAINT)


def _run_line(screen: DemoScreen) -> Text:
    run = next(iter(screen.overview.runs), None)
    if run is None:
        return Text("no run yet")
    return Text.assemble(f"run {run.configuration}:{run.version} on {run.account}: ", cell(run.status))


def _calendar(screen: DemoScreen) -> RenderableType:
    made = Table.grid(padding=(0, 2))
    made.add_column()
    made.add_column(justify="right")
    for item in screen.upcoming[:5]:
        made.add_row(Text(item.symbol), Text(f"opens in {item.opens_in_s:.0f} s", style=WARN))
    for story in screen.stories[:8]:
        made.add_row(Text(story.symbol), _state(story))
    if not made.row_count:
        return Text("waiting for the first listing", style=FAINT)
    return made


def _state(story: Story) -> Text:
    position = story.facts.position
    if story.closed and position is not None:
        return Text(f"closed {signed(position.realised_pnl)}", style=GOOD if position.realised_pnl >= 0 else BAD)
    if story.over:
        return Text("not traded", style=FAINT)
    if story.steps[-1].kind is StepKind.REFUSED:
        return Text("refused so far", style=WARN)
    return Text("held" if position is not None else "in flight", style=WARN)


class _Newest:
    """The steps of the newest listings. The latest steps stay when there is not room for all."""

    def __init__(self, stories: list[Story]) -> None:
        self._stories = stories[:2]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The lines that fit."""
        if not self._stories:
            yield Text("nothing has been listed yet", style=FAINT)
        room = options.height if options.height is not None else options.max_width
        for story in self._stories:
            if room < _LEAST_LINES:
                return
            room -= 1
            yield Text(story.symbol, style="bold")
            steps = [step_lines(step, console, options.max_width) for step in story.steps]
            while len(steps) > 1 and sum(map(len, steps)) > room:
                del steps[0]
            for lines in steps:
                yield from lines
                room -= len(lines)
            yield Text()
            room -= 1


_LEAST_LINES = 4


def step_lines(step: Step, console: Console, width: int) -> list[Text]:
    """One step of a story, its text wrapped beside its name."""
    lines = Text(step.text).wrap(console, max(width - _KIND_WIDTH, 1))
    heads = [Text(f"{step.kind.upper():<{_KIND_WIDTH}}", _STEP_STYLES[step.kind]), Text(" " * _KIND_WIDTH)]
    return [Text.assemble(heads[min(index, 1)], line) for index, line in enumerate(lines)]


def results_table(stories: list[Story], *, width: int | None = None) -> Table | Text:
    """The trades with what they brought. `width` is the room in characters, that of stdout when None."""
    columns = [
        Column("symbol"),
        Column("seen by", extra=True),
        times("bought"),
        decimals("spent", 2),
        decimals("of", extra=True),
        Column("to the wire"),
        Column("sold by"),
        decimals("PnL", 2),
    ]
    rows = []
    for story in stories:
        entry = next((order for order in story.facts.entries if order.executed_quote), None)
        position = story.facts.position
        rule = next((row.exit_rule for row in story.facts.exit_decisions.values() if row.exit_rule), None)
        rows.append(
            [
                story.symbol,
                story.facts.signal.detection_source,
                None if entry is None else entry.completed_at,
                None if entry is None else entry.executed_quote,
                None if entry is None else entry.quote_amount,
                latency(None if entry is None else story.facts.entries[0].latency_ms),
                rule if story.closed else None,
                position.realised_pnl if position is not None and story.closed else None,
            ]
        )
    return table("", columns, rows, empty="no trade yet", width=width)


def _foot(screen: DemoScreen) -> Text:
    closed = [story.facts.position for story in screen.stories if story.closed]
    result = total(position.realised_pnl for position in closed if position is not None)
    count = "1 trade" if len(closed) == 1 else f"{len(closed)} trades"
    line = Text.assemble("result ", (signed(result), GOOD if result >= ZERO else BAD), f" over {count}   ")
    return line.append_text(audit_line(screen.audit)).append("   Ctrl-C ends the demo", style=FAINT)


def audit_line(results: list[StreamResult]) -> Text:
    """The verdict on the ledger's chains."""
    if not results:
        return Text("ledger not verified yet", style=FAINT)
    if all(result.ok for result in results):
        rows = ", ".join(f"{result.rows} {result.stream}" for result in results)
        return Text(f"ledger verified: every hash of {rows} recomputed", style=GOOD)
    return Text("LEDGER FAULT: " + "; ".join(result.fault or "" for result in results if not result.ok), style=BAD)
