"""The demo's screen: what is at stake, how alive everything is, what comes, and the life of each listing."""

from datetime import datetime

from msgspec import Struct
from rich import box
from rich.console import Group, RenderableType
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


class DemoScreen(Struct, frozen=True, kw_only=True):
    """Everything that one frame shows."""

    at: datetime
    exchange: str
    overview: Overview
    upcoming: list[Upcoming]
    stories: list[Story]
    audit: list[StreamResult]


def frame(screen: DemoScreen) -> Layout:
    """One frame of the live view."""
    layout = Layout()
    layout.split_column(
        Layout(_head(screen), name="head", size=4),
        Layout(name="middle"),
        Layout(_panel(results_table(screen.stories[:6]), "trades"), name="trades", size=11),
        Layout(_foot(screen), name="foot", size=2),
    )
    layout["middle"].split_row(
        Layout(_panel(_calendar(screen), "listings"), name="calendar", size=38),
        Layout(_panel(_current(screen), "now"), name="now"),
    )
    return layout


def _panel(inside: RenderableType, title: str) -> Panel:
    return Panel(inside, title=title, title_align="left", box=box.SQUARE, border_style=FAINT, padding=(0, 1))


def _head(screen: DemoScreen) -> Group:
    run = next(iter(screen.overview.runs), None)
    state = (
        Text("no run yet")
        if run is None
        else Text.assemble(f"run {run.configuration}:{run.version} on {run.account}: ", cell(run.status))
    )
    line = Text("   ").join([engine_line(screen.overview), state, kill_switch_line(screen.overview.system, screen.at)])
    return Group(banner(Banner.SIMULATED_EXCHANGE), Text(f"exchange {screen.exchange}", style=FAINT), line)


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
    return Text("held" if position is not None else "in flight", style=WARN)


def _current(screen: DemoScreen) -> RenderableType:
    """The steps of the newest listings that fit."""
    lines: list[Text] = []
    for story in screen.stories[:2]:
        lines.append(Text(story.symbol, style="bold"))
        lines += [step_line(step) for step in story.steps]
        lines.append(Text())
    return Group(*lines) if lines else Text("nothing has been listed yet", style=FAINT)


def step_line(step: Step) -> Text:
    """One step of a story."""
    return Text.assemble((f"{step.kind.upper():<9}", _STEP_STYLES[step.kind]), step.text)


def results_table(stories: list[Story]) -> RenderableType:
    """The trades with what they brought."""
    columns = [
        Column("symbol"),
        Column("seen by"),
        times("bought"),
        decimals("spent", 2),
        decimals("of"),
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
    return table("", columns, rows, empty="no trade yet")


def _foot(screen: DemoScreen) -> Text:
    closed = [story.facts.position for story in screen.stories if story.closed]
    result = total(position.realised_pnl for position in closed if position is not None)
    line = Text.assemble("result ", (signed(result), GOOD if result >= ZERO else BAD), f" over {len(closed)} trades   ")
    return line.append_text(audit_line(screen.audit)).append("   Ctrl-C ends the demo", style=FAINT)


def audit_line(results: list[StreamResult]) -> Text:
    """The verdict on the ledger's chains."""
    if not results:
        return Text("ledger not verified yet", style=FAINT)
    if all(result.ok for result in results):
        rows = ", ".join(f"{result.rows} {result.stream}" for result in results)
        return Text(f"ledger verified: every hash of {rows} recomputed", style=GOOD)
    return Text("LEDGER FAULT: " + "; ".join(result.fault or "" for result in results if not result.ok), style=BAD)
