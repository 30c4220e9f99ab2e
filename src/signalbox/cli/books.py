"""`signalbox books`."""

from typing import Annotated

import typer

from signalbox.cli.groups import group
from signalbox.cli.options import AccountText, JsonFlag, Limit
from signalbox.cli.output import cell, print_json, stdout
from signalbox.cli.session import ask
from signalbox.cli.tables import Column, decimals, prose, table, times
from signalbox.control import books
from signalbox.ledger.queries.reconciliation import ReconciliationRow

app = group("The exchange's books beside ours: list, external, wallet.", default="list")


@app.command("list")
def list_(
    account: AccountText = None,
    differing: Annotated[bool, typer.Option("--differing", help="Only those that found a difference.")] = False,
    limit: Limit = 20,
    as_json: JsonFlag = False,
) -> None:
    """List comparisons with the exchange, newest first."""
    rows, screen = ask(
        lambda control: books.list_reconciliations(control, account=account, differing=differing, limit=limit)
    )
    if as_json:
        print_json(rows)
        return
    columns = [
        Column("account"),
        times("compared"),
        decimals("orders"),
        Column("agreed"),
        prose("differences"),
    ]
    cells = [[row.account, row.finished_at, row.orders_checked, row.agreed, _differences(row)] for row in rows]
    out = stdout()
    out.print(screen)
    out.print(table("Comparisons", columns, cells, empty="No comparison yet: only accounts that trade live have them."))


@app.command()
def external(account: AccountText = None, limit: Limit = 50, as_json: JsonFlag = False) -> None:
    """List orders of our accounts that Signalbox did not send."""
    rows, screen = ask(lambda control: books.list_external_orders(control, account=account, limit=limit))
    if as_json:
        print_json(rows)
        return
    columns = [
        Column("symbol"),
        Column("account", extra=True),
        Column("side"),
        Column("type"),
        decimals("price"),
        decimals("quantity"),
        decimals("executed"),
        Column("status"),
        times("first seen"),
        Column("exchange's id", wrap=True, extra=True),
    ]
    cells = [
        [
            row.symbol,
            row.account,
            row.side,
            row.order_type,
            row.price,
            row.quantity,
            row.executed_quantity,
            row.status,
            row.first_seen_at,
            row.exchange_order_id,
        ]
        for row in rows
    ]
    out = stdout()
    out.print(screen)
    out.print(table("External orders", columns, cells, empty="No order was seen that is not ours."))


@app.command()
def wallet(account: AccountText = None, as_json: JsonFlag = False) -> None:
    """Show the wallets as they were last compared with the books."""
    rows, screen = ask(lambda control: books.list_balances(control, account=account))
    if as_json:
        print_json(rows)
        return
    columns = [
        Column("asset"),
        Column("account", extra=True),
        decimals("free"),
        decimals("locked"),
        decimals("in positions"),
        decimals("last external movement"),
        times("checked"),
        prose("remark"),
    ]
    cells = [
        [
            row.asset,
            row.account,
            row.free,
            row.locked,
            row.booked,
            row.external_movement,
            row.checked_at,
            cell("less than our positions hold") if row.is_short else None,
        ]
        for row in rows
    ]
    out = stdout()
    out.print(screen)
    out.print(table("Wallets", columns, cells, empty="No wallet was looked at yet: only live accounts have one."))


def _differences(row: ReconciliationRow) -> str | None:
    """Each difference in a line of its own."""
    return "\n".join(f"{found.subject}: {found.message}" for found in row.differences) or None
