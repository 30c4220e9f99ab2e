"""`signalbox positions`."""

from typing import Annotated

import typer

from signalbox.cli.configurations import exit_text
from signalbox.cli.groups import group
from signalbox.cli.options import AccountText, JsonFlag, Limit
from signalbox.cli.output import print_json, stdout
from signalbox.cli.session import ask
from signalbox.cli.tables import Column, decimals, table, times
from signalbox.control import trades

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
        Column("exit", extra=True),
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
            exit_text(row.exit_plan),
            row.opened_at,
            row.closed_at,
        ]
        for row in rows
    ]
    out = stdout()
    out.print(screen)
    out.print(table("Positions", columns, cells, empty="No position matches."))
