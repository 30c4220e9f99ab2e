"""`signalbox audit`."""

import asyncio

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from signalbox.app.audit import StreamResult, verify_ledger
from signalbox.app.operator import open_control
from signalbox.cli.errors import ExitCode
from signalbox.cli.groups import group
from signalbox.cli.options import JsonFlag
from signalbox.cli.output import BAD, GOOD, cell, print_json, stderr, stdout
from signalbox.cli.session import database_of, screen_banner, settings_with_logging
from signalbox.cli.tables import Column, decimals, prose, table

app = group("Verify the ledger's hash chains.")


@app.command()
def verify(as_json: JsonFlag = False) -> None:
    """Recompute every hash of trade_logs and system_events; exit code 1 when a row was changed, removed or inserted."""
    settings = settings_with_logging()
    with database_of(settings) as database, _progress() as progress:
        tasks: dict[str, object] = {}

        def advance(stream: str, rows: int) -> None:
            if stream not in tasks:
                tasks[stream] = progress.add_task(stream, total=None)
            progress.update(tasks[stream], description=f"{stream}: {rows} rows")  # type: ignore[arg-type]  # a TaskID

        async def work() -> tuple[list[StreamResult], object]:
            results = await verify_ledger(database, advance)
            async with open_control(settings, database) as control:
                return results, await screen_banner(settings, database, control)

        results, screen = asyncio.run(work())
    if as_json:
        print_json(results)
    else:
        out = stdout()
        out.print(screen)
        out.print(results_table(results))
        out.print(_conclusion(results))
    if not all(result.ok for result in results):
        raise typer.Exit(ExitCode.REFUSED)


def results_table(results: list[StreamResult]) -> object:
    """One line per stream."""
    columns = [Column("stream"), Column("verdict"), decimals("rows proved"), Column("head"), prose("finding")]
    rows = [
        [
            result.stream,
            cell("ok") if result.ok else cell("failed"),
            result.rows,
            result.head[:16] + "…",
            None if result.ok else f"row {result.fault_at}: {result.fault}",
        ]
        for result in results
    ]
    return table("Hash chains", columns, rows, empty="")


def _conclusion(results: list[StreamResult]) -> str:
    if all(result.ok for result in results):
        return f"[{GOOD}]Every row is as it was written.[/]"
    return f"[{BAD}]The ledger was tampered with:[/] compare it with a backup from before the row named above."


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=stderr(),
        transient=True,
        disable=not stderr().is_terminal,
    )
