"""`signalbox simulator`."""

from typing import Annotated

import typer

from signalbox.cli.errors import ExitCode
from signalbox.cli.groups import group
from signalbox.simulators.mexc.main import run
from signalbox.simulators.mexc.options import ScheduleOptions, SimulatorOptions

app = group("Run a simulated exchange.")


@app.command()
def mexc(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same listings and prices.")] = 1,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    listings: Annotated[int, typer.Option(min=0, help="How many listings the seeded schedule has.")] = 20,
    first_in: Annotated[int, typer.Option(min=0, help="Seconds until the first one.")] = 20,
    every: Annotated[int, typer.Option(min=1, help="Seconds between them.")] = 60,
    exit_with_parent: Annotated[
        bool, typer.Option("--exit-with-parent", help="Stop when standard input ends.", hidden=True)
    ] = False,
) -> None:
    """Run a simulated MEXC spot exchange; prints one JSON line with its URLs and test credentials when ready."""
    options = SimulatorOptions(
        seed=seed,
        host=host,
        port=port,
        schedule=ScheduleOptions(count=listings, first_in_ms=first_in * 1000, every_ms=every * 1000),
        exit_with_parent=exit_with_parent,
    )
    try:
        run(options)
    except OSError as error:
        typer.echo(
            f"signalbox: cannot listen on {host}:{port}: {error.strerror or error}; choose another --port.", err=True
        )
        raise typer.Exit(ExitCode.UNAVAILABLE) from None
