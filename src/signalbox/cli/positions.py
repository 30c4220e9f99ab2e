"""`signalbox positions`."""

from typing import Annotated

import typer

from signalbox.cli.groups import group
from signalbox.cli.options import AccountText, JsonFlag, Limit
from signalbox.cli.output import print_json, stdout
from signalbox.cli.session import ask
from signalbox.cli.tables import Column, decimals, prose, table, times
from signalbox.control import trades
from signalbox.ledger.queries.positions import PositionRow

app = group("Positions and their results.", default="list")


@app.command("list")
def list_(
    account: AccountText = None,
    open_only: Annotated[bool, typer.Option("--open", help="Only positions that are held now.")] = False,
    limit: Limit = 50,
    as_json: JsonFlag = False,
) -> None:
    """List positions, the open ones first."""
    rows, screen = ask(
        lambda control: trades.list_positions(control, account=account, open_only=open_only, limit=limit)
    )
    if as_json:
        print_json(rows)
        return
    columns = [
        Column("symbol"),
        Column("account", extra=True),
        Column("mode"),
        Column("status"),
        decimals("quantity"),
        decimals("entry price"),
        decimals("cost", 4, extra=True),
        decimals("realised PnL", 4),
        decimals("fees", 4, extra=True),
        prose("sold when"),
        times("opened", extra=True),
        times("closed", extra=True),
    ]
    cells = [
        [
            row.symbol,
            row.account,
            row.mode,
            row.status,
            row.quantity,
            row.average_entry_price,
            row.cost,
            row.realised_pnl,
            row.fees,
            _sold_when(row),
            row.opened_at,
            row.closed_at,
        ]
        for row in rows
    ]
    out = stdout()
    out.print(screen)
    out.print(table("Positions", columns, cells, empty="No position matches."))


def _sold_when(row: PositionRow) -> str | None:
    """What would sell an open position, one line each."""
    if row.status != "open":
        return None
    return "\n".join(row.sold_when) or "an operator sells it"
