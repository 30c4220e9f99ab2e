"""`signalbox alerts`."""

from typing import Annotated

import typer

from signalbox.cli.alert_lines import severity_cell
from signalbox.cli.groups import group
from signalbox.cli.options import JsonFlag, Limit
from signalbox.cli.output import cell, local_time, print_json, stdout
from signalbox.cli.session import ask
from signalbox.cli.tables import Column, decimals, prose, table, times
from signalbox.control import alerts
from signalbox.ledger.queries.alerts import AlertRow

app = group("What somebody has to look at: list, show, acknowledge.", default="list")

Number = Annotated[int, typer.Argument(metavar="ID", help="The alert's number, as the list shows it.")]


@app.command("list")
def list_(
    also_resolved: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    limit: Limit = 50,
    as_json: JsonFlag = False,
) -> None:
    """List open alerts, the worst first."""
    rows, screen = ask(lambda control: alerts.list_alerts(control, also_resolved=also_resolved, limit=limit))
    if as_json:
        print_json(rows)
        return
    columns = [
        decimals("id"),
        Column("severity"),
        Column("alert"),
        Column("about", wrap=True),
        decimals("count", extra=True),
        times("last"),
        Column("state"),
        prose("message"),
    ]
    cells = [
        [
            row.id,
            severity_cell(row),
            row.kind,
            row.subject,
            row.count,
            row.last_at,
            cell(_state(row)),
            row.message,
        ]
        for row in rows
    ]
    out = stdout()
    out.print(screen)
    out.print(table("Alerts", columns, cells, empty="No alert." if also_resolved else "No open alert."))


@app.command()
def show(number: Number, as_json: JsonFlag = False) -> None:
    """Show one alert with its details."""
    alert, screen = ask(lambda control: alerts.show_alert(control, number))
    if as_json:
        print_json(alert)
        return
    out = stdout()
    out.print(screen)
    _print(alert)


@app.command()
def ack(number: Number, as_json: JsonFlag = False) -> None:
    """Tell that you have seen an alert: it leaves the head of every screen, and stays open until its cause is gone."""
    alert, screen = ask(lambda control: alerts.acknowledge(control, number))
    if as_json:
        print_json(alert)
        return
    out = stdout()
    out.print(screen)
    _print(alert)


def _state(alert: AlertRow) -> str:
    if alert.resolved_at is not None:
        return "over"
    return "open" if alert.acknowledged_at is None else "acknowledged"


def _print(alert: AlertRow) -> None:
    lines = [
        ("alert", f"{alert.id}, {alert.kind}, about {alert.subject}"),
        ("state", _state(alert)),
        ("severity", alert.severity.value),
        ("message", alert.message),
        ("first", local_time(alert.first_at)),
        ("last", f"{local_time(alert.last_at)}, raised {alert.count} time{'s' if alert.count > 1 else ''}"),
    ]
    if alert.acknowledged_at is not None:
        lines.append(("acknowledged", f"{local_time(alert.acknowledged_at)} by {alert.acknowledged_by}"))
    if alert.resolved_at is not None:
        lines.append(("over", f"{local_time(alert.resolved_at)}: {alert.resolution}"))
    lines += [(name.replace("_", " "), str(value)) for name, value in alert.details.items()]
    out = stdout()
    width = max(len(name) for name, _ in lines) + 2
    for name, value in lines:
        out.print(f"{name:<{width}}{value}", markup=False)
