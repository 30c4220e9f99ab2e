"""`signalbox run`."""

import asyncio
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from signalbox.cli.alert_lines import quiet_lines
from signalbox.cli.errors import ExitCode
from signalbox.cli.groups import group
from signalbox.cli.options import JsonFlag, Limit
from signalbox.cli.output import BAD, GOOD, age, aged, cell, print_json, stderr, stdout
from signalbox.cli.session import ask
from signalbox.cli.tables import Column, prose, table, times
from signalbox.control import runs
from signalbox.control.context import Control
from signalbox.control.runs import HEARTBEAT_ALLOWED, Overview
from signalbox.domain.runs import ACTIVE_STATUSES, RunStatus, StopMode
from signalbox.ledger.queries.runs import RunRow
from signalbox.ledger.queries.status import HealthRow, StatusRow

app = group("Runs: start, stop, status.", default="status")

_POLL_S = 0.1
_ANSWER_S = 10.0
_FLATTEN_ANSWER_S = 40.0

Account = Annotated[str, typer.Argument(help="The account's label.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait for the engine's answer.")]


@app.command()
def start(
    account: Account,
    configuration: Annotated[str, typer.Argument(metavar="NAME[:VERSION]")],
    no_wait: NoWait = False,
    as_json: JsonFlag = False,
) -> None:
    """Start a run of a configuration on an account."""

    async def use_case(control: Control) -> RunRow:
        asked = await runs.start_bot(control, account_label=account, configuration_reference=configuration)
        waiting = frozenset() if no_wait else frozenset({RunStatus.STARTING})
        return await _answered(control, asked, waiting, _ANSWER_S)

    run, screen = ask(use_case)
    _tell(run, screen, as_json=as_json)
    if run.status is RunStatus.FAILED:
        raise typer.Exit(ExitCode.REFUSED)
    if run.status is RunStatus.STARTING and not no_wait:
        _no_answer("The run is stored and starts as soon as an engine runs: 'signalbox up'.")


@app.command()
def stop(
    account: Account,
    mode: Annotated[
        StopMode,
        typer.Option(help="entries: no new entries; cancel: also cancel open orders; flatten: also sell what is held."),
    ] = StopMode.ENTRIES,
    no_wait: NoWait = False,
    as_json: JsonFlag = False,
) -> None:
    """Stop the account's active run."""

    async def use_case(control: Control) -> RunRow:
        asked = await runs.stop_bot(control, account_label=account, mode=mode)
        patience_s = _FLATTEN_ANSWER_S if mode is StopMode.FLATTEN else _ANSWER_S
        return await _answered(control, asked, frozenset() if no_wait else ACTIVE_STATUSES, patience_s)

    run, screen = ask(use_case)
    _tell(run, screen, as_json=as_json)
    if run.status in ACTIVE_STATUSES and not no_wait:
        _no_answer("The stop is stored and happens as soon as the engine sees it; is it running? 'signalbox doctor'.")


@app.command()
def status(
    account: Annotated[str | None, typer.Argument(help="Only this account.")] = None,
    limit: Limit = 10,
    as_json: JsonFlag = False,
) -> None:
    """Show the engine, the kill switch and the latest runs, each with its age."""
    shown, screen = ask(lambda control: runs.overview(control, account_label=account, limit=limit))
    if as_json:
        print_json(shown)
        return
    out = stdout()
    out.print(screen)
    out.print(overview_lines(shown))


def overview_lines(shown: Overview) -> Group:
    """The overview as a screen shows it."""
    lines = [engine_line(shown), kill_switch_line(shown.system, shown.at)]
    lines += quiet_lines(shown.alerts)
    lines += [_health_line(row, shown.at) for row in shown.health if row.status in {"degraded", "error"}]
    return Group(*lines, runs_table(shown.runs, shown.at))


def engine_line(shown: Overview) -> Text:
    """Whether an engine is alive, with the age of its word."""
    engine = next((row for row in shown.health if row.component_name == "engine"), None)
    if engine is None:
        return Text("engine: has never run on this ledger; start it with 'signalbox up'")
    if engine.status == "stopped":
        return Text(f"engine: stopped {age(engine.updated_at, shown.at)}; start it with 'signalbox up'")
    return Text.assemble(
        "engine: ", cell(engine.status), ", heartbeat ", aged(engine.updated_at, shown.at, allowed=HEARTBEAT_ALLOWED)
    )


def kill_switch_line(system: StatusRow, now: datetime) -> Text:
    """The kill switch with its age, author and reason."""
    if system.kill_switch:
        return Text(
            f"kill switch: ON ({system.kill_switch_mode}), thrown {age(system.kill_switch_activated_at, now)}"
            f" by {system.kill_switch_activated_by}: {system.kill_switch_reason}",
            style=BAD,
        )
    if system.kill_switch_deactivated_at is None:
        return Text.assemble("kill switch: ", ("off", GOOD), ", never used")
    lifted = f", lifted {age(system.kill_switch_deactivated_at, now)} by {system.kill_switch_deactivated_by}"
    return Text.assemble("kill switch: ", ("off", GOOD), lifted)


def runs_table(rows: list[RunRow], now: datetime) -> Table | Text:
    """Runs with the ages of their heartbeats."""
    columns = [
        Column("account"),
        Column("configuration"),
        Column("asks for"),
        Column("status"),
        Column("heartbeat"),
        times("started", extra=True),
        Column("by", extra=True),
        prose("remark"),
    ]
    cells = [
        [
            run.account,
            f"{run.configuration}:{run.version}",
            run.mode,
            run.status,
            _heartbeat(run, now),
            run.started_at,
            run.operator_id,
            _remark(run, now),
        ]
        for run in rows
    ]
    return table("Runs", columns, cells, empty="No run yet: 'signalbox run start ACCOUNT CONFIGURATION' starts one.")


def _heartbeat(run: RunRow, now: datetime) -> Text:
    if run.status in ACTIVE_STATUSES and run.last_heartbeat is not None:
        return aged(run.last_heartbeat, now, allowed=HEARTBEAT_ALLOWED)
    return cell(None if run.last_heartbeat is None else age(run.last_heartbeat, now))


def _remark(run: RunRow, now: datetime) -> str | None:
    if run.error_message:
        return run.error_message
    if run.stopped_at is not None:
        return f"stopped {age(run.stopped_at, now)}"
    return f"stopping: {run.stop_mode}" if run.stop_mode else None


def _health_line(row: HealthRow, now: datetime) -> Text:
    reason = row.details.get("reason", "")
    return Text.assemble(
        f"{row.component_name}: ",
        cell(row.status),
        f" ({age(row.updated_at, now)})" + (f": {reason}" if reason else ""),
    )


async def _answered(control: Control, run: RunRow, waiting: frozenset[RunStatus], patience_s: float) -> RunRow:
    """The run once the engine has moved it on, or as it is when patience ends."""
    with stderr().status("Waiting for the engine …"):
        try:
            async with asyncio.timeout(patience_s):
                while run.status in waiting:
                    await asyncio.sleep(_POLL_S)
                    run = await runs.run_by_id(control, run.id)
        except TimeoutError:
            pass
    return run


def _tell(run: RunRow, screen: Text, *, as_json: bool) -> None:
    if as_json:
        print_json(run)
        return
    out = stdout()
    out.print(screen)
    sentence = Text.assemble(f"Run of {run.configuration}:{run.version} on {run.account} is ", cell(run.status))
    if run.error_message:
        sentence.append(f": {run.error_message}")
    out.print(sentence)


def _no_answer(advice: str) -> None:
    stderr().print(f"No engine has answered yet. {advice}")
    raise typer.Exit(ExitCode.UNAVAILABLE)
