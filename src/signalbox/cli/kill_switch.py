"""`signalbox kill-switch`."""

from typing import Annotated

import typer
from rich.text import Text

from signalbox.cli.groups import group
from signalbox.cli.options import JsonFlag
from signalbox.cli.output import print_json, stdout
from signalbox.cli.runs import kill_switch_line
from signalbox.cli.session import ask
from signalbox.control import guardrails
from signalbox.control.context import Control
from signalbox.control.guardrails import KillSwitchMode
from signalbox.engine.clock import SystemClock
from signalbox.ledger.queries.status import StatusRow

app = group("The kill switch: on, off, status.", default="status")

Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; others read it in the ledger.")]


@app.command()
def on(
    reason: Reason,
    mode: Annotated[
        KillSwitchMode,
        typer.Option(
            help="block: no new entries; cancel: also cancel open orders; flatten: also sell what is held;"
            " freeze: nothing leaves at all, exits included."
        ),
    ] = KillSwitchMode.BLOCK,
    as_json: JsonFlag = False,
) -> None:
    """Stop trading on every account at once. It stays on until 'kill-switch off', also over restarts."""
    _show(*ask(lambda control: guardrails.kill_switch_on(control, mode=mode, reason=reason)), as_json=as_json)


@app.command()
def off(reason: Reason, as_json: JsonFlag = False) -> None:
    """Lift the kill switch."""
    _show(*ask(lambda control: guardrails.kill_switch_off(control, reason=reason)), as_json=as_json)


@app.command()
def status(as_json: JsonFlag = False) -> None:
    """Show whether it is on, since when and why."""

    async def use_case(control: Control) -> StatusRow:
        return await guardrails.kill_switch_status(control)

    _show(*ask(use_case), as_json=as_json)


def _show(row: StatusRow, screen: Text, *, as_json: bool) -> None:
    if as_json:
        print_json(row)
        return
    out = stdout()
    out.print(screen)
    out.print(kill_switch_line(row, SystemClock().now()))
