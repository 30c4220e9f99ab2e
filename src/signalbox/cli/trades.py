"""`signalbox trades`."""

from typing import Annotated

import typer

from signalbox.cli.groups import group
from signalbox.cli.options import AccountText, JsonFlag, Limit, SinceText, SymbolText, UntilText, window
from signalbox.cli.output import latency, print_json, stdout
from signalbox.cli.session import ask
from signalbox.cli.tables import Column, decimals, prose, table, times
from signalbox.cli.trade_detail import trade_screen
from signalbox.control import trades
from signalbox.domain.orders import Mode, OrderStatus, Purpose
from signalbox.ledger.queries.trades import TradeFilter, TradeRow

app = group("Trades: list, show one with every check and latency stage.", default="list")


@app.command("list")
def list_(
    since: SinceText = None,
    until: UntilText = None,
    symbol: SymbolText = None,
    account: AccountText = None,
    status: Annotated[OrderStatus | None, typer.Option(help="Only orders in this state.")] = None,
    mode: Annotated[Mode | None, typer.Option(help="Only simulated, or only live ones.")] = None,
    purpose: Annotated[Purpose | None, typer.Option(help="Only entries, or only exits.")] = None,
    limit: Limit = 50,
    as_json: JsonFlag = False,
) -> None:
    """List trades, newest first. Blocked orders are rejected ones with SAFETY_CONSTRAINT and the limit's name."""
    rows, screen = ask(
        lambda control: trades.list_trades(
            control,
            TradeFilter(
                window=window(control.clock, since, until, symbol, limit),
                account=account,
                status=status,
                mode=mode,
                purpose=purpose,
            ),
        )
    )
    if as_json:
        print_json(rows)
        return
    columns = [
        Column("id"),
        times("time"),
        Column("account", extra=True),
        Column("symbol"),
        Column("side"),
        Column("mode"),
        Column("status"),
        decimals("price", extra=True),
        decimals("amount", 4),
        decimals("PnL", 4),
        Column("latency", extra=True),
        prose("why not", extra=True),
    ]
    out = stdout()
    out.print(screen)
    out.print(table("Trades", columns, [_row(row) for row in rows], empty="No trade matches."))
    if rows:
        out.print("Why: signalbox trades show ID")


def short_id(row: TradeRow) -> str:
    """Enough of an id to name the trade: its random end."""
    return str(row.id)[-8:]


def refusal(row: TradeRow) -> str | None:
    """Why the order did not fill, in the ledger's words."""
    if row.unknown_since is not None:
        return "outcome unknown, asking the exchange"
    return " ".join(part for part in (row.error_code, row.error_reason) if part) or None


def _row(row: TradeRow) -> list[object]:
    return [
        short_id(row),
        row.created_at,
        row.account,
        row.symbol,
        row.side,
        row.mode,
        row.status,
        row.executed_price,
        row.executed_quote,
        row.realised_pnl,
        latency(row.latency_ms),
        refusal(row),
    ]


@app.command()
def show(
    trade: Annotated[str, typer.Argument(metavar="ID", help="The id, its beginning or end, or an order id.")],
    as_json: JsonFlag = False,
) -> None:
    """Explain one trade: each check with limit, value and verdict, and where the time went."""
    detail, screen = ask(lambda control: trades.show_trade(control, trade))
    if as_json:
        print_json(detail)
        return
    out = stdout()
    out.print(screen)
    out.print(trade_screen(detail))
