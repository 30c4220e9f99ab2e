"""`signalbox events`."""

from typing import Annotated, Literal

import typer

from signalbox.cli.groups import group
from signalbox.cli.options import JsonFlag, Limit, SinceText, moment
from signalbox.cli.output import cell, print_json, stdout
from signalbox.cli.session import ask
from signalbox.cli.tables import Column, decimals, prose, table, times
from signalbox.control import records

app = group("What happened, and who did it.", default="list")

Level = Literal["info", "warning", "error"]
Category = Literal["api", "trading", "system", "config"]


@app.command("list")
def list_(
    since: SinceText = None,
    level: Annotated[Level | None, typer.Option(help="Only this level.")] = None,
    category: Annotated[Category | None, typer.Option(help="Only this category.")] = None,
    limit: Limit = 50,
    as_json: JsonFlag = False,
) -> None:
    """List system events, newest first."""
    rows, screen = ask(
        lambda control: records.list_events(
            control,
            since=None if since is None else moment(since, "--since", control.clock.now()),
            level=level,
            category=category,
            limit=limit,
        )
    )
    if as_json:
        print_json(rows)
        return
    columns = [
        decimals("sequence"),
        times("time"),
        Column("level"),
        Column("category", extra=True),
        Column("by"),
        prose("event"),
    ]
    cells = [[row.sequence, row.timestamp, cell(row.level), row.category, row.actor, row.message] for row in rows]
    out = stdout()
    out.print(screen)
    out.print(table("Events", columns, cells, empty="No event matches."))
