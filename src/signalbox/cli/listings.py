"""`signalbox listings`."""

from datetime import datetime
from typing import Annotated

import typer

from signalbox.cli.groups import group
from signalbox.cli.options import JsonFlag, Limit, SinceText, SymbolText, UntilText, moment, window
from signalbox.cli.output import local_time, print_json, stdout
from signalbox.cli.session import ask
from signalbox.cli.tables import Column, decimals, table, times
from signalbox.control import listings
from signalbox.control.context import Control
from signalbox.domain.signals import ListingSource
from signalbox.ledger.queries.listings import ListingRow

app = group("Listings: list, inject a test listing.", default="list")


@app.command("list")
def list_(
    since: SinceText = None,
    until: UntilText = None,
    symbol: SymbolText = None,
    source: Annotated[ListingSource | None, typer.Option(help="Only from this source.")] = None,
    limit: Limit = 50,
    as_json: JsonFlag = False,
) -> None:
    """List recorded listings, newest first."""
    rows, screen = ask(
        lambda control: listings.list_listings(
            control, window(control.clock, since, until, symbol, limit), source=source
        )
    )
    if as_json:
        print_json(rows)
        return
    columns = [decimals("id"), Column("symbol"), times("listed at"), Column("source"), times("recorded")]
    out = stdout()
    out.print(screen)
    out.print(
        table(
            "Listings",
            columns,
            [[row.id, row.symbol, row.listed_at, row.source, row.created_at] for row in rows],
            empty="No listing matches. A run has to be active to see new ones: 'signalbox run status'.",
        )
    )


@app.command()
def inject(
    symbol: Annotated[str, typer.Argument(help="3 to 20 letters, digits or underscores, such as NEWUSDT.")],
    listed_at: Annotated[str | None, typer.Option(help="When it was listed; now unless given. Not the future.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Inject a test listing. It is traded in simulation only, whatever the account's mode."""

    async def use_case(control: Control) -> ListingRow:
        at: datetime | None = None if listed_at is None else moment(listed_at, "--listed-at", control.clock.now())
        return await listings.inject_test_listing(control, symbol=symbol, listed_at=at)

    row, screen = ask(use_case)
    if as_json:
        print_json(row)
        return
    out = stdout()
    out.print(screen)
    out.print(f"Test listing {row.symbol} at {local_time(row.listed_at)} recorded as {row.id}.")
