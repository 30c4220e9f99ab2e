"""`signalbox signals`."""

from typing import Annotated

import typer

from signalbox.cli.groups import group
from signalbox.cli.options import JsonFlag, Limit, SinceText, SymbolText, UntilText, window
from signalbox.cli.output import print_json, stdout
from signalbox.cli.session import ask
from signalbox.cli.tables import Column, decimals, prose, table, times
from signalbox.control import listings
from signalbox.domain.signals import DetectionSource
from signalbox.ledger.queries.listings import SignalRow

app = group("Signals: what was detected, by which source.", default="list")


@app.command("list")
def list_(
    since: SinceText = None,
    until: UntilText = None,
    symbol: SymbolText = None,
    source: Annotated[DetectionSource | None, typer.Option(help="Only what this source saw first.")] = None,
    limit: Limit = 50,
    as_json: JsonFlag = False,
) -> None:
    """List signals, newest first, with what was decided on them."""
    rows, screen = ask(
        lambda control: listings.list_signals(
            control, window(control.clock, since, until, symbol, limit), source=source
        )
    )
    if as_json:
        print_json(rows)
        return
    columns = [
        Column("symbol"),
        Column("seen first by"),
        times("detected"),
        times("listing time", extra=True),
        Column("confidence", extra=True),
        decimals("price"),
        prose("also seen by"),
        Column("decided"),
    ]
    cells = [
        [
            row.symbol,
            row.detection_source,
            row.detected_at,
            row.listing_time,
            row.confidence,
            row.price,
            ", ".join(later_sources(row)) or None,
            decided(row),
        ]
        for row in rows
    ]
    out = stdout()
    out.print(screen)
    out.print(table("Signals", columns, cells, empty="No signal matches. 'signalbox run status' shows what runs."))


def later_sources(row: SignalRow) -> list[str]:
    """The sources that saw the listing after the first one."""
    return sorted({str(item["source"]) for item in row.evidence if isinstance(item, dict) and "source" in item})


def decided(row: SignalRow) -> str:
    """What became of a signal, in two words."""
    if not row.executed and not row.skipped:
        return "not yet"
    return f"{row.executed} executed, {row.skipped} skipped"
